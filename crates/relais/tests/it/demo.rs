//! The demo is the first thing that people try: it must come out well, quickly, in both languages.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Stdio};

use crate::support::{bare, run};

/// One that stays until it is dropped, and what it says.
struct Stays {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Stays {
    fn begin() -> Self {
        let mut child = bare(&["demo", "--lang", "en"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let said = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, said }
    }

    /// The next line with these words.
    fn hear(&mut self, words: &str) -> String {
        let mut before = String::new();
        loop {
            let begun = before.len();
            let read = self.said.read_line(&mut before).expect("text");
            assert_ne!(read, 0, "the demo ended before {words:?}: {before}");
            if before[begun..].contains(words) {
                return before[begun..].trim().to_owned();
            }
        }
    }

    fn press_enter(&mut self) {
        let input = self.child.stdin.as_mut().expect("piped");
        input.write_all(b"\n").expect("it listens");
    }
}

impl Drop for Stays {
    fn drop(&mut self) {
        let _status = std::process::Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        let _ended = self.child.wait();
    }
}

#[test]
fn the_demo_ends_with_0_and_tells_the_story_of_each_message() {
    let told = run(bare(&["demo", "--once", "--lang", "en"]), "").expect(0);
    for words in [
        "Accepted from 127.0.0.9 (printer-2) by connector \"Printers\"",
        "Repaired on the way in: ",
        "Delivered to <klara@fabrikam.example>",
        "Failed for <nobody@fabrikam.example>: 550 5.1.1 No such mailbox here",
        "Told <anna@contoso.test> by a notice",
        "Refused for 127.0.0.66",
        "SRC-UNKNOWN",
        "\n  What to do: ",
    ] {
        assert!(told.out.contains(words), "{words}\n{}", told.out);
    }
    assert!(!told.out.contains("FAIL"), "{}", told.out);
    // Nothing is left that a command could ask.
    assert!(!told.out.contains("--data-dir"), "{}", told.out);
}

#[test]
fn the_demo_speaks_french_by_the_environment() {
    let mut command = bare(&["demo", "--once"]);
    command.env_remove("LC_ALL").env("LANG", "fr_FR.UTF-8");
    let told = run(command, "").expect(0);
    assert!(
        told.out
            .contains("Tout s’est-il passé comme prévu\u{202f}?"),
        "{}",
        told.out
    );
    assert!(told.out.contains(", 1,4\u{202f}Mo."), "{}", told.out);
    assert!(!told.out.contains("iB"), "{}", told.out);
    assert!(
        told.out.contains("Remis à <klara@fabrikam.example>"),
        "{}",
        told.out
    );
}

#[test]
fn who_stays_opens_the_admin_centre_and_adds_a_printer_that_scans_when_enter_is_pressed() {
    let mut demo = Stays::begin();
    let link = demo.hear("/setup?t=");
    let (host, path) = link
        .strip_prefix("http://")
        .and_then(|rest| rest.split_once('/'))
        .expect("an address");
    let mut browser = TcpStream::connect(host).expect("the admin centre");
    write!(
        browser,
        "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )
    .expect("written");
    let mut page = String::new();
    browser.read_to_string(&mut page).expect("a page");
    assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
    let status = demo.hear(" status");
    let folder = status
        .split_whitespace()
        .nth_back(1)
        .expect("a folder")
        .to_owned();
    assert_ne!(demo.hear(" queue list"), "");

    demo.press_enter();
    let refused = demo.hear("The new printer was told:");
    assert!(
        refused.contains("Not registered for relay: 127.0.0.20 (SRC-UNKNOWN "),
        "{refused}"
    );
    let reference = refused
        .rsplit(' ')
        .next()
        .expect("a reference")
        .trim_end_matches(')');
    let there = ["--data-dir", &folder];
    for arguments in [
        &["attempts", "adopt", reference, "--name", "Third floor"][..],
        &["connector", "inbound", "enable", "Third floor"],
    ] {
        run(bare(&[&there, arguments].concat()), "").expect(0);
    }
    demo.press_enter();
    let taken = demo.hear("by connector \"Third floor\"");
    assert!(
        taken.contains("Accepted from 127.0.0.20 (printer-3)"),
        "{taken}"
    );
    assert_ne!(demo.hear("Delivered to <klara@fabrikam.example>"), "");
}
