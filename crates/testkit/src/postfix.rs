//! Postfix as a peer, from its unpacked Debian package: nothing is installed, nothing outside its
//! own folder is touched but the two system users that it demands.
//!
//! `./ci` unpacks the package and names its folder in `RELAIS_TOOLS`.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::sasl::Logins;

const SERVICES: &str = "\
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
proxymap  unix  - - n - - proxymap
smtp      unix  - - n - - smtp
relay     unix  - - n - - smtp
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
virtual   unix  - n n - - virtual
tlsmgr    unix  - - n 1000? 1 tlsmgr
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
";
const QUEUES: &[&str] = &[
    "active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private",
    "saved", "trace",
];

/// A running Postfix; stopped when dropped.
pub struct Postfix {
    address: SocketAddr,
    folder: PathBuf,
    master: Child,
}

/// Files of a server's certificate, in PEM.
#[derive(Clone, Debug)]
pub struct ServerTls {
    /// The chain.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// How clients come in.
#[derive(Clone, Debug, Default)]
pub struct Door {
    /// STARTTLS is offered, with this certificate.
    pub tls: Option<ServerTls>,
    /// Only a version of TLS that nobody should speak any more.
    pub old_tls_only: bool,
    /// Mail is taken only from clients with a certificate of this authority.
    pub client_authority: Option<PathBuf>,
    /// Mail is taken only after a login with one of these.
    pub logins: Option<Logins>,
}

impl Door {
    /// Everybody, over STARTTLS.
    pub fn with_tls(tls: ServerTls) -> Self {
        Self {
            tls: Some(tls),
            ..Self::default()
        }
    }

