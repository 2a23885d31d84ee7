//! Signed zones, good and bad, served by NSD and validated by Unbound, from their unpacked Debian
//! packages: nothing is installed, and the root's key is made anew each time.
//!
//! `./ci` unpacks the packages and names their folder in `RELAIS_TOOLS`.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A server that does not answer by then will not.
const PATIENCE: Duration = Duration::from_secs(20);

/// What becomes of a zone before it is served.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signing {
    /// Signed; what is not there is denied by NSEC.
    Nsec,
    /// The same by NSEC3.
    Nsec3,
    /// Signed, and the time of its signatures is over.
    Expired,
    /// Signed, and then this text replaced by that one.
    Tampered(&'static str, &'static str),
    /// Not signed.
    None,
}

/// A zone: its name without a final dot, its records as in a zone file, without SOA and NS.
#[derive(Clone, Debug)]
pub struct ServedZone {
    /// `b.test`.
    pub name: &'static str,
    /// One record a line.
    pub records: String,
    /// How it is signed.
    pub signing: Signing,
}

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Tools(PathBuf);

/// A running pair of servers; stopped when dropped.
pub struct SignedDns {
    resolver: SocketAddr,
    servers: Vec<Child>,
}

impl Tools {
    /// The unpacked packages, if all are there.
    pub fn found() -> Option<Self> {
        let tools = Self(PathBuf::from(std::env::var_os("RELAIS_TOOLS")?));
        let programs = [tools.nsd(), tools.unbound(), tools.ldns("ldns-signzone")];
        let there = programs.iter().all(|one| one.exists()) && tools.libraries().exists();
        there.then_some(tools)
    }

    fn nsd(&self) -> PathBuf {
        self.0.join("nsd/usr/sbin/nsd")
    }

    fn unbound(&self) -> PathBuf {
        self.0.join("unbound/usr/sbin/unbound")
    }

    fn ldns(&self, program: &str) -> PathBuf {
        self.0.join("ldnsutils/usr/bin").join(program)
    }

    fn libraries(&self) -> PathBuf {
        let machine = std::env::consts::ARCH;
        self.0.join(format!("libldns3/usr/lib/{machine}-linux-gnu"))
    }

    /// Runs a program of ldns in a folder.
    fn run(&self, folder: &Path, program: &str, arguments: &[&str]) -> io::Result<Output> {
        let output = Command::new(self.ldns(program))
            .args(arguments)
            .current_dir(folder)
            .env("LD_LIBRARY_PATH", self.libraries())
            .output()?;
        Ok(output)
    }

    fn expect(&self, folder: &Path, program: &str, arguments: &[&str]) -> io::Result<String> {
        let output = self.run(folder, program, arguments)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(io::Error::other(format!("{program} {arguments:?}: {said}")))
    }
}

impl SignedDns {
    /// Signs the zones and a root above them, and serves all in `folder`.
    pub fn start(tools: &Tools, folder: &Path, zones: &[ServedZone]) -> io::Result<Self> {
        let folder = folder.join("dns");
        fs::create_dir_all(&folder)?;
        let mut root = String::new();
        for zone in zones {
            let _ = writeln!(root, "{}. NS ns.", zone.name);
            if let Some(delegation) = sign(tools, &folder, zone)? {
                root.push_str(&delegation);
            }
        }
        root.push_str("ns. A 127.0.0.1\n");
        let root = ServedZone {
            name: "",
            records: root,
            signing: Signing::Nsec,
        };
        let anchor = sign(tools, &folder, &root)?.unwrap_or_default();
        fs::write(folder.join("anchor"), anchor)?;
        let names: Vec<_> = zones.iter().map(|zone| zone.name).chain([""]).collect();
        let (authority, resolver) = (free_port()?, free_port()?);
        fs::write(
            folder.join("nsd.conf"),
            nsd_conf(&folder, authority, &names),
        )?;
        let unbound_conf = unbound_conf(&folder, authority, resolver, &names);
        fs::write(folder.join("unbound.conf"), unbound_conf)?;
        let nsd = spawn(&folder, &tools.nsd(), "nsd.conf", "nsd.out")?;
        let mut dns = Self {
            resolver,
            servers: vec![nsd],
        };
        let unbound = spawn(&folder, &tools.unbound(), "unbound.conf", "unbound.out")?;
        dns.servers.push(unbound);
        dns.wait_until_it_validates(tools, &folder)?;
        Ok(dns)
    }

