//! A customer changes DNS once: aliases to names in our own zone, served by the relay itself over
//! UDP and TCP, and asked through Unbound, prove the domain and bring its keys.
//!
//! Without Unbound (unpacked by `./ci` into `RELAIS_TOOLS`) the tests are skipped, and say so.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Instant;

use relais_net::dns_server::ZoneRecord;
use relais_net::resolver::{Resolver, ResolverOptions};
use relais_smtp::domain::Domain;
use relais_testkit::signed_dns::{StubResolver, Tools};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::domains::Registrar;
use crate::support::{PATIENCE, Place, Server};

const SETTINGS: &str = r#"
[[organisation]]
name = "contoso"
[[organisation.domain]]
name = "contoso.test"
[[organisation.inbound_connector]]
name = "Printers"
sender_ip_addresses = ["127.0.0.1"]
"#;

/// The registrar of contoso.test, and the relay with a zone of its own.
struct Parties {
    server: Server,
    registrar: Registrar,
    /// Where our zone is served.
    own: SocketAddr,
    /// Where the relay's resolver will be.
    resolver: SocketAddr,
}

impl Parties {
    fn start() -> Self {
        let registrar = Registrar::new();
        // The same port at other addresses of this machine: nobody else is there.
        let port = registrar.address().port();
        let at = |last| SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), port));
        let (own, resolver) = (at(53), at(54));
        let place = Place::new(&format!(
            "[dns]\nnameservers = [\"{resolver}\"]\nauthoritative_port = {port}\n\
             [authoritative_dns]\naddress = \"{own}\"\nzone = \"relay.provider.test\"\n\
             name_servers = [\"ns1.relay.provider.test\"]\naddresses = [\"192.0.2.25\"]\n\
             [deliver]\nallow_private_destinations = true\n"
        ));
        let server = place.serve();
        server.apply(SETTINGS).expect(0);
        Self {
            server,
            registrar,
            own,
            resolver,
        }
    }

    /// The resolver, from now on: one that was asked before would remember for seconds that there
    /// was nothing.
    fn resolve(&self, tools: &Tools, folder: &Path, over_tcp: bool) -> StubResolver {
        let zones = [
            ("contoso.test", self.registrar.address()),
            ("relay.provider.test", self.own),
        ];
        let stubs = (&zones[..], over_tcp);
        StubResolver::start(tools, folder, self.resolver, stubs).expect("Unbound starts")
    }

    /// The names of keys and what they are to be aliases of, once the keys are made.
    fn aliases(&self) -> Vec<(String, String)> {
        let records = ["--json", "domain", "records", "contoso.test"];
        let begun = Instant::now();
        loop {
            let proposed = self.server.relais(&records).expect(0).json();
            let rows = proposed["records"].as_array().cloned().unwrap_or_default();
            let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
            let keys = rows
                .iter()
                .filter(|row| row["type"] == "CNAME" && text(row, "name").contains("._domainkey."));
            let found: Vec<_> = keys
                .map(|row| (text(row, "name"), text(row, "value")))
                .collect();
            // RSA and Ed25519.
            if found.len() == 2 {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "{proposed}");
        }
    }

    /// Until our zone has them: within a second of their making.
    fn wait_until_served(&self, aliases: &[(String, String)]) {
        let runtime = Runtime::new().expect("a runtime");
        let options = ResolverOptions {
            nameservers: vec![self.own],
            trusted: false,
        };
        let resolver = runtime.block_on(async { Resolver::new(&options) });
        let resolver = resolver.expect("a resolver");
        let begun = Instant::now();
        for (_, target) in aliases {
            let target = Domain::parse(target.trim_end_matches('.')).expect("a name");
            while let Err(error) = runtime.block_on(resolver.texts_at(self.own, &target)) {
                assert!(begun.elapsed() < PATIENCE, "{error}");
            }
        }
    }

    fn publish(&self, aliases: &[(&str, &str)]) {
        let mut records = Vec::new();
        for (name, target) in aliases {
            let target = target.trim_end_matches('.');
            records.push((*name, ZoneRecord::Alias(target.to_owned())));
            // This server says of a name that it does not have that there is none; a registrar
            // leaves the rest of an alias to the resolver.
            records.push((target, ZoneRecord::Address(Ipv4Addr::LOCALHOST.into())));
        }
        self.registrar.publish_with(&[], &records);
    }

    /// Looks again until what DNS shows of the two keys fits. The domain's state then.
    fn look_until_both(&self, fits: impl Fn(&Value) -> bool) -> String {
        let verify = ["--json", "domain", "verify", "contoso.test"];
        let keys = ["--json", "dkim", "list", "contoso.test"];
        let begun = Instant::now();
        loop {
            let domain = self.server.relais(&verify).json();
            let keys = self.server.relais(&keys).expect(0).json_lines();
            if keys.len() == 2 && keys.iter().all(&fits) {
                return domain["state"].as_str().expect("a state").to_owned();
            }
            assert!(begun.elapsed() < PATIENCE, "{domain} {keys:?}");
        }
    }

    fn mail_from(&self) -> String {
        let mut session = self.server.session();
        session.say("EHLO scan.contoso.test");
        session.say("MAIL FROM:<scan@contoso.test>")
    }
}

fn aliases_prove_the_domain(over_tcp: bool) {
    let Some(tools) = Tools::found() else {
        eprintln!("SKIPPED: Unbound is not in RELAIS_TOOLS");
        return;
    };
    let parties = Parties::start();
    let aliases = parties.aliases();
    parties.wait_until_served(&aliases);
    let (rsa, ed25519) = (&aliases[0], &aliases[1]);
    assert!(
        aliases
            .iter()
            .all(|(_, target)| target.contains(".dkim.relay.provider.test")),
        "{aliases:?}"
    );
    // Aliases that lead to something else of ours prove nothing.
    parties.publish(&[(&rsa.0, "spf.relay.provider.test"), (&ed25519.0, &rsa.1)]);
    let folder = tempfile::TempDir::new().expect("a folder");
    let _resolver = parties.resolve(&tools, folder.path(), over_tcp);
    let other = |key: &Value| key["seen"].to_string().contains("shows another text");
    assert_eq!(parties.look_until_both(other), "pending");
    assert!(parties.mail_from().starts_with("550 5.7.1 "));

    parties.publish(&[(&rsa.0, &rsa.1), (&ed25519.0, &ed25519.1)]);
    let active = |key: &Value| key["state"] == "active";
    assert_eq!(parties.look_until_both(active), "verified");
    assert!(parties.mail_from().starts_with("250 "));
}

#[test]
fn aliases_to_keys_in_our_zone_prove_a_domain_over_udp() {
    aliases_prove_the_domain(false);
}

#[test]
fn aliases_to_keys_in_our_zone_prove_a_domain_over_tcp() {
    aliases_prove_the_domain(true);
}
