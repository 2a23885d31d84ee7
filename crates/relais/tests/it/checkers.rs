//! Checkers of content from Debian, started for one test each: Rspamd, ClamAV's clamd, a milter;
//! and one of our own that is as slow as a test wants.
//!
//! Unpacked by `./ci` into `RELAIS_TOOLS`; without them the tests are skipped, and say so.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::PATIENCE;

/// What the signature of the tests finds.
pub(crate) const INFECTED: &str = "RELAIS-TEST-SIGNATURE";
/// What Rspamd rejects whatever its rules say.
pub(crate) const GTUBE: &str =
    "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X";
/// How often a socket that is about to be there is tried.
const TRY_EVERY: Duration = Duration::from_millis(20);

/// A program that runs as long as it is kept, with what it says in a file.
pub(crate) struct Program {
    child: Child,
    folder: TempDir,
    socket: PathBuf,
}

impl Program {
    /// For the bootstrap file.
    pub(crate) fn address(&self) -> String {
        format!("unix:{}", self.socket.display())
    }

    fn start(mut command: Command, folder: TempDir, socket: PathBuf) -> Self {
        let log = File::create(folder.path().join("out")).expect("a file");
        let both = log.try_clone().expect("a file");
        command.stdin(Stdio::null()).stdout(log).stderr(both);
        // Workers of its own end with it.
        command.process_group(0);
        let child = command.spawn().expect("the program starts");
        let program = Self {
            child,
            folder,
            socket,
        };
        program.wait();
        program
    }

    fn wait(&self) {
        let end = Instant::now() + PATIENCE;
        while UnixStream::connect(&self.socket).is_err() {
            let said = || std::fs::read_to_string(self.folder.path().join("out"));
            assert!(Instant::now() < end, "it does not listen: {:?}", said());
            thread::sleep(TRY_EVERY);
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.child.wait();
    }
}

/// A file of an unpacked package.
fn tool(path: &str) -> Option<PathBuf> {
    let tools = PathBuf::from(std::env::var_os("RELAIS_TOOLS")?);
    Some(tools.join(path)).filter(|path| path.exists())
}

fn libraries(folders: &[&str]) -> String {
    let machine = format!("{}-linux-gnu", std::env::consts::ARCH);
    let found = folders
        .iter()
        .filter_map(|folder| tool(&folder.replace("MACHINE", &machine)));
    let found = found.map(|path| path.display().to_string());
    found.collect::<Vec<_>>().join(":")
}

/// Rspamd without rules: what it does with GTUBE and with a score is built in.
pub(crate) fn rspamd() -> Option<Program> {
    let Some(binary) = tool("rspamd/usr/bin/rspamd") else {
        eprintln!("SKIPPED: rspamd is not in RELAIS_TOOLS");
        return None;
    };
    let share = tool("rspamd/usr/share/rspamd")?;
    let folder = TempDir::with_prefix("relais-rspamd-").expect("a folder");
    let (here, socket) = (folder.path(), folder.path().join("rspamd.sock"));
    // Its own list of endings of names takes ten seconds to compile.
    std::fs::write(here.join("endings"), "test\nexample\n").expect("a file");
    let text = format!(
        "options {{ pidfile = \"{0}/pid\"; tempdir = \"{0}\"; url_tld = \"{0}/endings\"; \
         filters = \"\"; dns {{ nameserver = [\"127.0.0.1:9\"]; timeout = 0.1s; \
         retransmits = 1; }} }}\n\
         logging {{ type = \"console\"; level = \"notice\"; }}\n\
         metric {{ name = default; actions {{ reject = 15; add_header = 6; }} }}\n\
         worker {{ type = \"normal\"; bind_socket = \"{1} mode=0666\"; count = 1; }}\n",
        here.display(),
        socket.display()
    );
    std::fs::write(here.join("rspamd.conf"), text).expect("a file");
    let mut command = Command::new(binary);
    command
        .args(["-f", "-i", "-c"])
        .arg(here.join("rspamd.conf"));
    for (name, path) in [
        ("DBDIR", here),
        ("RUNDIR", here),
        ("LOGDIR", here),
        ("CONFDIR", here),
        ("LOCAL_CONFDIR", here),
        ("SHAREDIR", &share),
        ("LUALIBDIR", &share.join("lualib")),
        ("RULESDIR", &share.join("rules")),
        ("PLUGINSDIR", &share.join("plugins")),
    ] {
        command.arg(format!("--var={name}={}", path.display()));
    }
    let paths = [
        "rspamd/usr/lib/rspamd",
        "libluajit-5.1-2/usr/lib/MACHINE",
        "libhyperscan5/usr/lib/MACHINE",
    ];
    command.env("LD_LIBRARY_PATH", libraries(&paths));
    Some(Program::start(command, folder, socket))
}

/// clamd with one signature: [`INFECTED`].
pub(crate) fn clamd() -> Option<Program> {
    let Some(binary) = tool("clamav-daemon/usr/sbin/clamd") else {
        eprintln!("SKIPPED: clamd is not in RELAIS_TOOLS");
        return None;
    };
    let folder = TempDir::with_prefix("relais-clamd-").expect("a folder");
    let (here, socket) = (folder.path(), folder.path().join("clamd.ctl"));
    let signatures = here.join("signatures");
    std::fs::create_dir(&signatures).expect("a folder");
    let hex: String = INFECTED.bytes().map(|byte| format!("{byte:02x}")).collect();
    let signature = format!("Relais.Test:0:*:{hex}\n");
    std::fs::write(signatures.join("tests.ndb"), signature).expect("a file");
    let text = format!(
        "DatabaseDirectory {}\nLocalSocket {}\nForeground yes\nUser root\nStreamMaxLength 1M\n",
        signatures.display(),
        socket.display()
    );
    let text = if is_root() {
        text
    } else {
        text.replace("User root\n", "")
    };
    let file = here.join("clamd.conf");
    std::fs::write(&file, text).expect("a file");
    let mut command = Command::new(binary);
    command.arg("-c").arg(&file);
    let paths = ["libclamav12/usr/lib/MACHINE", "libmspack0/usr/lib/MACHINE"];
    command.env("LD_LIBRARY_PATH", libraries(&paths));
    Some(Program::start(command, folder, socket))
}

/// A milter by Debian's python3-milter (libmilter of Sendmail): the subject says what it does.
const MILTER: &str = r#"
import sys, Milter

class Filter(Milter.Base):
    @Milter.noreply
    def header(self, name, value):
        if name.lower() == "subject":
            self.subject = value
        return Milter.CONTINUE

