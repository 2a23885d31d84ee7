//! What other people's readers make of our log and our metrics: fail2ban's own filter for Postfix
//! bans who deserves it and nobody else, pflogsumm counts the mail that there was, and what the
//! shipped dashboard and rules ask for is there. Each with a broken twin.
//!
//! Without fail2ban and pflogsumm in `RELAIS_TOOLS` (unpacked by `./ci`) their tests are skipped,
//! and say so.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::observed::{tool, wait_for};
use crate::receiver::Receiver;
use crate::support::{BEHIND_PROXY, Place, Server, repository, run};

/// May send.
const DEVICE: &str = "10.1.2.9";
/// Wants to relay.
const STRANGER: &str = "198.51.100.7";
const LETTER: &str = "From: anna@contoso.test\r\nSubject: scan\r\n\r\nhello\r\n.";
/// Guesses passwords, in clear: from a private address.
const GUESSER: &str = "10.20.30.40";

/// A relay whose log has the lines of Postfix, under this name, from now on.
fn writing_as(tag: &str, receiver: &Receiver) -> Server {
    // One with a certificate, as the dashboard tells when it ends.
    let encrypted = "[[listener]]\naddress = \"127.0.0.1:0\"\ntls = \"starttls\"\n";
    let server = Place::new(&format!("{BEHIND_PROXY}{encrypted}")).serve();
    let settings = format!(
        "[[organisation]]\nname = \"contoso\"\npostmaster = \"anna@contoso.test\"\n\
         [[organisation.domain]]\nname = \"contoso.test\"\nverification = \"assumed\"\n\
         [[organisation.recipient]]\naddress = \"anna@contoso.test\"\n\
         [[organisation.inbound_connector]]\nname = \"Printers\"\n\
         sender_ip_addresses = [\"{DEVICE}\"]\n\
         [[organisation.inbound_connector]]\nname = \"Programs\"\ncleartext_auth = true\n\
         [[organisation.outbound_connector]]\nname = \"Out\"\nsmart_hosts = [\"{}\"]\n\
         tls = \"none\"\n",
        receiver.address()
    );
    server.apply(&settings).expect(0);
    let add = [
        "credential",
        "add",
        "--connector",
        "Programs",
        "--user",
        "erp",
    ];
    server.relais(&add).expect(0);
    let file = server.place.path("relais.toml");
    let good = fs::read_to_string(&file).expect("the file");
    let more = format!("{good}\n[log]\nformat = \"postfix\"\ncompat_tag = \"{tag}\"\n");
    fs::write(&file, more).expect("written");
    server.signal("HUP");
    server
        .log
        .wait_for("the reload", |line| line.contains("was read again"));
    server
}

/// Two messages that arrive and one that nobody takes, two attempts to relay, three guesses.
fn traffic(server: &Server) {
    for to in ["b@example.org", "c@example.org", "nobody@example.org"] {
        let mut session = server.session_from(DEVICE);
        session.hear();
        session.say("EHLO scan");
        session.say("MAIL FROM:<anna@contoso.test>");
        session.say(&format!("RCPT TO:<{to}>"));
        session.say("DATA");
        let taken = session.say(LETTER);
        assert!(taken.starts_with("250 "), "{taken}");
        session.say("QUIT");
    }
    for _ in 0..2 {
        let mut session = server.session_from(STRANGER);
        session.hear();
        session.say("EHLO mx.example.org");
        session.say("MAIL FROM:<x@example.org>");
        let refused = session.say("RCPT TO:<victim@example.net>");
        assert!(refused.contains("SRC-UNKNOWN"), "{refused}");
        session.say("QUIT");
    }
    for password in ["one", "two", "three"] {
        let mut session = server.session_from(GUESSER);
        session.hear();
        session.say("EHLO mx.example.org");
        let guess = STANDARD.encode(format!("\0erp\0{password}"));
        let refused = session.say(&format!("AUTH PLAIN {guess}"));
        assert!(refused.starts_with("535 "), "{refused}");
        session.say("QUIT");
    }
}