    /// The validating resolver.
    pub fn resolver(&self) -> SocketAddr {
        self.resolver
    }

    fn wait_until_it_validates(&self, tools: &Tools, folder: &Path) -> io::Result<()> {
        let port = self.resolver.port().to_string();
        let arguments = ["-D", "-p", &port, "@127.0.0.1", ".", "SOA"];
        let until = Instant::now() + PATIENCE;
        let mut said = String::new();
        while Instant::now() < until {
            let output = tools.run(folder, "drill", &arguments)?;
            said = String::from_utf8_lossy(&output.stdout).into_owned();
            if said
                .lines()
                .any(|line| line.contains("flags:") && line.contains(" ad"))
            {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        let out = |file: &str| fs::read_to_string(folder.join(file)).unwrap_or_default();
        let (nsd, unbound) = (out("nsd.out"), out("unbound.out"));
        Err(io::Error::other(format!("{said}\n{nsd}\n{unbound}")))
    }
}

impl Drop for SignedDns {
    fn drop(&mut self) {
        for server in &mut self.servers {
            // SIGTERM lets NSD end its children.
            let _asked = Command::new("kill").arg(server.id().to_string()).status();
            let _status = server.wait();
        }
    }
}

/// Writes `NAME.zone`; what its parent says of its key, if it is signed.
fn sign(tools: &Tools, folder: &Path, zone: &ServedZone) -> io::Result<Option<String>> {
    let origin = format!("{}.", zone.name);
    let plain = file_of(zone.name).replace(".zone", ".plain");
    let text = format!(
        "$ORIGIN {origin}\n$TTL 60\n@ SOA ns. it.test. 1 3600 600 86400 60\n@ NS ns.\n{}",
        zone.records
    );
    fs::write(folder.join(&plain), &text)?;
    let served = folder.join(file_of(zone.name));
    if zone.signing == Signing::None {
        fs::write(served, text)?;
        return Ok(None);
    }
    let key = tools.expect(
        folder,
        "ldns-keygen",
        &["-a", "ECDSAP256SHA256", "-k", &origin],
    )?;
    let signed = format!("{plain}.signed");
    let options: &[&str] = match zone.signing {
        Signing::Nsec | Signing::Tampered(..) | Signing::None => &[],
        Signing::Nsec3 => &["-n"],
        Signing::Expired => &["-i", "20240101000000", "-e", "20240201000000"],
    };
    let arguments = [options, &[plain.as_str(), key.as_str()]].concat();
    tools.expect(folder, "ldns-signzone", &arguments)?;
    let mut text = fs::read_to_string(folder.join(signed))?;
    if let Signing::Tampered(from, to) = zone.signing {
        if !text.contains(from) {
            return Err(io::Error::other(format!("{from} is not in the zone")));
        }
        text = text.replace(from, to);
    }
    fs::write(served, text)?;
    let delegation = tools.expect(folder, "ldns-key2ds", &["-n", "-2", &format!("{key}.key")])?;
    Ok(Some(format!("{delegation}\n")))
}

fn file_of(zone: &str) -> String {
    let name = if zone.is_empty() { "root" } else { zone };
    format!("{name}.zone")
}

/// One that is free for UDP and TCP.
fn free_port() -> io::Result<SocketAddr> {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        if UdpSocket::bind(tcp).is_ok() {
            return Ok(tcp);
        }
    }
}

fn nsd_conf(folder: &Path, at: SocketAddr, names: &[&str]) -> String {
    let path = folder.display();
    let mut text = format!(
        "server:\n ip-address: 127.0.0.1@{}\n username: \"\"\n chroot: \"\"\n database: \"\"\n \
         zonesdir: \"{path}\"\n pidfile: \"{path}/nsd.pid\"\n xfrdfile: \"\"\n xfrdir: \"{path}\"\n \
         zonelistfile: \"{path}/zone.list\"\n server-count: 1\nremote-control:\n \
         control-enable: no\n",
        at.port()
    );
    for name in names {
        let file = file_of(name);
        let _ = write!(text, "zone:\n name: \"{name}.\"\n zonefile: \"{file}\"\n");
    }
    text
}

fn unbound_conf(folder: &Path, authority: SocketAddr, at: SocketAddr, names: &[&str]) -> String {
    let path = folder.display();
    let mut text = format!(
        "server:\n interface: 127.0.0.1@{}\n do-ip6: no\n username: \"\"\n chroot: \"\"\n \
         directory: \"{path}\"\n pidfile: \"\"\n use-syslog: no\n do-daemonize: no\n num-threads: 1\n \
         do-not-query-localhost: no\n local-zone: \"test.\" nodefault\n \
         module-config: \"validator iterator\"\n trust-anchor-file: \"{path}/anchor\"\n \
         qname-minimisation: no\nremote-control:\n control-enable: no\n",
        at.port()
    );
    for name in names {
        let _ = write!(
            text,
            "stub-zone:\n name: \"{name}.\"\n stub-addr: 127.0.0.1@{}\n",
            authority.port()
        );
    }
    text
}

fn spawn(folder: &Path, program: &Path, conf: &str, out: &str) -> io::Result<Child> {
    let out = fs::File::create(folder.join(out))?;
    let conf: OsString = folder.join(conf).into();
    Command::new(program)
        .arg("-d")
        .arg("-c")
        .arg(conf)
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out)
        .spawn()
}

