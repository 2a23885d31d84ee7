//! Files of certificates and keys: reading, noticing a change, writing the self-signed one.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use relais_net::tls::{
    CertificateError, ClientAuthorities, ClientTls, KeyKind, RootCertStore, ServerCertificate,
    WARNING_DAYS, expires_within_days, self_signed as make_self_signed, system_roots,
};
use relais_smtp::time::Timestamp;

/// Largest file of certificates in octets. All authorities of a system together have about 220 KB.
const FILE_OCTETS_MAX: u64 = 4 << 20;
/// Its key is nobody else's.
const KEY_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// What tells one state of a file from another; `None`: it is not there.
type Stamp = Option<(SystemTime, u64, u64)>;

/// The state of files, and whether it stands still.
#[derive(Debug)]
pub(crate) struct Signature {
    loaded: Vec<Stamp>,
    /// Seen in the last round, and another than what was loaded.
    moving: Option<Vec<Stamp>>,
}

impl Signature {
    /// As they are now.
    pub(crate) fn of(paths: &[PathBuf]) -> Self {
        Self {
            loaded: stamps(paths),
            moving: None,
        }
    }

    /// Whether they are others than those loaded, and the same as in the round before.
    pub(crate) fn changed(&mut self, paths: &[PathBuf]) -> bool {
        let now = stamps(paths);
        if now == self.loaded {
            self.moving = None;
            return false;
        }
        let still = self.moving.as_ref() == Some(&now);
        self.moving = Some(now);
        still
    }
}

fn stamps(paths: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |path: &PathBuf| {
        let found = fs::metadata(path).ok()?;
        Some((found.modified().ok()?, found.len(), found.ino()))
    };
    paths.iter().map(stamp).collect()
}

/// Where the key is: as named, beside the certificate as `.key`, or in it.
pub(super) fn key_path(certificate: &Path, named: Option<&Path>) -> PathBuf {
    if let Some(named) = named {
        return named.to_owned();
    }
    let beside = certificate.with_extension("key");
    if beside.exists() {
        beside
    } else {
        certificate.to_owned()
    }
}

/// Reads a certificate with its key; the error is a sentence.
pub(super) fn read_certificate(
    certificate: &Path,
    private_key: Option<&Path>,
) -> Result<ServerCertificate, String> {
    let key_file = key_path(certificate, private_key);
    let (chain, key) = (read(certificate)?, read(&key_file)?);
    ServerCertificate::from_pem(&chain, &key).map_err(|error| {
        let file = match error {
            CertificateError::NoKey => &key_file,
            _ => certificate,
        };
        format!("{}: {error}", file.display())
    })
}

/// The system's authorities and those of these files; the error is a sentence.
pub(super) fn authorities(
    files: &[PathBuf],
    common_name: bool,
) -> Result<ClientAuthorities, String> {
    let (roots, texts) = known(files)?;
    let texts = texts.iter().map(Vec::as_slice);
    ClientAuthorities::new(roots, texts, common_name).map_err(|error| named(files, &error))
}

/// TLS with next hops, by the system's authorities and those of these files; the error is a
/// sentence.
pub(super) fn client_tls(files: &[PathBuf]) -> Result<ClientTls, String> {
    let (roots, texts) = known(files)?;
    let texts = texts.iter().map(Vec::as_slice);
    ClientTls::new(roots, texts).map_err(|error| named(files, &error))
}

fn known(files: &[PathBuf]) -> Result<(RootCertStore, Vec<Vec<u8>>), String> {
    let (roots, faults) = system_roots();
    for fault in faults {
        tracing::debug!("an authority of the system is left out: {fault}");
    }
    let texts = files.iter().map(|file| read(file));
    Ok((roots, texts.collect::<Result<Vec<_>, _>>()?))
}

fn named(files: &[PathBuf], error: &CertificateError) -> String {
    let names: Vec<_> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    format!("{}: {error}", names.join(", "))
}

/// The certificate in this folder, if it is for this name and has time left; else a new one.
pub(super) fn self_signed(
    folder: &Path,
    hostname: &str,
    kind: KeyKind,
    now: Timestamp,
) -> Result<ServerCertificate, String> {
    let name = match kind {
        KeyKind::EcdsaP256 => "self-signed",
        KeyKind::Rsa2048 => "self-signed-rsa",
    };
    let file = |ending: &str| folder.join(format!("{name}.{ending}"));
    let (certificate, key) = (file("pem"), file("key"));
    if let Ok(found) = read_certificate(&certificate, Some(&key))
        && found
            .names()
            .iter()
            .any(|name| name.eq_ignore_ascii_case(hostname))
        && expires_within_days(found.not_after(), now).is_none()
    {
        return Ok(found);
    }
    let unmade = |error: &dyn std::fmt::Display| {
        format!(
            "the self-signed certificate in {} cannot be made: {error}",
            folder.display()
        )
    };
    debug_assert!(
        WARNING_DAYS[0] > 0,
        "it is renewed before anybody is warned"
    );
    let (chain, secret) = make_self_signed(hostname, kind, now).map_err(|error| unmade(&error))?;
    make_folder(folder).map_err(|error| unmade(&error))?;
    // The key first: a certificate without its key would be taken for a broken pair.
    write(&key, &secret).map_err(|error| unmade(&error))?;
    write(&certificate, &chain).map_err(|error| unmade(&error))?;
    read_certificate(&certificate, Some(&key))
}

/// The folder of keys, for us alone.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(folder)
}

/// Whole or not at all, for us alone.
pub(super) fn write(file: &Path, text: &str) -> io::Result<()> {
    let fresh = file.with_extension("new");
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(KEY_MODE);
    let mut open = options.open(&fresh)?;
    open.write_all(text.as_bytes())?;
    open.sync_all()?;
    fs::rename(fresh, file)
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error: io::Error| format!("{}: {error}", file.display());
    let mut octets = Vec::new();
    let open = fs::File::open(file).map_err(unreadable)?;
    open.take(FILE_OCTETS_MAX)
        .read_to_end(&mut octets)
        .map_err(unreadable)?;
    Ok(octets)
}