/// All that such a relay wrote from its change to this form until its end, as a file.
fn log_of(tag: &str, folder: &Path) -> PathBuf {
    let receiver = Receiver::start();
    let server = writing_as(tag, &receiver);
    traffic(&server);
    // Two messages and the notice about the third.
    receiver.wait_for_count(3);
    let log = server.log.clone();
    log.wait_for("the notice's end", |line| {
        line.contains("to=<anna@contoso.test>") && line.contains("status=sent")
    });
    let (status, _place) = server.stop();
    assert!(status.success());
    let lines = log.to_the_end();
    let begin = lines
        .iter()
        .position(|line| line.contains("was read again"));
    let lines = &lines[begin.expect("it was reloaded")..];
    let file = folder.join(format!("{tag}.log"));
    fs::write(&file, format!("{}\n", lines.join("\n"))).expect("written");
    file
}

/// The addresses that fail2ban's filter for Postfix would count, one for each line that it counts.
fn counted_by_fail2ban(fail2ban: &Path, mode: &str, log: &Path) -> Vec<String> {
    let mut command = Command::new("python3");
    command
        .env("PYTHONPATH", fail2ban.join("usr/lib/python3/dist-packages"))
        .arg(fail2ban.join("usr/bin/fail2ban-regex"))
        .arg("-c")
        .arg(fail2ban.join("etc/fail2ban"))
        .args(["-o", "ip"])
        .arg(log)
        .arg(format!("postfix[mode={mode}]"));
    let answer = run(command, "").expect(0);
    let mut counted: Vec<_> = answer.out.lines().map(str::to_owned).collect();
    counted.sort_unstable();
    counted
}

#[test]
fn fail2ban_of_debian_counts_who_deserves_it_and_no_device() {
    let Some(fail2ban) = tool("fail2ban") else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let log = log_of("postfix", folder.path());
    let both = [GUESSER, GUESSER, GUESSER, STRANGER, STRANGER];
    assert_eq!(counted_by_fail2ban(&fail2ban, "extra", &log), both);
    assert_eq!(counted_by_fail2ban(&fail2ban, "normal", &log), both[3..]);
    assert_eq!(counted_by_fail2ban(&fail2ban, "auth", &log), both[..3]);
    // The broken twin: under our own name nobody is counted.
    let own = log_of("relais", folder.path());
    assert!(counted_by_fail2ban(&fail2ban, "extra", &own).is_empty());
}

/// What pflogsumm says of a log: the numbers of its first table.
fn summed(folder: &Path, libraries: &[PathBuf], log: &Path) -> BTreeMap<String, u64> {
    let libraries = std::env::join_paths(libraries).expect("paths");
    let mut command = Command::new("perl");
    command
        .env("PERL5LIB", libraries)
        .arg(folder.join("usr/sbin/pflogsumm"))
        .arg(log);
    let answer = run(command, "").expect(0);
    let numbers = answer
        .out
        .lines()
        .take_while(|line| !line.contains("Per-Hour"));
    let numbers = numbers.filter_map(|line| {
        let (number, word) = line.trim().split_once("   ")?;
        let word = word.split(" (").next().unwrap_or_default();
        Some((word.trim().to_owned(), number.parse().ok()?))
    });
    numbers.collect()
}

#[test]
fn pflogsumm_of_debian_counts_the_mail_that_there_was() {
    let perl = format!("usr/lib/{}-linux-gnu/perl5", std::env::consts::ARCH);
    let Some(pflogsumm) = tool("pflogsumm") else {
        return;
    };
    let libraries = [
        "libdate-calc-perl/usr/share/perl5",
        "libcarp-clan-perl/usr/share/perl5",
    ];
    let libraries = libraries.map(tool).into_iter().collect::<Option<Vec<_>>>();
    let vectors = tool(&format!("libbit-vector-perl/{perl}"));
    let (Some(mut libraries), Some(vectors)) = (libraries, vectors) else {
        return;
    };
    // Below it stands the version of Perl.
    let versions = fs::read_dir(vectors).expect("a folder");
    libraries.extend(versions.map(|one| one.expect("a name").path()));
    let folder = tempfile::tempdir().expect("a folder");
    let log = log_of("postfix", folder.path());
    let told = summed(&pflogsumm, &libraries, &log);
    let number = |word: &str| told.get(word).copied();
    // Three of the device and the notice about one; two attempts to relay.
    for (word, count) in [
        ("received", 4),
        ("delivered", 3),
        ("bounced", 1),
        ("deferred", 0),
        ("rejected", 2),
        ("recipients", 3),
    ] {
        assert_eq!(number(word), Some(count), "{word}: {told:?}");
    }
    // The broken twin: under our own name it counts nothing.
    let own = log_of("relais", folder.path());
    let told = summed(&pflogsumm, &libraries, &own);
    assert_eq!(told.get("received"), Some(&0), "{told:?}");
}

