//! Behind a load balancer: the client is whom the PROXY header names.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use crate::story::Names;
use crate::support::{BEHIND_PROXY, CONTOSO, PATIENCE, Place, Server, Session};

fn server() -> Server {
    let server = Place::new(BEHIND_PROXY).serve();
    let devices = CONTOSO.replace("[\"127.0.0.1\"]", "[\"10.1.2.0/24\"]");
    server.apply(&devices).expect(0);
    server
}

/// Refused at RCPT; the reply names the address that the relay sees.
#[track_caller]
fn knock(session: &mut Session) -> String {
    session.say("EHLO stranger.example");
    session.say("MAIL FROM:<a@example.com>");
    session.say("RCPT TO:<b@example.org>")
}

#[test]
fn connector_trace_and_refused_attempts_know_the_client_behind_the_proxy() {
    let server = server();
    let mut device = server.session_from("10.1.2.9");
    assert!(device.hear().starts_with("220 "));
    device.say("EHLO scan2");
    let reply = device.say("MAIL FROM:<scan@contoso.test>");
    assert!(reply.starts_with("250 "), "{reply}");
    let reply = device.say("RCPT TO:<b@example.org>");
    assert!(reply.starts_with("250 "), "{reply}");

    let mut stranger = server.session_from("203.0.113.7");
    assert!(stranger.hear().starts_with("220 "));
    let reply = knock(&mut stranger);
    assert!(
        reply.contains("Not registered for relay: 203.0.113.7"),
        "{reply}"
    );
    let attempts = server.relais(&["--json", "attempts", "list"]).expect(0);
    assert_eq!(attempts.json_lines()[0]["address"], "203.0.113.7");
}

#[test]
fn a_stranger_reaches_people_from_a_domain_that_takes_mail_only() {
    let names = Names::serve();
    let dns = format!("[dns]\nnameservers = [\"{}\"]\n", names.address);
    let server = Place::new(&(BEHIND_PROXY.to_owned() + &dns)).serve();
    let devices = CONTOSO.replace("[\"127.0.0.1\"]", "[\"10.1.2.0/24\"]");
    server.apply(&devices).expect(0);
    let mut stranger = server.session_from("203.0.113.7");
    assert!(stranger.hear().starts_with("220 "));
    stranger.say("EHLO stranger.example");
    for (sender, begins) in [
        ("a@example.org", "250 "),
        ("a@mx.example.org", "250 "),
        (
            "a@nothing.example",
            "550 5.1.8 Sender domain cannot receive mail (FROM-DNS ",
        ),
        (
            "a@nomail.example",
            "550 5.7.27 Sender domain takes no mail (FROM-DNS ",
        ),
    ] {
        let reply = stranger.say(&format!("MAIL FROM:<{sender}>"));
        assert!(reply.starts_with("250 "), "{sender}: {reply}");
        let reply = stranger.say("RCPT TO:<anna@contoso.test>");
        assert!(reply.starts_with(begins), "{sender}: {reply}");
        stranger.say("RSET");
    }
    let attempts = server.relais(&["--json", "attempts", "list"]).expect(0);
    let last = &attempts.json_lines()[0];
    assert_eq!(
        (&last["token"], &last["count"]),
        (&"FROM-DNS".into(), &2.into())
    );
}

#[test]
fn a_proxy_without_header_is_closed_and_can_be_found() {
    let server = server();
    let mut session = Session::connect(server.listener(1));
    let reply = session.say("EHLO proxy.contoso.test");
    assert!(
        reply.starts_with("421 4.3.5 PROXY header missing"),
        "{reply}"
    );
    assert_eq!(session.hear(), "", "closed");
    let attempts = server.relais(&["--json", "attempts", "list"]).expect(0);
    let first = &attempts.json_lines()[0];
    assert_eq!(
        (&first["token"], &first["address"]),
        (&"PROXY".into(), &"127.0.0.1".into())
    );
}

#[test]
fn a_header_on_the_other_listener_makes_nobody_a_client() {
    let server = server();
    let mut session = server.session();
    let reply = session.say("PROXY TCP4 10.1.2.9 192.0.2.1 4000 25");
    assert!(reply.starts_with("500 5.5.1"), "{reply}");
    let reply = knock(&mut session);
    assert!(
        reply.contains("Not registered for relay: 127.0.0.1"),
        "{reply}"
    );
}

/// HAProxy in front of the relay; ended when dropped.
struct HaProxy(Child);

impl Drop for HaProxy {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts it on a free port; `None` where it is not installed.
fn haproxy(server: &Server, send: &str) -> Option<(HaProxy, SocketAddr)> {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("an address");
    drop(free);
    let file = server.place.path("haproxy.cfg");
    let text = format!(
        "defaults\n mode tcp\n timeout connect 10s\n timeout client 60s\n timeout server 60s\n\
         listen smtp\n bind {address}\n server relay {} {send}\n",
        server.listener(1)
    );
    std::fs::write(&file, text).expect("a file");
    let mut command = Command::new("haproxy");
    command.arg("-db").arg("-f").arg(&file);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(child) = command.spawn() else {
        eprintln!("SKIPPED: haproxy is not installed");
        return None;
    };
    let proxy = HaProxy(child);
    let until = std::time::Instant::now() + PATIENCE;
    while std::net::TcpStream::connect(address).is_err() {
        assert!(std::time::Instant::now() < until, "haproxy listens");
        std::thread::yield_now();
    }
    Some((proxy, address))
}

#[test]
fn both_versions_of_haproxy_are_understood() {
    let server = server();
    for send in ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl-cn"] {
        let Some((_proxy, address)) = haproxy(&server, send) else {
            return;
        };
        let mut session = Session::open(address);
        let reply = knock(&mut session);
        assert!(
            reply.contains("Not registered for relay: 127.0.0.1"),
            "{send}: {reply}"
        );
    }
}
