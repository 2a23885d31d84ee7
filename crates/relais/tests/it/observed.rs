//! What other people's programs see of us: Prometheus takes our rules; rsyslog takes our events
//! over TLS; a collector takes our traces.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::authority::{Authority, Wanted};
use crate::receiver::Receiver;
use crate::support::{BEHIND_PROXY, CONTOSO, PATIENCE, Place, Server, repository, run};
use crate::web_receiver::WebReceiver;

/// A file of an unpacked package; says what is missing.
pub(crate) fn tool(path: &str) -> Option<PathBuf> {
    let tools = PathBuf::from(std::env::var_os("RELAIS_TOOLS").unwrap_or_default());
    let found = Some(tools.join(path)).filter(|path| path.exists());
    if found.is_none() {
        eprintln!("SKIPPED: {path} is not in RELAIS_TOOLS");
    }
    found
}

/// A relay that has taken, delivered and refused mail.
fn busy(more: &str) -> (Server, Receiver) {
    let receiver = Receiver::start();
    let server = Place::new(&format!("{BEHIND_PROXY}{more}")).serve();
    let settings = CONTOSO.replace("127.0.0.1:9", &receiver.address().to_string());
    server.apply(&settings).expect(0);
    let id = server.send("scan@contoso.test", "b@example.org");
    // By the trace, as the log may have another form.
    wait_for(|| {
        let trace = server
            .relais(&["--json", "trace", "event:recipient.delivered"])
            .expect(0);
        trace.out.contains(&id).then_some(())
    });
    let mut stranger = server.session_from("198.51.100.7");
    stranger.hear();
    stranger.say("EHLO mx.example.org");
    stranger.say("MAIL FROM:<>");
    let reply = stranger.say("RCPT TO:<c@example.org>");
    assert!(reply.contains("SRC-UNKNOWN"), "{reply}");
    (server, receiver)
}

#[test]
fn promtool_of_debian_takes_the_rules_and_they_fire_when_they_should() {
    let Some(promtool) = tool("prometheus/usr/bin/promtool") else {
        return;
    };
    let folder = repository("packaging/monitoring");
    for (verb, file) in [
        ("check", "relais.rules.yml"),
        ("test", "relais.rules.test.yml"),
    ] {
        let mut command = Command::new(&promtool);
        command.args([verb, "rules", file]).current_dir(&folder);
        let answer = run(command, "").expect(0);
        assert!(answer.out.contains("SUCCESS"), "{answer:?}");
    }
    let dashboard = std::fs::read_to_string(folder.join("relais-dashboard.json")).expect("a file");
    let dashboard: Value = serde_json::from_str(&dashboard).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    assert!(
        panels
            .iter()
            .all(|panel| panel["title"].is_string() && panel["targets"].is_array())
    );
}

/// rsyslog of Debian, listening with TLS; killed when dropped.
struct Rsyslog {
    child: std::process::Child,
    port: String,
    received: PathBuf,
}