    def eom(self):
        self.addheader("X-Seen-By", "a milter")
        if self.subject == "refuse":
            self.setreply("550", "5.7.1", "Not this one")
            return Milter.REJECT
        if self.subject == "later":
            return Milter.TEMPFAIL
        if self.subject == "odd":
            self.quarantine("looks odd")
        if self.subject == "replace":
            self.replacebody("new")
        return Milter.CONTINUE

Milter.factory = Filter
Milter.set_flags(Milter.ADDHDRS + Milter.QUARANTINE + Milter.CHGBODY)
Milter.runmilter("tests", "unix:" + sys.argv[1], 60)
"#;

/// Whose modules Debian's packages are.
const DEBIAN_PYTHON: &str = "/usr/bin/python3";

/// See [`MILTER`].
pub(crate) fn milter() -> Option<Program> {
    let modules = tool("python3-milter/usr/lib/python3/dist-packages");
    let mut command = Command::new(DEBIAN_PYTHON);
    command.env("PYTHONPATH", modules.unwrap_or_default());
    let paths = ["libmilter1.0.1/usr/lib/MACHINE"];
    command.env("LD_LIBRARY_PATH", libraries(&paths));
    command.args(["-c", "import Milter"]).stderr(Stdio::null());
    if !command.status().is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: python3-milter is not in RELAIS_TOOLS, or of another python3");
        return None;
    }
    let folder = TempDir::with_prefix("relais-milter-").expect("a folder");
    let (file, socket) = (
        folder.path().join("filter.py"),
        folder.path().join("milter.sock"),
    );
    std::fs::write(&file, MILTER).expect("a file");
    let mut running = Command::new(DEBIAN_PYTHON);
    for (name, value) in command.get_envs() {
        running.env(name, value.unwrap_or_default());
    }
    running.arg(file).arg(&socket);
    Some(Program::start(running, folder, socket))
}

fn is_root() -> bool {
    let own = std::fs::metadata("/proc/self").map(|one| std::os::unix::fs::MetadataExt::uid(&one));
    own.is_ok_and(|uid| uid == 0) && Path::new("/root").exists()
}

/// A clamd of our own: it tells when it was asked, and answers when it is told to.
pub(crate) struct SlowClamd {
    pub(crate) address: SocketAddr,
    asked: mpsc::Receiver<u64>,
    answers: mpsc::Sender<&'static [u8]>,
}

impl SlowClamd {
    /// On a free port.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (tell, asked) = mpsc::channel();
        let (answers, awaited) = mpsc::channel::<&'static [u8]>();
        // Ends with the test's process, if nobody asks any more.
        thread::spawn(move || {
            for connection in listener.incoming() {
                let mut connection = connection.expect("a connection");
                let octets = scan(&mut connection);
                if tell.send(octets).is_err() {
                    return;
                }
                let Ok(answer) = awaited.recv() else {
                    return;
                };
                // The one who asked may be gone by then.
                let _ = connection.write_all(answer);
            }
        });
        Self {
            address,
            asked,
            answers,
        }
    }

    /// Waits until it has all of a message; its octets.
    #[track_caller]
    pub(crate) fn wait_for_content(&self) -> u64 {
        self.asked.recv_timeout(PATIENCE).expect("it is asked")
    }

    /// Answers the one who waits, or the next.
    pub(crate) fn answer(&self, words: &'static [u8]) {
        self.answers.send(words).expect("it waits");
    }
}

/// Reads a whole INSTREAM; its octets.
fn scan(connection: &mut impl Read) -> u64 {
    let mut command = [0; 10];
    connection.read_exact(&mut command).expect("a command");
    assert_eq!(&command, b"zINSTREAM\0");
    let mut octets = 0;
    loop {
        let mut length = [0; 4];
        connection.read_exact(&mut length).expect("a length");
        let length = u32::from_be_bytes(length);
        if length == 0 {
            return octets;
        }
        let mut piece = vec![0; length as usize];
        connection.read_exact(&mut piece).expect("a piece");
        octets += u64::from(length);
    }
}
