//! A data folder that an early Relais left: the present program opens it, knows what it knew, and
//! delivers its mail. The database is written by Python from `old/queue-schema-1.sql`, the dump of
//! a real one; then the queue had no sources, and suspensions were a table of destinations.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use crate::receiver::{Arrival, Receiver};
use crate::support::{Place, repository, run};

/// The names of its messages, as they were accepted.
const TRIED: &str = "0APJ68KCM0000";
const HELD: &str = "0APJ68KDR0000";
const SUSPENDED: &str = "0APJ68KE00000";
const LARGE: &str = "0APJ68KF80000";

/// Where the large content lies, and what it begins with.
const SPOOL_FILE: &str = "spool/00/1a22b6abfc30000000";
const HEAD: &str = "Received: from [127.0.0.1] ([127.0.0.1])\r\n\tby relay.contoso.test with ESMTP id \
    0APJ68KF80000\r\n\tfor <anna@example.org>; Mon, 30 Nov 2026 07:46:04 +0000\r\nFrom: \
    scan@contoso.test\r\nTo: anna@example.org\r\nSubject: large\r\nMessage-ID: \
    <large@contoso.test>\r\nDate: Sun, 29 Nov 2026 12:00:00 +0000\r\n\r\n";

fn large() -> String {
    HEAD.to_owned() + &format!("{}\r\n", "x".repeat(76)).repeat(1_000)
}

/// The folder, with its next hop at this address.
fn old_folder(next_hop: SocketAddr) -> Place {
    let place = Place::new("");
    let data = place.data_dir();
    let spool = data.join(SPOOL_FILE);
    fs::create_dir_all(spool.parent().expect("a folder")).expect("room");
    fs::write(spool, large()).expect("room");
    let mut python = Command::new("python3");
    python.args([
        "-c",
        "import sqlite3, sys\n\
         database = sqlite3.connect(sys.argv[1])\n\
         database.executescript(open(sys.argv[2]).read())\n\
         database.execute('UPDATE settings_version SET document = replace(document, ?, ?)',\n\
         \x20   ('127.0.0.1:9', sys.argv[3]))\n\
         database.commit()\n\
         database.close()",
    ]);
    python.arg(data.join("queue.db"));
    python.arg(repository("crates/relais/tests/it/old/queue-schema-1.sql"));
    python.arg(next_hop.to_string());
    run(python, "").expect(0);
    place
}

/// What waits, by queue id, as a program in the folder tells it.
fn waiting(place: &Place) -> Vec<String> {
    let listed = place.relais(&["--json", "queue", "list"]).expect(0);
    let listed = listed.json_lines().into_iter();
    let ids = listed.map(|one| one["queue_id"].as_str().map(str::to_owned));
    ids.collect::<Option<_>>().expect("queue ids")
}

#[test]
fn a_data_folder_of_an_early_version_is_opened_and_its_mail_delivered() {
    let receiver = Receiver::start();
    let place = old_folder(receiver.address());
    // Without a server it is only read.
    assert_eq!(waiting(&place), [TRIED, HELD, SUSPENDED, LARGE]);
    let export = place.relais(&["export"]).expect(0).out;
    assert!(export.contains("name = \"Printers\""), "{export}");

    let server = place.serve();
    for id in [TRIED, LARGE] {
        server.await_event("recipient.delivered", id);
    }
    let large_one = |one: &Arrival| one.text().contains("\r\nSubject: large\r\n");
    let arrived = receiver.wait_for("the large one", large_one).text();
    assert!(arrived == large(), "{} octets", arrived.len());
    server.relais(&["audit", "verify"]).expect(0);
    let suspended = server.relais(&["queue", "suspended"]).expect(0).out;
    assert!(suspended.contains("suspended.example"), "{suspended}");
    assert_eq!(
        waiting(&server.place),
        [HELD, SUSPENDED],
        "as a person said"
    );

    server.relais(&["queue", "release", HELD]).expect(0);
    let resume = ["queue", "resume", "suspended.example"];
    server.relais(&resume).expect(0);
    for id in [HELD, SUSPENDED] {
        server.await_event("recipient.delivered", id);
    }
    assert_eq!(receiver.arrivals().len(), 4, "each once");
    // New mail, and a start with what this version wrote.
    server.send("scan@contoso.test", "new@example.org");
    receiver.wait_for_recipient("new@example.org");
    let (status, place) = server.stop();
    assert!(status.success());
    let server = place.serve();
    assert!(waiting(&server.place).is_empty());
    let suspended = server.relais(&["queue", "suspended"]).expect(0).out;
    assert!(suspended.contains("Nothing is suspended"), "{suspended}");
}
