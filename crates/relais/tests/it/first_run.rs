//! The first run by the real binary: the link, the door of the admin centre, checks and steps.

use std::fs;
use std::process::Command;

use crate::support::{Answer, CONTOSO, Place, Server, is_installed, run};
use crate::tls::openssl_fingerprint;

/// A server whose admin centre is reached by TLS.
fn encrypted() -> Server {
    let place = Place::new("");
    let file = place.path("relais.toml");
    let text = fs::read_to_string(&file).expect("a file");
    let text = text.replace("[admin]\n", "[admin]\ntls = \"self-signed\"\n");
    fs::write(file, text).expect("a file");
    place.serve()
}

fn curl(arguments: &[&str]) -> Answer {
    let mut command = Command::new("curl");
    command.args(["--silent", "--include", "--max-time", "30"]);
    command.args(arguments);
    run(command, "")
}

#[test]
fn the_setup_link_says_what_the_browser_will_show_and_a_script_reads_one_line() {
    let server = encrypted();
    let told = server.relais(&["setup-link"]).expect(0);
    let start = format!("https://{}/setup?t=", server.admin);
    assert_eq!(told.out.lines().count(), 1, "{told:?}");
    assert!(told.out.starts_with(&start), "{told:?}");
    let shown = openssl_fingerprint(&server.place.path("data/tls/self-signed.pem"));
    let version = env!("CARGO_PKG_VERSION")
        .rsplit_once('.')
        .expect("a version")
        .0;
    let expected = [
        format!("Relais {version} is running and refuses all mail until you finish set-up."),
        format!(
            "Certificate: self-signed, SHA-256 {shown}   (your browser will warn; compare this)"
        ),
        "No browser?  relais quickstart".to_owned(),
    ];
    assert_eq!(told.err.lines().collect::<Vec<_>>(), expected);
    server.apply(CONTOSO).expect(0);
    let later = server.relais(&["setup-link"]).expect(0);
    assert!(later.err.contains("is running.\n"), "{later:?}");
}

#[test]
fn by_tls_the_session_cookie_never_goes_in_clear() {
    if !is_installed("curl") {
        return;
    }
    let server = encrypted();
    let link = server.relais(&["setup-link"]).expect(0).out;
    let (_, token) = link.trim().split_once("?t=").expect("a token");
    let address = format!("https://{}/setup", server.admin);
    let origin = format!("Origin: https://{}", server.admin);
    let form = format!(
        "token={token}&name=anna&password=correct+horse+battery&again=correct+horse+battery"
    );
    let made = curl(&["--insecure", "-H", &origin, "--data", &form, &address]).expect(0);
    let cookie = made
        .out
        .lines()
        .find(|line| line.to_lowercase().starts_with("set-cookie"));
    let cookie = cookie.unwrap_or_else(|| panic!("{made:?}"));
    assert!(
        cookie.contains("relais_session=") && cookie.contains("; Secure"),
        "{cookie}"
    );
    let clear = curl(&[&format!("http://{}/livez", server.admin)]);
    assert_ne!(clear.code, 0, "nothing is served in clear there: {clear:?}");
}