/// A resolver that asks one name server for each of some zones, and nobody else. It keeps nothing.
pub struct StubResolver(Child);

impl StubResolver {
    /// Unbound at an address, asking over UDP, or over TCP only.
    ///
    /// # Errors
    /// Where a file or the program cannot be had.
    pub fn start(
        tools: &Tools,
        folder: &Path,
        at: SocketAddr,
        (zones, over_tcp): (&[(&str, SocketAddr)], bool),
    ) -> io::Result<Self> {
        let tcp = if over_tcp { "yes" } else { "no" };
        let mut text = format!(
            "server:\n interface: {}@{}\n do-ip6: no\n username: \"\"\n chroot: \"\"\n \
             directory: \"{}\"\n pidfile: \"\"\n use-syslog: no\n do-daemonize: no\n \
             num-threads: 1\n do-not-query-localhost: no\n local-zone: \"test.\" nodefault\n \
             module-config: \"iterator\"\n tcp-upstream: {tcp}\n cache-max-ttl: 0\n \
             cache-max-negative-ttl: 0\nremote-control:\n control-enable: no\n",
            at.ip(),
            at.port(),
            folder.display()
        );
        for (name, server) in zones {
            let (address, port) = (server.ip(), server.port());
            let _ = write!(
                text,
                "stub-zone:\n name: \"{name}.\"\n stub-addr: {address}@{port}\n"
            );
        }
        fs::write(folder.join("stub.conf"), text)?;
        let resolver = Self(spawn(folder, &tools.unbound(), "stub.conf", "stub.out")?);
        let until = Instant::now() + PATIENCE;
        while let Err(error) = TcpStream::connect(at) {
            if Instant::now() > until {
                let said = fs::read_to_string(folder.join("stub.out")).unwrap_or_default();
                return Err(io::Error::other(format!("{error}\n{said}")));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(resolver)
    }
}

impl Drop for StubResolver {
    fn drop(&mut self) {
        let _asked = self.0.kill();
        let _status = self.0.wait();
    }
}
