//! Starts the real binary, waits until it is ready, talks to it.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// A machine under load gets this long for what takes milliseconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// An organisation with one connector for loopback; mail that it sends out is deferred, because
/// nobody listens on the discard port.
pub(crate) const CONTOSO: &str = r#"
[[organisation]]
name = "contoso"
postmaster = "it@contoso.test"

[[organisation.domain]]
name = "contoso.test"
verification = "assumed"

[[organisation.recipient]]
address = "anna@contoso.test"

[[organisation.inbound_connector]]
name = "Printers"
sender_ip_addresses = ["127.0.0.1"]
preset = "tolerant"
owner = "anna@contoso.test"

[[organisation.outbound_connector]]
name = "Nowhere"
smart_hosts = ["127.0.0.1:9"]
"#;

/// What a command answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Answer {
    /// The one JSON value on standard output.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// One JSON value a line.
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        let read = |line: &str| serde_json::from_str(line);
        self.out
            .lines()
            .map(|line| read(line).unwrap_or_else(|error| panic!("{error}: {self:?}")))
            .collect()
    }

    /// Fails the test unless the exit code is this.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }
}

/// A second listener, which believes PROXY headers from loopback: see [`Server::session_from`].
pub(crate) const BEHIND_PROXY: &str = "[[listener]]\naddress = \"127.0.0.1:0\"\ntls = \"none\"\n\
                                       proxy_protocol_from = [\"127.0.0.1\"]\n";

/// A folder with a bootstrap file; a server may run on it.
pub(crate) struct Place {
    folder: TempDir,
    /// Of the environment of every program here.
    variables: Vec<(&'static str, OsString)>,
}

impl Place {
    /// Listeners on free ports of loopback; `more` is added to the bootstrap file.
    pub(crate) fn new(more: &str) -> Self {
        let folder = TempDir::with_prefix("relais-it-").expect("a temporary folder");
        let text = format!(
            "hostname = \"relay.contoso.test\"\n[[listener]]\naddress = \"127.0.0.1:0\"\ntls = \"none\"\n\
             [admin]\naddress = \"127.0.0.1:0\"\n[limits]\ndisk_reserve = \"1 MiB\"\n{more}"
        );
        std::fs::write(folder.path().join("relais.toml"), text).expect("a file");
        Self {
            folder,
            variables: Vec::new(),
        }
    }

    /// With this variable in the environment of its programs.
    pub(crate) fn with_variable(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    /// With this line in `[admin]`.
    pub(crate) fn with_admin(self, line: &str) -> Self {
        let file = self.path("relais.toml");
        let text = std::fs::read_to_string(&file).expect("a file");
        let text = text.replace("[admin]\n", &format!("[admin]\n{line}\n"));
        std::fs::write(file, text).expect("a file");
        self
    }

    /// In this mode.
    pub(crate) fn with_mode(self, mode: &str) -> Self {
        let file = self.path("relais.toml");
        let text = std::fs::read_to_string(&file).expect("a file");
        std::fs::write(file, format!("mode = \"{mode}\"\n{text}")).expect("a file");
        self
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The data folder.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.path("data")
    }

    /// The program with this folder's configuration.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = bare(&[]);
        command.envs(self.variables.iter().cloned());
        command.arg("--config").arg(self.path("relais.toml"));
        command
            .arg("--data-dir")
            .arg(self.data_dir())
            .args(arguments);
        command
    }

    /// Runs a command to its end.
    pub(crate) fn relais(&self, arguments: &[&str]) -> Answer {
        run(self.command(arguments), "")
    }

    /// Runs a command that reads this text.
    pub(crate) fn relais_with(&self, arguments: &[&str], input: &str) -> Answer {
        run(self.command(arguments), input)
    }

