//! A domain's own MTA-STS policy, as a sender fetches it: by HTTPS, with a certificate that it
//! checks (RFC 8461 §3.3). The client is curl; without it the tests are skipped, and say so.

use std::process::Command;

use serde_json::Value;

use crate::authority::{Authority, Wanted};
use crate::support::{Answer, Place, Server, is_installed, run};

const SETTINGS: &str = "[[organisation]]\nname = \"contoso\"\npostmaster = \"it@contoso.test\"\n\
    [[organisation.domain]]\nname = \"contoso.test\"\nverification = \"assumed\"\n\
    mailbox_host = \"10.1.0.20:25\"\nmta_sts = { mode = \"enforce\", max_age = \"30d\" }\n\
    [[organisation.domain]]\nname = \"off.test\"\nverification = \"assumed\"\n";

/// A server that shows policies, and where.
struct Shown {
    server: Server,
    port: u16,
    authority: Authority,
    folder: tempfile::TempDir,
}

impl Shown {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::new(folder.path(), "ca");
        let pair = Self::issue(&authority, "first");
        let place = Place::new(&format!(
            "[mta_sts]\naddress = \"127.0.0.1:0\"\ncertificate = \"{}\"\nprivate_key = \"{}\"\n",
            pair.certificate.display(),
            pair.key.display()
        ));
        let server = place.serve();
        let line = server.log.wait_for("its address", |line| {
            line.contains("policies of MTA-STS are shown")
        });
        let line: Value = serde_json::from_str(&line).expect("JSON");
        let port = line["address"]
            .as_str()
            .and_then(|text| text.rsplit(':').next());
        let port = port.and_then(|port| port.parse().ok()).expect("a port");
        server.apply(SETTINGS).expect(0);
        Self {
            server,
            port,
            authority,
            folder,
        }
    }

    fn issue(authority: &Authority, file: &str) -> crate::authority::Pair {
        let wanted = Wanted {
            subject: "/CN=mta-sts",
            names: "DNS:mta-sts.contoso.test,DNS:mta-sts.off.test",
            usage: "serverAuth",
            days: 90,
        };
        authority.issue(file, &wanted)
    }

    /// What curl gets from this host, believing the authority alone.
    fn fetched(&self, host: &str, path: &str) -> Answer {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--max-time", "60"]);
        curl.arg("--cacert").arg(self.authority.file());
        curl.args([
            "--connect-to",
            &format!("{host}:443:127.0.0.1:{}", self.port),
        ]);
        curl.args(["--write-out", "%{http_code} %{content_type}"]);
        curl.arg(format!("https://{host}{path}"));
        run(curl, "")
    }
}

const FILE: &str = "/.well-known/mta-sts.txt";

#[test]
fn a_sender_fetches_the_policy_of_a_domain_and_nothing_else() {
    if !is_installed("curl") {
        eprintln!("SKIPPED: curl is not installed");
        return;
    }
    let shown = Shown::start();
    let policy = "version: STSv1\nmode: enforce\nmx: relay.contoso.test\nmax_age: 2592000\n";
    let got = shown.fetched("mta-sts.contoso.test", FILE).expect(0).out;
    assert_eq!(got, format!("{policy}200 text/plain"));
    for (host, path) in [
        ("mta-sts.off.test", FILE),
        ("mta-sts.contoso.test", "/"),
        ("mta-sts.contoso.test", "/metrics"),
    ] {
        let got = shown.fetched(host, path).expect(0).out;
        assert!(got.starts_with("404"), "{host}{path}: {got}");
    }
    // A name that the certificate does not bear: curl trusts it as little as a sender does.
    let refused = shown.fetched("mta-sts.example.org", FILE);
    assert_ne!(refused.code, 0, "{refused:?}");

    // The record announces just this policy, and leads to this relay.
    let records = shown
        .server
        .relais(&["--json", "domain", "records", "contoso.test"]);
    let records = records.expect(0).json();
    assert_eq!(records["policy_file"]["text"], policy);
    let all = records["records"].to_string();
    assert!(all.contains("mta-sts-host"), "{all}");

    // It is changed, and so is its version.
    let id = |records: &Value| {
        let all = records["records"].as_array().expect("records").clone();
        let one = all
            .iter()
            .find(|one| one["name"] == "_mta-sts.contoso.test");
        one.expect("a record")["value"].to_string()
    };
    let settings = SETTINGS.replace("enforce", "testing");
    shown.server.apply(&settings).expect(0);
    let got = shown.fetched("mta-sts.contoso.test", FILE).expect(0).out;
    assert!(got.contains("mode: testing\n"), "{got}");
    let again = shown
        .server
        .relais(&["--json", "domain", "records", "contoso.test"]);
    assert_ne!(id(&records), id(&again.expect(0).json()));
    drop(shown.folder);
}

#[test]
fn a_policy_that_no_sender_would_understand_is_refused() {
    let server = Place::new("").serve();
    for (from, to, words) in [
        ("\"30d\"", "\"1h\"", "mta_sts.max_age must be"),
        ("\"enforce\"", "\"always\"", "mode"),
        ("\"30d\"", "\"30d\", mx = [\"no name\"]", "is no host name"),
    ] {
        let answer = server.apply(&SETTINGS.replace(from, to)).expect(1);
        assert!(answer.err.contains(words), "{answer:?}");
    }
}