impl Rsyslog {
    fn start(folder: &Path, authority: &Authority) -> Option<Self> {
        let program = tool("rsyslog/usr/sbin/rsyslogd")?;
        let machine = format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH);
        let libraries = ["libestr0", "libfastjson4", "liblognorm5"];
        let libraries = libraries.map(|one| tool(&format!("{one}/{machine}")));
        let libraries = libraries.into_iter().collect::<Option<Vec<_>>>()?;
        let modules = ["rsyslog", "rsyslog-gnutls"];
        let modules = modules.map(|one| tool(&format!("{one}/{machine}/rsyslog")));
        let modules = modules.into_iter().collect::<Option<Vec<_>>>()?;
        let modules: Vec<_> = modules
            .iter()
            .map(|one| one.display().to_string())
            .collect();
        let pair = authority.issue(
            "syslog",
            &Wanted {
                subject: "/CN=syslog",
                names: "IP:127.0.0.1",
                usage: "serverAuth",
                days: 90,
            },
        );
        let at = |name: &str| folder.join(name).display().to_string();
        let (port, received, file) = (at("port"), folder.join("received"), folder.join("conf"));
        let text = format!(
            "global(workDirectory=\"{}\" DefaultNetstreamDriver=\"gtls\" \
             DefaultNetstreamDriverCAFile=\"{}\" DefaultNetstreamDriverCertFile=\"{}\" \
             DefaultNetstreamDriverKeyFile=\"{}\")\n\
             module(load=\"imtcp\" StreamDriver.Name=\"gtls\" StreamDriver.Mode=\"1\" \
             StreamDriver.AuthMode=\"anon\")\n\
             template(name=\"t\" type=\"string\" string=\"%pri% %protocol-version% %hostname% \
             %app-name% %msgid% %msg%\\n\")\n\
             input(type=\"imtcp\" address=\"127.0.0.1\" port=\"0\" listenPortFileName=\"{port}\")\n\
             action(type=\"omfile\" file=\"{}\" template=\"t\")\n",
            folder.display(),
            authority.file().display(),
            pair.certificate.display(),
            pair.key.display(),
            received.display(),
        );
        std::fs::write(&file, text).expect("a file");
        let log = std::fs::File::create(folder.join("rsyslog.log")).expect("a file");
        let libraries = std::env::join_paths(libraries).expect("paths");
        let mut command = Command::new(program);
        command
            .env("LD_LIBRARY_PATH", libraries)
            .args(["-n", "-f"])
            .arg(file);
        command
            .arg("-i")
            .arg(at("pid"))
            .arg("-M")
            .arg(modules.join(":"));
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file"))
            .stderr(log);
        let child = command.spawn().expect("rsyslogd starts");
        let mut this = Self {
            child,
            port: String::new(),
            received,
        };
        this.port = wait_for(|| {
            let text = std::fs::read_to_string(&port).unwrap_or_default();
            (!text.is_empty()).then_some(text)
        });
        Some(this)
    }

    /// The first line that fits.
    fn wait_for(&self, fits: impl Fn(&str) -> bool) -> String {
        wait_for(|| {
            let text = std::fs::read_to_string(&self.received).unwrap_or_default();
            text.lines().find(|line| fits(line)).map(str::to_owned)
        })
    }
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks again and again, as there is no bell.
#[track_caller]
pub(crate) fn wait_for<T>(look: impl Fn() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "it does not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn rsyslog_takes_events_over_tls_with_the_names_of_ecs() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new(folder.path(), "authority");
    let Some(rsyslog) = Rsyslog::start(folder.path(), &authority) else {
        return;
    };
    let more = format!(
        "[deliver]\nextra_ca = [\"{}\"]\n[syslog]\naddress = \"127.0.0.1:{}\"\nformat = \"ecs\"\n",
        authority.file().display(),
        rsyslog.port
    );
    let (_server, _receiver) = busy(&more);
    let line = rsyslog.wait_for(|line| line.contains(" recipient.delivered "));
    let (head, body) = line.split_once('{').expect("JSON");
    assert_eq!(head, "22 1 relay.contoso.test relais recipient.delivered ");
    let value: Value = serde_json::from_str(&format!("{{{body}")).expect("JSON");
    assert_eq!(value["event"]["action"], "recipient.delivered");
    assert_eq!(value["email"]["to"]["address"][0], "b@example.org");
    assert_eq!(value["organization"]["name"], "contoso");
    let refused = rsyslog.wait_for(|line| line.contains(" attempt.refused "));
    assert!(refused.starts_with("21 1 "), "{refused}");
}

#[test]
fn a_syslog_server_that_does_not_prove_its_name_gets_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new(folder.path(), "authority");
    let Some(rsyslog) = Rsyslog::start(folder.path(), &authority) else {
        return;
    };
    let more = format!("[syslog]\naddress = \"127.0.0.1:{}\"\n", rsyslog.port);
    let (server, _receiver) = busy(&more);
    server.log.wait_for("the warning", |line| {
        line.contains("the syslog server cannot be reached")
    });
    assert!(!rsyslog.received.exists());
}

#[test]
fn a_collector_is_told_of_each_stage_of_a_message_and_of_nobody_by_name() {
    let collector = WebReceiver::start();
    let more = format!("[otlp]\nendpoint = \"{}\"\n", collector.url("/v1/traces"));
    let (_server, _receiver) = busy(&more);
    let mut spans: Vec<Value> = Vec::new();
    let mut count = 0;
    while !spans
        .iter()
        .any(|span| span["name"] == "recipient.delivered")
    {
        count += 1;
        let posts = collector.wait_for_count(count);
        let post = &posts[count - 1];
        assert_eq!(post.path, "/v1/traces");
        let body: Value = serde_json::from_str(&post.body).expect("JSON");
        let scope = &body["resourceSpans"][0];
        let service = &scope["resource"]["attributes"][0];
        assert_eq!(service["value"]["stringValue"], "relais");
        let found = scope["scopeSpans"][0]["spans"].as_array().expect("spans");
        spans.extend(found.iter().cloned());
        assert!(!post.body.contains('@'), "no address leaves: {}", post.body);
    }
    let of = |name: &str| {
        let found = spans.iter().find(|span| span["name"] == name);
        found.unwrap_or_else(|| panic!("{name}: {spans:?}"))
    };
    let (accepted, attempted) = (of("message.accepted"), of("delivery.attempted"));
    assert_eq!(accepted["traceId"], attempted["traceId"]);
    assert_eq!(accepted["traceId"].as_str().map(str::len), Some(32));
    assert_eq!(attempted["parentSpanId"], accepted["spanId"]);
    assert!(accepted.get("parentSpanId").is_none());
    assert_eq!(
        (&accepted["kind"], &attempted["kind"]),
        (&2.into(), &3.into())
    );
    let time = |span: &Value, key: &str| {
        let text = span[key].as_str().expect("a text");
        text.parse::<u64>().expect("nanoseconds")
    };
    assert!(time(attempted, "startTimeUnixNano") <= time(attempted, "endTimeUnixNano"));
    assert_eq!(
        of("recipient.delivered")["parentSpanId"],
        accepted["spanId"]
    );
}
