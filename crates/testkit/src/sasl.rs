//! Users and passwords of Cyrus SASL, with which Postfix judges logins: a file of its own, and what
//! it may be asked with. `./ci` unpacks the program that makes the file.
//!
//! Not here: whose the file must be.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A folder with a file of users.
#[derive(Clone, Debug)]
pub struct Logins {
    folder: PathBuf,
    realm: String,
}

impl Logins {
    /// The program that makes such files, if it is there.
    pub fn program() -> Option<PathBuf> {
        let tools = std::env::var_os("RELAIS_TOOLS")?;
        let program = Path::new(&tools).join("sasl2-bin/usr/sbin/saslpasswd2");
        program.is_file().then_some(program)
    }

    /// One user; `mechanisms` as Cyrus names them, with spaces between.
    pub fn make(
        program: &Path,
        folder: &Path,
        mechanisms: &str,
        (user, password): (&str, &str),
    ) -> io::Result<Self> {
        let folder = folder.join("sasl");
        fs::create_dir_all(&folder)?;
        let (realm, file) = ("receiver.test", folder.join("users"));
        let mut made = Command::new(program)
            .args(["-p", "-c", "-u", realm, "-f"])
            .arg(&file)
            .arg(user)
            .stdin(Stdio::piped())
            .spawn()?;
        if let Some(mut input) = made.stdin.take() {
            input.write_all(password.as_bytes())?;
        }
        let status = made.wait()?;
        if !status.success() {
            return Err(io::Error::other(format!("saslpasswd2: {status}")));
        }
        let settings = format!(
            "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {}\n\
             mech_list: {mechanisms}\n",
            file.display()
        );
        fs::write(folder.join("smtpd.conf"), settings)?;
        Ok(Self {
            folder,
            realm: realm.to_owned(),
        })
    }

    /// What a server of the library reads.
    pub fn settings(&self) -> PathBuf {
        self.folder.join("smtpd.conf")
    }

    /// The file of users.
    pub fn file(&self) -> PathBuf {
        self.folder.join("users")
    }

    /// Where its users are from, for those who do not say it.
    pub fn realm(&self) -> &str {
        &self.realm
    }
}
