//! The real relay as a process: configured, started, killed, asked.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A relay with its folder and port; the process may come and go.
pub struct Relay {
    binary: PathBuf,
    folder: PathBuf,
    address: SocketAddr,
    child: Option<Child>,
    environment: Vec<(String, String)>,
}

impl Relay {
    /// Writes the bootstrap file into `folder`; `data_dir` may lie on another disk.
    pub fn new(binary: &Path, folder: &Path, data_dir: &Path) -> io::Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let text = format!(
            "hostname = \"relay.contoso.test\"\ndata_dir = \"{}\"\n\n[[listener]]\naddress = \
             \"{address}\"\ntls = \"none\"\n\n[admin]\naddress = \"127.0.0.1:0\"\n\n[limits]\n\
             disk_reserve = \"16 MiB\"\n",
            data_dir.display()
        );
        fs::write(folder.join("relais.toml"), text)?;
        let (binary, folder) = (binary.to_owned(), folder.to_owned());
        Ok(Self {
            binary,
            folder,
            address,
            child: None,
            environment: Vec::new(),
        })
    }

    /// Sets an environment variable of later starts.
    pub fn set_environment(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Where it listens for SMTP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts `relais serve` and waits for the banner; how long that took.
    pub fn start(&mut self) -> io::Result<Duration> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("relais.log"))?;
        let begun = Instant::now();
        let child = self
            .command(&["serve"])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.child = Some(child);
        self.wait_for_banner(begun + Duration::from_secs(30))?;
        Ok(begun.elapsed())
    }

    fn wait_for_banner(&mut self, until: Instant) -> io::Result<()> {
        loop {
            if greets(self.address) {
                return Ok(());
            }
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().ok()?) {
                let text = format!("relais ended with {status}: {}", self.log_tail());
                return Err(io::Error::other(text));
            }
            if Instant::now() > until {
                return Err(io::Error::other("relais did not greet in time"));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// kill -9.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself: that shows at the next start.
            let _gone = child.kill();
            let _status = child.wait();
        }
    }

    /// SIGTERM, and waits for the end.
    pub fn terminate(&mut self) -> io::Result<Duration> {
        let begun = Instant::now();
        if let Some(mut child) = self.child.take() {
            Command::new("kill").arg(child.id().to_string()).status()?;
            let status = child.wait()?;
            if !status.success() {
                return Err(io::Error::other(format!("relais ended with {status}")));
            }
        }
        Ok(begun.elapsed())
    }

    /// Runs another command of the binary with the same configuration.
    pub fn run(&self, arguments: &[&str]) -> io::Result<Output> {
        self.command(arguments).stdin(Stdio::null()).output()
    }

    /// `relais apply` with these settings.
    pub fn apply(&self, settings: &str) -> io::Result<()> {
        let file = self.folder.join("settings.toml");
        fs::write(&file, settings)?;
        let output = self.run(&["apply", "-f", &file.to_string_lossy()])?;
        if output.status.success() {
            return Ok(());
        }
        Err(io::Error::other(
            String::from_utf8_lossy(&output.stderr).into_owned(),
        ))
    }

    /// Messages and recipients that wait: `queued`, `deferred` and `held` of `relais status`.
    pub fn waiting(&self) -> io::Result<u64> {
        let output = self.run(&["--json", "status"])?;
        let status: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        Ok(["queued", "deferred", "held"]
            .iter()
            .filter_map(|key| status[key].as_u64())
            .sum())
    }

    /// The number of the running process.
    pub fn process_id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// The end of the log, for reports.
    pub fn log_tail(&self) -> String {
        let text = fs::read_to_string(self.folder.join("relais.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        // Nothing of the machine's own configuration; `RELAIS_TOOLS` is for the tests, not for it.
        let inherited = std::env::vars_os().map(|(name, _)| name);
        for name in inherited.filter(|name| name.to_string_lossy().starts_with("RELAIS_")) {
            command.env_remove(name);
        }
        command
            .arg("--config")
            .arg(self.folder.join("relais.toml"))
            .args(arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The most resident memory that a running process ever had, in octets (`VmHWM` of Linux).
pub fn peak_memory(process: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.map(|kib| kib << 10)
        .ok_or_else(|| io::Error::other("no VmHWM in /proc"))
}

fn greets(address: SocketAddr) -> bool {
    let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) else {
        return false;
    };
    let mut line = String::new();
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .is_ok()
        && BufReader::new(stream).read_line(&mut line).is_ok()
        && line.starts_with("220 ")
}