    /// Starts the server and waits until it is ready.
    pub(crate) fn serve(self) -> Server {
        Server::start(self)
    }
}

/// The program without any configuration of this machine.
pub(crate) fn bare(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relais"));
    let inherited = std::env::vars_os().map(|(name, _)| name);
    for name in inherited.filter(|name| name.to_string_lossy().starts_with("RELAIS_")) {
        command.env_remove(name);
    }
    command
        .env("LC_ALL", "C")
        .env_remove("NOTIFY_SOCKET")
        .args(arguments);
    command
}

/// Runs a program to its end.
pub(crate) fn run(mut command: Command, input: &str) -> Answer {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    // A program that reads nothing closes the pipe: then nothing is to be written.
    let _ = child
        .stdin
        .take()
        .expect("piped")
        .write_all(input.as_bytes());
    let output = child.wait_with_output().expect("the program ends");
    Answer {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).expect("UTF-8"),
        err: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// Whether a program is there; a test without it says so and ends.
pub(crate) fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    if !found {
        eprintln!("SKIPPED: {program} is not installed");
    }
    found
}

/// Lines as they come.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Collected>);

#[derive(Default)]
struct Collected {
    /// The lines, and whether the reader has ended.
    state: Mutex<(Vec<String>, bool)>,
    changed: Condvar,
}

impl Lines {
    /// Collects until the end of the reader.
    pub(crate) fn collect(reader: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let own = lines.clone();
        thread::spawn(move || {
            for line in BufReader::new(reader).lines().map_while(Result::ok) {
                own.0.state.lock().expect("no panic").0.push(line);
                own.0.changed.notify_all();
            }
            own.0.state.lock().expect("no panic").1 = true;
            own.0.changed.notify_all();
        });
        lines
    }

    /// The first line, from the beginning, that fits; waits for it.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, fits: impl Fn(&str) -> bool) -> String {
        let Collected { state, changed } = &*self.0;
        let missing =
            |state: &mut (Vec<String>, bool)| !state.1 && !state.0.iter().any(|line| fits(line));
        let (state, _) = changed
            .wait_timeout_while(state.lock().expect("no panic"), PATIENCE, missing)
            .expect("no panic");
        match state.0.iter().find(|line| fits(line)) {
            Some(line) => line.clone(),
            None => panic!("{what} did not come; there was:\n{}", state.0.join("\n")),
        }
    }

    /// All lines, once the reader has come to its end: what a program that has ended wrote last is
    /// still on its way.
    #[track_caller]
    pub(crate) fn to_the_end(&self) -> Vec<String> {
        let Collected { state, changed } = &*self.0;
        let state = state.lock().expect("no panic");
        let (state, _) = changed
            .wait_timeout_while(state, PATIENCE, |(_, has_ended)| !*has_ended)
            .expect("no panic");
        assert!(state.1, "no end; there was:\n{}", state.0.join("\n"));
        state.0.clone()
    }

    /// All lines so far.
    pub(crate) fn so_far(&self) -> Vec<String> {
        self.0.state.lock().expect("no panic").0.clone()
    }
}

/// A running server; killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) place: Place,
    /// Its mail listener.
    pub(crate) smtp: SocketAddr,
    /// Its probes.
    pub(crate) admin: SocketAddr,
    /// Its log.
    pub(crate) log: Lines,
    /// What it told the person who started it.
    pub(crate) told: Lines,
}