/// Metrics with the names of their labels, of what `/metrics` says.
fn exposed(metrics: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut all: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let end = line.find(['{', ' ']).unwrap_or(line.len());
        let labels = all.entry(&line[..end]).or_default();
        if let Some((named, _)) = line[end..]
            .strip_prefix('{')
            .and_then(|it| it.rsplit_once('}'))
        {
            labels.extend(
                named
                    .split("\",")
                    .filter_map(|one| Some(one.split_once('=')?.0)),
            );
        }
    }
    all
}

/// What an expression asks for that is not there: metrics, and labels of metrics.
fn missing(expression: &str, exposed: &BTreeMap<&str, BTreeSet<&str>>) -> Vec<String> {
    let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let of_prometheus = ["instance", "job"];
    let (mut missing, mut seen) = (Vec::new(), BTreeSet::from(of_prometheus));
    for (begin, _) in expression.match_indices("relais_") {
        let rest = &expression[begin..];
        let end = rest
            .find(|letter| !is_of_name(letter))
            .unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let Some(labels) = exposed.get(name) else {
            missing.push(name.to_owned());
            continue;
        };
        seen.extend(labels);
        let matchers = rest.strip_prefix('{').and_then(|it| it.split_once('}'));
        for matcher in matchers.into_iter().flat_map(|(it, _)| it.split(',')) {
            let label = matcher.split(['=', '!']).next().unwrap_or_default().trim();
            if !of_prometheus.contains(&label) && !labels.contains(label) {
                missing.push(format!("{name}{{{label}}}"));
            }
        }
    }
    for group in expression.split("by (").skip(1) {
        let labels = group.split(')').next().unwrap_or_default().split(',');
        let strange = labels.map(str::trim).filter(|label| !seen.contains(label));
        missing.extend(strange.map(|label| format!("by ({label})")));
    }
    missing
}

/// Every expression of the shipped dashboard, and of the rules, those from line to line.
fn shipped() -> Vec<String> {
    let folder = repository("packaging/monitoring");
    let read = |name: &str| fs::read_to_string(folder.join(name)).expect("a file");
    let dashboard: Value = serde_json::from_str(&read("relais-dashboard.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().expect("targets"));
    let asked = targets.map(|target| target["expr"].as_str().expect("a text").to_owned());
    let rules = read("relais.rules.yml");
    let rules = rules.split("expr:").skip(1);
    let rules = rules.map(|rest| rest.split("labels:").next().unwrap_or_default().to_owned());
    asked.chain(rules).collect()
}

#[test]
fn what_the_shipped_dashboard_and_rules_ask_for_is_there_after_traffic() {
    let receiver = Receiver::start();
    let server = writing_as("relais", &receiver);
    traffic(&server);
    receiver.wait_for_count(3);
    server.log.wait_for("the notice's end", |line| {
        line.contains("to=<anna@contoso.test>") && line.contains("status=sent")
    });
    // Whatever it finds: each check has a state, once those who watch have looked.
    server.relais(&["doctor"]);
    let metrics = wait_for(|| {
        let (status, metrics) = server.http("/metrics");
        assert_eq!(status, 200);
        Some(metrics).filter(|metrics| metrics.contains("\nrelais_check_state{"))
    });
    let exposed = exposed(&metrics);
    let shipped = shipped();
    assert!(shipped.len() > 25, "{shipped:?}");
    for expression in &shipped {
        let missing = missing(expression, &exposed);
        assert!(missing.is_empty(), "{missing:?} of {expression}\n{metrics}");
    }
    // The broken twins: a metric, a label and a group with one letter too few.
    for (right, wrong, told) in [
        (
            "relais_queue_messages",
            "relais_queue_mesages",
            "relais_queue_mesages",
        ),
        ("{result=", "{resut=", "relais_deliveries_total{resut}"),
        ("(reason)", "(reson)", "by (reson)"),
    ] {
        let found = shipped.iter().map(|one| one.replace(right, wrong));
        let found: Vec<_> = found.flat_map(|one| missing(&one, &exposed)).collect();
        assert!(found.iter().any(|one| one == told), "{wrong}: {found:?}");
    }
}