    fn main_cf(&self) -> String {
        let mut lines = String::new();
        if let Some(tls) = &self.tls {
            let (certificate, key) = (tls.certificate.display(), tls.key.display());
            lines += &format!(
                "smtpd_tls_security_level = may\nsmtpd_tls_received_header = yes\n\
                 smtpd_tls_cert_file = {certificate}\nsmtpd_tls_key_file = {key}\n"
            );
        }
        if self.old_tls_only {
            lines += "smtpd_tls_protocols = !TLSv1.2, !TLSv1.3\n";
        }
        if let Some(authority) = &self.client_authority {
            let authority = authority.display();
            lines += &format!(
                "smtpd_tls_ask_ccert = yes\nsmtpd_tls_CAfile = {authority}\n\
                 smtpd_recipient_restrictions = permit_tls_all_clientcerts, reject\n"
            );
        }
        if let Some(logins) = &self.logins {
            lines += &format!(
                "smtpd_sasl_auth_enable = yes\nsmtpd_sasl_authenticated_header = yes\n\
                 smtpd_tls_auth_only = yes\nsmtpd_sasl_local_domain = {}\n\
                 smtpd_recipient_restrictions = permit_sasl_authenticated, reject\n",
                logins.realm()
            );
        }
        lines
    }
}

/// What it does with mail.
#[derive(Clone, Debug)]
pub enum Role {
    /// Takes mail for this domain into one maildir.
    Receives(&'static str),
    /// Takes mail for all domains into one maildir, from clients that come through this door.
    ReceivesAll(Door),
    /// Passes all mail on to this smart host.
    SendsThrough(SocketAddr),
    /// Takes mail for this domain into one maildir, its own notices too; passes all other mail on
    /// to this server: as the server of somebody who writes to us.
    Writes(&'static str, SocketAddr),
}

impl Postfix {
    /// The folder of the unpacked package, if there is one and we are root.
    pub fn package() -> Option<PathBuf> {
        let tools = std::env::var_os("RELAIS_TOOLS")?;
        let package = Path::new(&tools).join("postfix");
        let usable = package.join("usr/sbin/smtp-sink").exists() && is_root();
        usable.then_some(package)
    }

    /// Starts one in `folder`.
    pub fn start(package: &Path, folder: &Path, role: Role) -> io::Result<Self> {
        let folder = folder.join("postfix");
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        prepare_folders(&folder)?;
        if let Role::ReceivesAll(Door { logins, .. }) = &role
            && let Some(logins) = logins
        {
            chown(logins.file(), Some(owner()?.0), None)?;
            // Where Debian's Postfix looks for it, whatever `cyrus_sasl_config_path` says.
            fs::create_dir(folder.join("etc/sasl"))?;
            fs::copy(logins.settings(), folder.join("etc/sasl/smtpd.conf"))?;
        }
        fs::write(folder.join("etc/main.cf"), main_cf(package, &folder, role))?;
        let port = address.port();
        let master_cf = format!("127.0.0.1:{port} inet n - n - - smtpd\n{SERVICES}");
        fs::write(folder.join("etc/master.cf"), master_cf)?;
        fs::write(folder.join("etc/dynamicmaps.cf"), "")?;
        let log = fs::File::create(folder.join("out"))?;
        let master = Command::new(package.join("usr/lib/postfix/sbin/master"))
            .arg("-c")
            .arg(folder.join("etc"))
            .arg("-d")
            .env("LD_LIBRARY_PATH", package.join("usr/lib/postfix"))
            .env("MAIL_CONFIG", folder.join("etc"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let postfix = Self {
            address,
            folder,
            master,
        };
        postfix.wait_until_it_listens()?;
        Ok(postfix)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Messages that arrived.
    pub fn messages(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.folder.join("mail/all/new")) else {
            return Vec::new();
        };
        entries
            .flatten()
            .filter_map(|entry| fs::read(entry.path()).ok())
            .map(text)
            .collect()
    }

    /// Waits for a message that contains `mark`.
    pub fn wait_for(&self, mark: &str, time: Duration) -> Option<String> {
        let until = Instant::now() + time;
        loop {
            let found = self
                .messages()
                .into_iter()
                .find(|message| message.contains(mark));
            if found.is_some() || Instant::now() > until {
                return found;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Its log, for reports.
    pub fn log(&self) -> String {
        fs::read(self.folder.join("maillog"))
            .map(text)
            .unwrap_or_default()
    }

    fn wait_until_it_listens(&self) -> io::Result<()> {
        let until = Instant::now() + Duration::from_secs(15);
        while Instant::now() < until {
            if std::net::TcpStream::connect(self.address).is_ok() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        let out = fs::read(self.folder.join("out"))
            .map(text)
            .unwrap_or_default();
        Err(io::Error::other(format!(
            "Postfix did not start: {out}{}",
            self.log()
        )))
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        // SIGTERM lets the master end its children.
        let _asked = Command::new("kill")
            .arg(self.master.id().to_string())
            .status();
        let _status = self.master.wait();
    }
}

fn text(octets: Vec<u8>) -> String {
    String::from_utf8_lossy(&octets).into_owned()
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// User and group numbers of `postfix` and `postdrop`, made if absent.
fn owner() -> io::Result<(u32, u32)> {
    for group in ["postfix", "postdrop"] {
        Command::new("groupadd").args(["-rf", group]).status()?;
    }
    if !Command::new("id")
        .arg("postfix")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?
        .success()
    {
        let arguments = [
            "-r",
            "-g",
            "postfix",
            "-d",
            "/nonexistent",
            "-s",
            "/usr/sbin/nologin",
            "postfix",
        ];
        Command::new("useradd").args(arguments).status()?;
    }
    let number = |arguments: &[&str]| -> io::Result<u32> {
        let output = Command::new("getent").args(arguments).output()?;
        let line = text(output.stdout);
        let number = line
            .split(':')
            .nth(2)
            .and_then(|number| number.trim().parse().ok());
        number.ok_or_else(|| io::Error::other(format!("{arguments:?}: {line}")))
    };
    Ok((
        number(&["passwd", "postfix"])?,
        number(&["group", "postdrop"])?,
    ))
}

fn prepare_folders(folder: &Path) -> io::Result<()> {
    let (user, drop_group) = owner()?;
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    for name in ["etc", "spool", "data", "mail", "doc", "spool/pid"] {
        fs::create_dir_all(folder.join(name))?;
        mode(&folder.join(name), 0o755)?;
    }
    // The daemons reach the folder as another user.
    for parent in folder
        .ancestors()
        .filter(|parent| parent.starts_with(std::env::temp_dir()))
    {
        if parent != std::env::temp_dir() {
            mode(parent, 0o755)?;
        }
    }
    mode(&folder.join("mail"), 0o1777)?;
    chown(folder.join("data"), Some(user), None)?;
    for queue in QUEUES {
        let path = folder.join("spool").join(queue);
        fs::create_dir_all(&path)?;
        chown(&path, Some(user), None)?;
        mode(&path, 0o700)?;
    }
    for (name, bits) in [("maildrop", 0o730), ("public", 0o710)] {
        let path = folder.join("spool").join(name);
        fs::create_dir_all(&path)?;
        chown(&path, Some(user), Some(drop_group))?;
        mode(&path, bits)?;
    }
    Ok(())
}

/// All mail for these domains into one maildir.
fn mailboxes(domains: &str, folder: &str) -> String {
    format!(
        "virtual_mailbox_domains = {domains}\nvirtual_mailbox_base = {folder}/mail\n\
         virtual_mailbox_maps = static:all/\nvirtual_uid_maps = static:65534\n\
         virtual_gid_maps = static:65534\nvirtual_transport = virtual\n"
    )
}

fn main_cf(package: &Path, folder: &Path, role: Role) -> String {
    let (package, folder) = (package.display(), folder.display());
    let folder_text = folder.to_string();
    let receives = |domains| mailboxes(domains, &folder_text);
    let sends = |host: SocketAddr| format!("relayhost = [{}]:{}\n", host.ip(), host.port());
    let role = match role {
        Role::Receives(domain) => receives(domain),
        Role::ReceivesAll(door) => receives("static:all") + &door.main_cf(),
        Role::SendsThrough(smart_host) => sends(smart_host),
        Role::Writes(domain, other) => receives(domain) + &sends(other),
    };
    format!(
        "compatibility_level = 3.6\nqueue_directory = {folder}/spool\n\
         data_directory = {folder}/data\ncommand_directory = {package}/usr/sbin\n\
         daemon_directory = {package}/usr/lib/postfix/sbin\nmeta_directory = {folder}/etc\n\
         shlib_directory = {package}/usr/lib/postfix\nsendmail_path = {package}/usr/sbin/sendmail\n\
         html_directory = {folder}/doc\nmanpage_directory = {folder}/doc\n\
         readme_directory = {folder}/doc\nsample_directory = {folder}/doc\n\
         mail_owner = postfix\nsetgid_group = postdrop\ninet_interfaces = 127.0.0.1\n\
         inet_protocols = ipv4\nmyhostname = mx.receiver.test\nmydestination =\n\
         mynetworks = 127.0.0.0/8\nlocal_transport = error:no local mail\n\
         local_recipient_maps =\nalias_maps =\nalias_database =\nsmtpd_peername_lookup = no\n\
         smtp_dns_support_level = disabled\nsmtp_host_lookup = native\n\
         disable_dns_lookups = yes\nmaillog_file = {folder}/maillog\n\
         maillog_file_prefixes = {folder}\nimport_environment = MAIL_CONFIG MAIL_DEBUG \
         MAIL_LOGTAG TZ LANG=C POSTLOG_SERVICE POSTLOG_HOSTNAME \
         LD_LIBRARY_PATH={package}/usr/lib/postfix\n{role}"
    )
}
