//! A certificate by ACME, ordered from pebble, a server for tests by the makers of Let's Encrypt:
//! proved by either challenge, shown by the listener, kept over a restart.
//!
//! Without pebble (unpacked by `./ci` into `RELAIS_TOOLS`) the tests are skipped, and say so.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::authority::{Authority, Wanted, openssl_with};
use crate::support::{Lines, PATIENCE, Place, Server};

/// pebble and its DNS server; ended when dropped.
struct Pebble {
    children: Vec<Child>,
    directory: String,
    /// Where the challenge is looked for.
    challenge_port: u16,
}

impl Drop for Pebble {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn tool(name: &str) -> Option<PathBuf> {
    let tools = PathBuf::from(std::env::var_os("RELAIS_TOOLS")?);
    let program = tools.join("pebble/usr/bin").join(name);
    program.is_file().then_some(program)
}

/// A port that is free now. pebble cannot choose one by itself.
fn free_port() -> u16 {
    let probe = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = probe.local_addr().expect("an address").port();
    UdpSocket::bind(("127.0.0.1", port)).expect("the same for UDP");
    port
}

impl Pebble {
    fn start(place: &Place, authority: &Authority) -> Option<Self> {
        let (Some(pebble), Some(dns)) = (tool("pebble"), tool("pebble-challtestsrv")) else {
            eprintln!("SKIPPED: pebble is not in RELAIS_TOOLS");
            return None;
        };
        let own = authority.issue(
            "pebble",
            &Wanted {
                subject: "/CN=localhost",
                names: "DNS:localhost",
                usage: "serverAuth",
                days: 9,
            },
        );
        let (listen, manage, dns_port, challenge) =
            (free_port(), free_port(), free_port(), free_port());
        let config = serde_json::json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{listen}"),
            "managementListenAddress": format!("127.0.0.1:{manage}"),
            "certificate": own.certificate,
            "privateKey": own.key,
            "httpPort": challenge,
            "tlsPort": challenge,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
        }});
        let file = place.path("pebble.json");
        fs::write(&file, config.to_string()).expect("a file");
        let mut names = Command::new(dns);
        names.args([
            "-dns01",
            &format!("127.0.0.1:{dns_port}"),
            "-defaultIPv6",
            "",
        ]);
        names.args(["-http01", "", "-https01", "", "-tlsalpn01", ""]);
        names.args(["-management", &format!("127.0.0.1:{}", free_port())]);
        let mut server = Command::new(pebble);
        server.arg("-config").arg(&file);
        server.args(["-dnsserver", &format!("127.0.0.1:{dns_port}")]);
        // No pause before the check, and every nonce is good: that is the library's business.
        server.envs([("PEBBLE_VA_NOSLEEP", "1"), ("PEBBLE_WFE_NONCEREJECT", "0")]);
        let children = [names, server].map(|mut command| {
            command.stdout(Stdio::piped()).stderr(Stdio::null());
            command.spawn().expect("it starts")
        });
        let mut children = Vec::from(children);
        let out = children[1].stdout.take().expect("piped");
        Lines::collect(out).wait_for("pebble", |line| line.contains("Listening on"));
        Some(Self {
            children,
            directory: format!("https://localhost:{listen}/dir"),
            challenge_port: challenge,
        })
    }

    /// A relay that orders here.
    fn place(&self, place: &Place, authority: &Authority, challenge: &str) {
        let text = format!(
            "hostname = \"relay.contoso.test\"\n[admin]\naddress = \"127.0.0.1:0\"\n\
             [limits]\ndisk_reserve = \"1 MiB\"\n\
             [[listener]]\naddress = \"127.0.0.1:0\"\ntls = \"implicit\"\n\
             [acme]\ndirectory = \"{}\"\ncontact = \"mailto:it@contoso.test\"\n\
             challenge = \"{challenge}\"\nhttp_address = \"127.0.0.1:{}\"\n\
             tls_address = \"127.0.0.1:{}\"\nextra_ca = {:?}\n",
            self.directory,
            self.challenge_port,
            self.challenge_port,
            authority.file()
        );
        fs::write(place.path("relais.toml"), text).expect("a file");
    }
}

/// Who issued the certificate that the listener shows.
fn issuer(server: &Server) -> String {
    let address = server.listener(0);
    let shown = openssl_with(&format!("s_client -connect {address} -showcerts"), "");
    let pem = shown.out.split("-----BEGIN").nth(1).unwrap_or_default();
    let pem = format!("-----BEGIN{pem}");
    openssl_with("x509 -noout -issuer", &pem).out
}

#[track_caller]
fn await_issuer(server: &Server, wanted: &str) {
    let until = Instant::now() + PATIENCE;
    loop {
        let found = issuer(server);
        if found.contains(wanted) {
            return;
        }
        assert!(Instant::now() < until, "{found}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[track_caller]
fn is_ordered_shown_and_kept(challenge: &str) {
    let place = Place::new("");
    let authority = Authority::new(&place.path(""), "ca");
    let Some(pebble) = Pebble::start(&place, &authority) else {
        return;
    };
    pebble.place(&place, &authority, challenge);
    let server = place.serve();
    server.log.wait_for("the order", |line| {
        line.contains("a certificate was issued")
    });
    await_issuer(&server, "Pebble");
    let (status, place) = server.stop();
    assert!(status.success(), "{status}");
    for secret in ["acme.pem", "acme-account.json"] {
        use std::os::unix::fs::PermissionsExt;
        let file = place.data_dir().join("tls").join(secret);
        let mode = fs::metadata(&file).expect("kept").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }
    // What is kept is enough: the server of the authority is gone.
    drop(pebble);
    let server = place.serve();
    await_issuer(&server, "Pebble");
}

#[test]
fn a_certificate_is_ordered_by_http_01_shown_and_kept() {
    is_ordered_shown_and_kept("http-01");
}

#[test]
fn a_certificate_is_ordered_by_tls_alpn_01_shown_and_kept() {
    is_ordered_shown_and_kept("tls-alpn-01");
}

#[test]
fn while_no_certificate_can_be_ordered_the_self_signed_one_is_shown_and_the_log_says_why() {
    let place = Place::new("");
    let authority = Authority::new(&place.path(""), "ca");
    let nobody = Pebble {
        children: Vec::new(),
        directory: format!("https://localhost:{}/dir", free_port()),
        challenge_port: free_port(),
    };
    nobody.place(&place, &authority, "http-01");
    let server = place.serve();
    let line = server
        .log
        .wait_for("the fault", |line| line.contains("no certificate by ACME"));
    assert!(line.contains("cannot be asked"), "{line}");
    assert!(line.contains("acme.directory"), "{line}");
    await_issuer(&server, "relay.contoso.test");
}
