//! A small certification authority for tests, by the `openssl` program: server and client
//! certificates, good and bad, in files.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Answer, run};

/// Certificate and key.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// An authority in a folder.
pub(crate) struct Authority {
    folder: PathBuf,
    own: Pair,
}

/// What a certificate is like.
pub(crate) struct Wanted<'a> {
    pub(crate) subject: &'a str,
    /// `DNS:a.test,DNS:b.test`; empty: no extension.
    pub(crate) names: &'a str,
    /// `clientAuth`, `serverAuth`.
    pub(crate) usage: &'a str,
    /// From today on; negative: over.
    pub(crate) days: i32,
}

impl<'a> Wanted<'a> {
    pub(crate) fn client(names: &'a str) -> Self {
        Self {
            subject: "/CN=scanner",
            names,
            usage: "clientAuth",
            days: 90,
        }
    }
}

impl Authority {
    /// Made anew in this folder.
    pub(crate) fn new(folder: &Path, name: &str) -> Self {
        let own = Pair {
            certificate: folder.join(format!("{name}.pem")),
            key: folder.join(format!("{name}.key")),
        };
        let this = Self {
            folder: folder.to_owned(),
            own,
        };
        openssl(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 \
             -subj /CN={name} -keyout {} -out {}",
            this.own.key.display(),
            this.own.certificate.display()
        ));
        this
    }

    /// The authority's own certificate.
    pub(crate) fn file(&self) -> &Path {
        &self.own.certificate
    }

    /// The server's, for `relay.contoso.test`, under this file name.
    pub(crate) fn server(&self, file: &str) -> Pair {
        self.issue(
            file,
            &Wanted {
                subject: "/CN=relay.contoso.test",
                names: "DNS:relay.contoso.test",
                usage: "serverAuth",
                days: 90,
            },
        )
    }

    /// A certificate under this file name.
    pub(crate) fn issue(&self, file: &str, wanted: &Wanted<'_>) -> Pair {
        let path = |ending: &str| self.folder.join(format!("{file}.{ending}"));
        let (request, extensions) = (path("csr"), path("ext"));
        let names = match wanted.names {
            "" => String::new(),
            names => format!("subjectAltName={names}\n"),
        };
        let text = format!(
            "basicConstraints=CA:FALSE\nextendedKeyUsage={}\n{names}",
            wanted.usage
        );
        std::fs::write(&extensions, text).expect("a file");
        openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj {} -keyout {} -out {}",
            wanted.subject,
            path("key").display(),
            request.display()
        ));
        openssl(&format!(
            "x509 -req -in {} -CA {} -CAkey {} -CAcreateserial -days {} -extfile {} -out {}",
            request.display(),
            self.own.certificate.display(),
            self.own.key.display(),
            wanted.days,
            extensions.display(),
            path("pem").display()
        ));
        Pair {
            certificate: path("pem"),
            key: path("key"),
        }
    }
}

/// Runs `openssl` to success; arguments without spaces.
#[track_caller]
pub(crate) fn openssl(arguments: &str) -> Answer {
    let answer = openssl_with(arguments, "");
    assert_eq!(answer.code, 0, "openssl {arguments}\n{}", answer.err);
    answer
}

/// Runs `openssl` with this input.
pub(crate) fn openssl_with(arguments: &str, input: &str) -> Answer {
    let mut command = Command::new("openssl");
    command.args(arguments.split_whitespace());
    run(command, input)
}