impl Server {
    /// Starts it and waits until it is ready.
    #[track_caller]
    pub(crate) fn start(place: Place) -> Self {
        let mut command = place.command(&["serve"]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let log = Lines::collect(child.stdout.take().expect("piped"));
        let told = Lines::collect(child.stderr.take().expect("piped"));
        let line = told.wait_for("the first sentence", |line| line.contains("listens on "));
        let started = log.wait_for("started", |line| line.contains("\"started\""));
        let started: Value = serde_json::from_str(&started).unwrap_or_else(|_| panic!("{line}"));
        let address = |key: &str| {
            let text = started[key]
                .as_str()
                .and_then(|text| text.split(' ').next());
            text.and_then(|text| text.parse().ok())
                .unwrap_or_else(|| panic!("{started}"))
        };
        Self {
            child,
            smtp: address("listeners"),
            admin: address("admin"),
            place,
            log,
            told,
        }
    }

    /// With these settings applied.
    #[track_caller]
    pub(crate) fn with_settings(settings: &str) -> Self {
        let server = Place::new("").serve();
        server.apply(settings).expect(0);
        server
    }

    /// Applies settings.
    pub(crate) fn apply(&self, settings: &str) -> Answer {
        self.place.relais_with(&["apply", "-f", "-"], settings)
    }

    /// Runs a command against it.
    pub(crate) fn relais(&self, arguments: &[&str]) -> Answer {
        self.place.relais(arguments)
    }

    /// The number of its process.
    pub(crate) fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.child.id().to_string())
            .status();
        assert!(status.expect("kill runs").success());
    }

    /// Ends it as systemd does; its exit status, and the folder it leaves.
    pub(crate) fn stop(self) -> (ExitStatus, Place) {
        self.signal("TERM");
        self.ended()
    }

    /// Waits for its end.
    pub(crate) fn ended(mut self) -> (ExitStatus, Place) {
        let status = self.child.wait().expect("the program ends");
        let Self { place, .. } = &mut self;
        let place = std::mem::replace(place, Place::new(""));
        (status, place)
    }

    /// The body of an address of the admin listener, and its status.
    pub(crate) fn http(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.admin).expect("the admin listener answers");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: relais\r\nConnection: close\r\n\r\n"
        )
        .expect("written");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        (status.expect("a status"), body.to_owned())
    }

    /// The address of its mail listener with this number, in the order of the file.
    #[track_caller]
    pub(crate) fn listener(&self, number: usize) -> SocketAddr {
        let started = self
            .log
            .wait_for("started", |line| line.contains("\"started\""));
        let started: Value = serde_json::from_str(&started).expect("JSON");
        let addresses = started["listeners"].as_str().unwrap_or_default();
        let address = addresses.split(' ').nth(number);
        address
            .and_then(|text| text.parse().ok())
            .unwrap_or_else(|| panic!("{started}"))
    }

    /// Opens an SMTP session as this client, through the listener behind a proxy.
    #[track_caller]
    pub(crate) fn session_from(&self, client: &str) -> Session {
        let mut session = Session::connect(self.listener(1));
        session.write(format!("PROXY TCP4 {client} 192.0.2.1 4000 25\r\n").as_bytes());
        session
    }

    /// Opens an SMTP session.
    pub(crate) fn session(&self) -> Session {
        Session::open(self.smtp)
    }

    /// Sends one message; its queue id.
    #[track_caller]
    pub(crate) fn send(&self, from: &str, to: &str) -> String {
        let mut session = self.session();
        session.say("EHLO client.contoso.test");
        let (sender, recipient) = (format!("MAIL FROM:<{from}>"), format!("RCPT TO:<{to}>"));
        for (command, code) in [(&*sender, "250"), (&*recipient, "250"), ("DATA", "354")] {
            let reply = session.say(command);
            assert!(reply.starts_with(code), "{command}: {reply}");
        }
        let reply = session.say(&format!(
            "From: {from}\r\nTo: {to}\r\nSubject: test\r\n\r\nhello\r\n."
        ));
        session.say("QUIT");
        reply
            .strip_prefix("250 2.0.0 Queued as ")
            .unwrap_or_else(|| panic!("{reply}"))
            .to_owned()
    }

    /// Waits until the trace has an event that fits these tokens.
    #[track_caller]
    pub(crate) fn await_event(&self, kind: &str, queue_id: &str) {
        let (kind, id) = (
            format!("\"event\":\"{kind}\""),
            format!("\"queue_id\":\"{queue_id}\""),
        );
        self.log
            .wait_for(&kind, |line| line.contains(&kind) && line.contains(&id));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An SMTP session, line by line.
pub(crate) struct Session {
    reader: BufReader<TcpStream>,
}

impl Session {
    /// Connects.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the listener answers");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        Self {
            reader: BufReader::new(stream),
        }
    }

    /// Connects, and hears the banner.
    pub(crate) fn open(address: SocketAddr) -> Self {
        let mut session = Self::connect(address);
        let banner = session.hear();
        assert!(banner.starts_with("220 "), "{banner}");
        session
    }

    /// Sends octets as they are.
    pub(crate) fn write(&mut self, octets: &[u8]) {
        self.reader.get_mut().write_all(octets).expect("written");
    }

    /// Says a line; the last line of the reply.
    pub(crate) fn say(&mut self, line: &str) -> String {
        let stream = self.reader.get_mut();
        stream
            .write_all(format!("{line}\r\n").as_bytes())
            .expect("written");
        self.hear()
    }

    /// The last line of the next reply; empty at the end.
    pub(crate) fn hear(&mut self) -> String {
        loop {
            let mut line = String::new();
            let octets = self.reader.read_line(&mut line).expect("an answer");
            let line = line.trim_end().to_owned();
            if octets == 0 || line.as_bytes().get(3) != Some(&b'-') {
                return line;
            }
        }
    }
}

/// Alerts but those that the rules raise by themselves, every few seconds.
pub(crate) fn told_at_once(alerts: &Answer) -> Vec<Value> {
    let mut alerts = alerts.json_lines();
    alerts.retain(|one| {
        let detail = one["detail"].as_str().unwrap_or_default();
        !detail.starts_with("RAISED: ")
    });
    alerts
}

/// A file of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}
