//! When there is too little of something: the client is told to come back later, and once there is
//! enough again the relay takes mail without a restart.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Instant;

use relais_testkit::process::peak_memory;

use crate::receiver::Receiver;
use crate::support::{CONTOSO, PATIENCE, Place, Session};

/// A small file system of its own; unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one of 64 MiB at this folder; `None`, said aloud, where that is not allowed.
    fn mount(folder: &Path) -> Option<Self> {
        fs::create_dir_all(folder).expect("a folder");
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=64m,mode=0700", "relais-test"])
            .arg(folder);
        let output = mount.output().ok().filter(|output| output.status.success());
        if output.is_none() {
            eprintln!("SKIPPED: a small file system cannot be mounted here (not root?)");
            return None;
        }
        Some(Self(folder.to_owned()))
    }

    /// Leaves this many KiB free.
    fn fill(&self, leave_kib: usize) {
        let output = Command::new("df")
            .args(["--output=avail", "-k"])
            .arg(&self.0)
            .output();
        let text = String::from_utf8(output.expect("df runs").stdout).expect("UTF-8");
        let free = text
            .lines()
            .nth(1)
            .and_then(|line| line.trim().parse::<usize>().ok());
        let size = free.expect("a number") - leave_kib;
        fs::write(self.0.join("ballast"), vec![0_u8; size * 1_024]).expect("there is room");
    }

    fn empty(&self) {
        fs::remove_file(self.0.join("ballast")).expect("it was there");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the server that uses it may end a moment later.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// The reply to MAIL of a fresh session, once it begins with this code.
#[track_caller]
fn mail_answers(address: std::net::SocketAddr, code: &str) -> String {
    let until = Instant::now() + PATIENCE;
    loop {
        let mut session = Session::open(address);
        session.say("EHLO erp.contoso.test");
        let reply = session.say("MAIL FROM:<a@contoso.test>");
        if reply.starts_with(code) {
            return reply;
        }
        assert!(Instant::now() < until, "{reply} instead of {code}");
        thread::yield_now();
    }
}

#[test]
fn below_the_disk_reserve_mail_is_answered_452_until_there_is_space_again() {
    let receiver = Receiver::start();
    let place = Place::new("");
    let Some(disk) = SmallDisk::mount(&place.data_dir()) else {
        return;
    };
    let server = place.serve();
    let settings = CONTOSO.replace("127.0.0.1:9", &receiver.address().to_string());
    server.apply(&settings).expect(0);
    disk.fill(600);
    let reply = mail_answers(server.smtp, "452");
    assert!(
        reply.starts_with("452 4.3.1 Insufficient storage, retry later (BUSY "),
        "{reply}"
    );
    assert_eq!(server.http("/livez").0, 200, "a restart would not help");
    disk.empty();
    mail_answers(server.smtp, "250");
    server.send("a@contoso.test", "b@example.org");
    receiver.wait_for_recipient("b@example.org");
    let (status, _place) = server.stop();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn above_the_number_of_connections_there_is_421_until_one_ends() {
    let server = Place::new("connections_max = 3\n").serve();
    server.apply(CONTOSO).expect(0);
    let mut sessions: Vec<_> = (0..3).map(|_| server.session()).collect();
    let banner = Session::connect(server.smtp).hear();
    assert!(
        banner.starts_with("421 4.7.0 Too many connections, retry later (CONN-LIMIT "),
        "{banner}"
    );
    for session in &mut sessions {
        assert!(session.say("NOOP").starts_with("250 "), "the others go on");
    }
    let mut last = sessions.pop().expect("there are three");
    assert!(last.say("QUIT").starts_with("221 "));
    drop(last);
    let until = Instant::now() + PATIENCE;
    let mut next = loop {
        let mut next = Session::connect(server.smtp);
        if next.hear().starts_with("220 ") {
            break next;
        }
        assert!(Instant::now() < until, "the place is not free again");
    };
    assert!(next.say("HELO scanner").starts_with("250 "));
    let reply = next.say("MAIL FROM:<a@contoso.test>");
    assert!(reply.starts_with("250 "), "{reply}");
}

#[test]
fn many_large_messages_at_once_need_little_memory() {
    const MESSAGES: usize = 16;
    const OCTETS: usize = 6 << 20;
    // The programs of the gate (`memory`) do the same with 100 messages of 50 MB.
    // All of them in memory would be 96 MiB.
    const GROWTH_MAX: u64 = 48 << 20;
    let receiver = Receiver::start();
    let server = Place::new("").serve();
    server
        .apply(&CONTOSO.replace("127.0.0.1:9", &receiver.address().to_string()))
        .expect(0);
    let peak = || peak_memory(server.process_id()).expect("the process runs");
    // What the program itself needs, once it has delivered something.
    server.send("a@contoso.test", "first@example.org");
    receiver.wait_for_count(1);
    let before = peak();
    let line = format!("{}\r\n", "0123456789abcdef".repeat(4));
    let body = line.repeat(OCTETS / line.len());
    let send = |number: usize| {
        let mut session = server.session();
        session.say("EHLO erp.contoso.test");
        session.say("MAIL FROM:<a@contoso.test>");
        session.say(&format!("RCPT TO:<r{number}@example.org>"));
        session.say("DATA");
        session.write(b"From: a@contoso.test\r\n\r\n");
        session.write(body.as_bytes());
        session.say(".")
    };
    thread::scope(|scope| {
        let senders: Vec<_> = (0..MESSAGES)
            .map(|number| scope.spawn(move || send(number)))
            .collect();
        for sender in senders {
            let reply = sender.join().expect("no panic");
            assert!(reply.starts_with("250 2.0.0 Queued as "), "{reply}");
        }
    });
    for arrival in receiver.wait_for_count(1 + MESSAGES).iter().skip(1) {
        assert!(
            arrival.content.ends_with(body.as_bytes()),
            "{:?}",
            arrival.to
        );
    }
    let growth = peak() - before;
    assert!(growth < GROWTH_MAX, "{} MiB", growth >> 20);
}
