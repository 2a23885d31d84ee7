//! This machine: ports, clock, disk, files, certificates, and whether clients can be seen.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::{Check, Group, Kind, Verdict};
use crate::desk::Words;

/// A clock that is off by so much, in seconds, disturbs nobody.
const CLOCK_GOOD_S: u64 = 2;
/// From here on logs of two machines cannot be laid side by side.
const CLOCK_FAIR_S: u64 = 60;
/// From here on signatures, tokens and one-time codes fail: their usual tolerance.
const CLOCK_POOR_S: u64 = 300;
/// A sync takes longer than this on a disk that is slow or busy; each message waits for one.
const SYNC_SLOW: Duration = Duration::from_millis(100);
/// Below this part of a disk it is nearly full.
const DISK_LOW_PERCENT: u64 = 10;
/// Files beside connections: databases, spool, outbound connections.
const FILES_BESIDE: u64 = 1_500;
/// Days before the end of a certificate at which somebody must look.
const CERTIFICATE_DAYS: u64 = 14;
/// Readable or writable by others than its owner.
const MODE_OTHERS: u32 = 0o077;
/// The port that all devices know.
const SMTP_PORT: u16 = 25;

const PORT: Kind = Kind {
    name: "port",
    group: Group::Machine,
    why: (
        "Where a listener cannot open its port, nobody reaches it.",
        "Si un port d’écoute ne peut pas s’ouvrir, personne ne peut s’y connecter.",
    ),
};
const CLOCK: Kind = Kind {
    name: "clock",
    group: Group::Machine,
    why: (
        "Signatures, tokens and the dates of messages need the right time.",
        "Les signatures, les jetons et les dates des messages exigent l’heure juste.",
    ),
};
const DISK: Kind = Kind {
    name: "disk",
    group: Group::Machine,
    why: (
        "Relais answers 452 while the disk is full, and devices rarely try again.",
        "Relais répond 452 tant que le disque est plein, et les appareils réessaient rarement.",
    ),
};
const INODES: Kind = Kind {
    name: "inodes",
    group: Group::Machine,
    why: (
        "Each large message is a file; without inodes none can be made.",
        "Chaque gros message est un fichier\u{202f}; sans inodes, aucun ne peut être créé.",
    ),
};
const SYNC: Kind = Kind {
    name: "sync",
    group: Group::Machine,
    why: (
        "250 is said only once the message is on stable storage.",
        "Le code 250 n’est donné qu’une fois le message sur un stockage stable.",
    ),
};
const FILES: Kind = Kind {
    name: "files",
    group: Group::Machine,
    why: (
        "Each connection is an open file.",
        "Chaque connexion est un fichier ouvert.",
    ),
};
const CLIENTS: Kind = Kind {
    name: "clients",
    group: Group::Machine,
    why: (
        "Devices are known by their IP address: behind NAT or a bridge all of them look the same.",
        "Les appareils sont reconnus à leur adresse IP\u{202f}: derrière un NAT ou un pont, tous se \
         ressemblent.",
    ),
};
const CERTIFICATE: Kind = Kind {
    name: "certificate",
    group: Group::Machine,
    why: (
        "Clients that check certificates refuse to send to one that is wrong or over.",
        "Les clients qui vérifient les certificats refusent d’envoyer si celui-ci est incorrect ou expiré.",
    ),
};

/// Who has a port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PortFact {
    /// The listener of ours that should be there.
    pub listener: Option<SocketAddr>,
    /// Which.
    pub port: u16,
    /// It is ours.
    pub is_ours: bool,
    /// Something else listens there: the program's name, empty where that cannot be seen.
    pub holder: Option<String>,
}

/// How the program goes away.
fn stop(holder: Option<&str>, number: u16) -> Words {
    match holder {
        Some(name) if !name.is_empty() => Words::new(
            format!("systemctl disable --now {name}, then restart Relais."),
            format!("systemctl disable --now {name}, puis redémarrez Relais."),
        ),
        _ => Words::new(
            format!("Find it with `ss -ltnp sport = :{number}`, stop it, restart Relais."),
            format!("Trouvez-le avec `ss -ltnp sport = :{number}`, arrêtez-le, redémarrez Relais."),
        ),
    }
}

/// Whether we have it, or who does.
pub fn port(fact: &PortFact) -> Check {
    let number = fact.port;
    let subject = fact
        .listener
        .map_or_else(|| number.to_string(), |it| it.to_string());
    let holder = fact.holder.as_deref();
    let other = holder.map(|name| {
        if name.is_empty() {
            "another program"
        } else {
            name
        }
    });
    let autre = holder.map(|name| {
        if name.is_empty() {
            "un autre programme"
        } else {
            name
        }
    });
    let stop = || stop(holder, number);
    match (fact.listener, other.zip(autre)) {
        (Some(address), _) if fact.is_ours => PORT.ok(
            subject,
            Words::new(
                format!("Relais listens on {address}."),
                format!("Relais écoute sur {address}."),
            ),
        ),
        (Some(_), Some((other, autre))) => {
            let words = Words::new(
                format!("{other} is using port {number}."),
                format!("{autre} utilise le port {number}."),
            );
            PORT.found(subject, Verdict::Broken, words, stop())
        }
        (Some(_), None) => {
            let words = Words::new(
                format!("Nothing listens on port {number}: Relais is not running."),
                format!("Rien n’écoute sur le port {number}\u{202f}: Relais ne tourne pas."),
            );
            let fix = Words::new(
                "Start it: systemctl start relais.",
                "Démarrez-le\u{202f}: systemctl start relais.",
            );
            PORT.found(subject, Verdict::Broken, words, fix)
        }
        (None, Some((other, autre))) => {
            let words = Words::new(
                format!("{other} is using port {number}, and Relais listens elsewhere."),
                format!("{autre} utilise le port {number}, et Relais écoute ailleurs."),
            );
            PORT.found(subject, Verdict::Advice, words, stop())
        }
        (None, None) if number == SMTP_PORT => {
            let words = Words::new(
                "Relais does not listen on port 25, and many devices know no other.",
                "Relais n’écoute pas sur le port 25, et beaucoup d’appareils n’en connaissent pas \
                 d’autre.",
            );
            let fix = Words::new(
                "Add [[listener]] address = \"0.0.0.0:25\" to relais.toml and restart.",
                "Ajoutez [[listener]] address = \"0.0.0.0:25\" à relais.toml et redémarrez.",
            );
            PORT.found(subject, Verdict::Advice, words, fix)
        }
        (None, None) => PORT.not_applicable(
            subject,
            Words::new(
                format!("No listener is wanted on port {number}."),
                format!("Aucun port d’écoute n’est configuré sur {number}."),
            ),
        ),
    }
}

/// How far our clock is from that of others.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ClockFact {
    /// Milliseconds that ours is ahead, and whose time that is.
    Compared(i64, String),
    /// A program of the system keeps it, and says that it does.
    Kept(String),
    /// Nobody told the time, because.
    Unknown,
}

/// Whether the time is right.
pub fn clock(fact: &ClockFact) -> Check {
    let (ahead, source) = match fact {
        ClockFact::Kept(program) => {
            return CLOCK.ok(
                "",
                Words::new(
                    format!("{program} keeps the clock, and says that it is right."),
                    format!("{program} règle l’horloge, et la dit à l’heure."),
                ),
            );
        }
        ClockFact::Unknown => {
            return CLOCK.unknown(
                "",
                Words::new(
                    "No time server is named (dns.time_servers), and no mail server told the time.",
                    "Aucun serveur de temps n’est nommé (dns.time_servers), et aucun serveur de \
                     messagerie n’a donné l’heure.",
                ),
            );
        }
        ClockFact::Compared(ahead, source) => (*ahead, source),
    };
    let seconds = ahead.unsigned_abs() / 1_000;
    let words = Words::new(
        format!(
            "The clock is {seconds} s {} {source}.",
            if ahead < 0 { "behind" } else { "ahead of" }
        ),
        format!(
            "L’horloge {} de {seconds} s sur {source}.",
            if ahead < 0 { "retarde" } else { "avance" }
        ),
    );
    let verdict = if seconds <= CLOCK_GOOD_S {
        return CLOCK.ok("", words);
    } else if seconds <= CLOCK_FAIR_S {
        Verdict::Advice
    } else if seconds <= CLOCK_POOR_S {
        Verdict::Attention
    } else {
        Verdict::Broken
    };
    let fix = Words::new(
        "Let the system keep it: timedatectl set-ntp true.",
        "Laissez le système la régler\u{202f}: timedatectl set-ntp true.",
    );
    CLOCK.found("", verdict, words, fix)
}

/// The file system of the data folder.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DiskFact {
    /// Octets that are free for us.
    pub free: u64,
    /// Octets in all.
    pub total: u64,
    /// Files that can still be made.
    pub inodes_free: u64,
    /// Files in all; 0 where the file system does not count them.
    pub inodes: u64,
    /// Below this, in octets, we take no mail.
    pub reserve: u64,
    /// Octets of mail that is held, counted where free is below the reserve.
    pub held: u64,
}

/// Octets in the unit that says most, in both languages.
fn amount(octets: u64) -> Words {
    let (whole, part) = (octets / 1_000_000_000, octets / 100_000_000 % 10);
    if whole < 10 {
        let megabytes = octets / 1_000_000;
        return Words::new(format!("{megabytes} MB"), format!("{megabytes}\u{202f}Mo"));
    }
    Words::new(
        format!("{whole}.{part} GB"),
        format!("{whole},{part}\u{202f}Go"),
    )
}

/// Whether there is room.
pub fn disk(fact: &DiskFact) -> Check {
    let (free, total) = (amount(fact.free), amount(fact.total));
    let words = Words::new(
        format!("{} of {} are free.", free.english, total.english),
        format!("{} sur {} sont libres.", free.french, total.french),
    );
    let is_low = fact.free < fact.reserve.saturating_mul(2)
        || fact.free / 100 < fact.total / 100 / 100 * DISK_LOW_PERCENT;
    let verdict = if fact.free < fact.reserve {
        Verdict::Broken
    } else if is_low {
        Verdict::Attention
    } else {
        return DISK.ok("", words);
    };
    let reserve = amount(fact.reserve);
    let mut fix = Words::new(
        format!(
            "Make room on the disk of the data folder; below {} no mail is taken.",
            reserve.english
        ),
        format!(
            "Libérez de la place sur le disque du dossier de données\u{202f}; sous {}, aucun message \
             n’est accepté.",
            reserve.french
        ),
    );
    if verdict == Verdict::Broken && fact.held > 0 {
        let held = amount(fact.held);
        fix.english.push_str(&format!(
            " Held mail takes {}: it was accepted, so it stays until it is released or deleted.",
            held.english
        ));
        fix.french.push_str(&format!(
            " Les messages retenus occupent {}\u{202f}: acceptés, ils restent jusqu’à ce que vous \
             les libériez ou les supprimiez.",
            held.french
        ));
    }
    DISK.found("", verdict, words, fix)
}

/// Whether files can be made.
pub fn inodes(fact: &DiskFact) -> Check {
    if fact.inodes == 0 {
        return INODES.not_applicable(
            "",
            Words::new(
                "This file system does not count inodes.",
                "Ce système de fichiers ne compte pas les inodes.",
            ),
        );
    }
    let words = Words::new(
        format!("{} of {} inodes are free.", fact.inodes_free, fact.inodes),
        format!(
            "{} inodes sur {} sont libres.",
            fact.inodes_free, fact.inodes
        ),
    );
    if fact.inodes_free / 100 >= fact.inodes / 100 / 100 * DISK_LOW_PERCENT && fact.inodes_free > 0
    {
        return INODES.ok("", words);
    }
    let verdict = if fact.inodes_free == 0 {
        Verdict::Broken
    } else {
        Verdict::Attention
    };
    let fix = Words::new(
        "Delete small files there, or use a file system with more inodes.",
        "Supprimez-y de petits fichiers, ou prenez un système de fichiers avec plus d’inodes.",
    );
    INODES.found("", verdict, words, fix)
}

/// How long a write to stable storage took, or why it failed.
pub fn sync(took: &Result<Duration, String>) -> Check {
    match took {
        Err(because) => {
            let words = Words::new(
                format!("A file in the data folder cannot be written and synced: {because}."),
                format!(
                    "Un fichier du dossier de données ne peut être écrit et synchronisé\u{202f}: {because}."
                ),
            );
            let fix = Words::new(
                "Check the owner of the data folder, the mount options and the disk.",
                "Vérifiez le propriétaire du dossier de données, les options de montage et le disque.",
            );
            SYNC.found("", Verdict::Broken, words, fix)
        }
        Ok(took) => {
            let millis = took.as_millis();
            let words = Words::new(
                format!("A write reached stable storage in {millis} ms."),
                format!("Une écriture a atteint le stockage stable en {millis} ms."),
            );
            if *took <= SYNC_SLOW {
                return SYNC.ok("", words);
            }
            let fix = Words::new(
                "Use a faster disk, or one that others write to less.",
                "Prenez un disque plus rapide, ou moins sollicité par d’autres.",
            );
            SYNC.found("", Verdict::Advice, words, fix)
        }
    }
}

/// Whether as many files may be open as connections are allowed.
pub fn file_limit(limit: Option<u64>, connections_max: u64) -> Check {
    let needed = connections_max.saturating_add(FILES_BESIDE);
    let Some(limit) = limit else {
        return FILES.ok(
            "",
            Words::new(
                "Open files have no limit.",
                "Les fichiers ouverts n’ont pas de limite.",
            ),
        );
    };
    let words = Words::new(
        format!("{limit} files may be open; {connections_max} connections need {needed}."),
        format!(
            "{limit} fichiers peuvent être ouverts\u{202f}; {connections_max} connexions en demandent {needed}."
        ),
    );
    if limit >= needed {
        return FILES.ok("", words);
    }
    let fix = Words::new(
        format!(
            "Set LimitNOFILE={needed} in the unit, or ulimit -n, or lower limits.connections_max."
        ),
        format!(
            "Mettez LimitNOFILE={needed} dans l’unité, ou ulimit -n, ou baissez limits.connections_max."
        ),
    );
    FILES.found("", Verdict::Attention, words, fix)
}

/// From where clients come, as we see it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ClientsFact {
    /// We run in a container.
    pub is_container: bool,
    /// Our routers: what hides clients shows itself as one of them.
    pub gateways: Vec<IpAddr>,
    /// Addresses that mail or refused attempts came from of late, without loopback.
    pub seen: Vec<IpAddr>,
}

/// Whether we see the addresses of clients, or that of something between.
pub fn clients(fact: &ClientsFact) -> Check {
    let hidden = fact
        .seen
        .iter()
        .find(|address| fact.gateways.contains(address));
    let fix = Words::new(
        "Run the container with --network host; or put a proxy that sends PROXY headers in front \
         (proxy_protocol_from); or let devices log in (SMTP AUTH).",
        "Lancez le conteneur avec --network host\u{202f}; ou placez devant un mandataire qui envoie des \
         en-têtes PROXY (proxy_protocol_from)\u{202f}; ou faites s’authentifier les appareils (SMTP AUTH).",
    );
    if let Some(gateway) = hidden {
        let words = Words::new(
            format!("Mail comes from {gateway}, which is our router: it hides the real clients."),
            format!(
                "Des messages viennent de {gateway}, notre routeur\u{202f}: il cache les vrais clients."
            ),
        );
        let verdict = if fact.is_container || fact.seen.len() == 1 {
            Verdict::Broken
        } else {
            Verdict::Attention
        };
        return CLIENTS.found("", verdict, words, fix);
    }
    if !fact.seen.is_empty() {
        let count = fact.seen.len();
        let words = Words::new(
            format!("The addresses of clients are visible; {count} were seen."),
            format!("Les adresses des clients sont visibles\u{202f}; {count} ont été vues."),
        );
        return CLIENTS.ok("", words);
    }
    if fact.is_container {
        let words = Words::new(
            "No client was seen yet, and we run in a container, where a bridge may hide them.",
            "Aucun client n’a encore été vu, et nous tournons dans un conteneur, où un pont peut \
             les cacher.",
        );
        return CLIENTS.found("", Verdict::Advice, words, fix);
    }
    CLIENTS.ok(
        "",
        Words::new(
            "No client was seen yet; nothing on this machine hides their addresses.",
            "Aucun client n’a encore été vu\u{202f}; rien sur cette machine ne cache leurs adresses.",
        ),
    )
}

/// What one listener shows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateFact {
    /// Which listener.
    pub listener: SocketAddr,
    /// Our name, that it should be for.
    pub hostname: String,
    /// None: there is none that can be loaded.
    pub shown: Option<ShownCertificate>,
    /// The mode of the key's file, where it is known.
    pub key_mode: Option<u32>,
}

/// A certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ShownCertificate {
    /// The names that it is for.
    pub names: Vec<String>,
    /// Whole days until its end; none: it is over.
    pub days_left: Option<u64>,
    /// No authority vouches for it.
    pub is_self_signed: bool,
    /// Certificates that are shown with it, itself among them.
    pub chain_length: usize,
}

/// Name, end, chain, and who can read its key.
pub fn certificate(fact: &CertificateFact) -> Check {
    let subject = fact.listener.to_string();
    let Some(shown) = &fact.shown else {
        let words = Words::new(
            "No certificate can be loaded: TLS is not available there.",
            "Aucun certificat ne peut être chargé\u{202f}: TLS n’y est pas disponible.",
        );
        let fix = Words::new(
            "The log names the file and what is wrong with it.",
            "Le journal nomme le fichier et ce qui ne va pas.",
        );
        return CERTIFICATE.found(subject, Verdict::Broken, words, fix);
    };
    let (verdict, words, fix) = judged(fact, shown);
    if verdict == Verdict::Ok {
        return CERTIFICATE.ok(subject, words);
    }
    CERTIFICATE.found(subject, verdict, words, fix)
}

/// The gravest first.
fn judged(fact: &CertificateFact, shown: &ShownCertificate) -> (Verdict, Words, Words) {
    let (name, names) = (&fact.hostname, shown.names.join(" "));
    let renew = || {
        Words::new(
            "Renew the certificate; Relais takes the new file by itself.",
            "Renouvelez le certificat\u{202f}; Relais prend le nouveau fichier de lui-même.",
        )
    };
    let Some(days) = shown.days_left else {
        let words = Words::new("The certificate is over.", "Le certificat a expiré.");
        return (Verdict::Broken, words, renew());
    };
    if fact.key_mode.is_some_and(|mode| mode & MODE_OTHERS != 0) {
        let words = Words::new(
            "Others on this machine can read the private key.",
            "D’autres sur cette machine peuvent lire la clé privée.",
        );
        let fix = Words::new(
            "chmod 600 on the key's file, with Relais' user as its owner.",
            "chmod 600 sur le fichier de la clé, avec l’utilisateur de Relais comme propriétaire.",
        );
        return (Verdict::Attention, words, fix);
    }
    if days <= CERTIFICATE_DAYS {
        let words = Words::new(
            format!("The certificate ends in {days} days."),
            format!("Le certificat expire dans {days} jours."),
        );
        return (Verdict::Attention, words, renew());
    }
    if !shown.names.iter().any(|one| covers(one, name)) {
        let words = Words::new(
            format!("The certificate is for {names}, not for {name}."),
            format!("Le certificat est pour {names}, pas pour {name}."),
        );
        let fix = Words::new(
            format!("Use a certificate for {name}, or set hostname to a name that it has."),
            format!("Prenez un certificat pour {name}, ou donnez à hostname un nom qu’il porte."),
        );
        return (Verdict::Attention, words, fix);
    }
    if shown.is_self_signed {
        let words = Words::new(
            format!("The certificate for {names} is self-signed: devices that check refuse it."),
            format!(
                "Le certificat pour {names} est auto-signé\u{202f}: les appareils qui vérifient le refusent."
            ),
        );
        let fix = Words::new(
            "Set [acme], or certificate of the listener (guides/certificates.md).",
            "Réglez [acme], ou certificate du port d’écoute (guides/certificates.md).",
        );
        return (Verdict::Advice, words, fix);
    }
    if shown.chain_length < 2 {
        let words = Words::new(
            "Only the certificate itself is shown, without that of its authority.",
            "Seul le certificat lui-même est présenté, sans celui de son autorité.",
        );
        let fix = Words::new(
            "Put the intermediate certificate behind it in the same file.",
            "Placez le certificat intermédiaire à sa suite, dans le même fichier.",
        );
        return (Verdict::Advice, words, fix);
    }
    let words = Words::new(
        format!("The certificate for {names} is valid for {days} more days."),
        format!("Le certificat pour {names} est valable encore {days} jours."),
    );
    (Verdict::Ok, words, Words::default())
}

/// RFC 9525 §6.3: a wildcard stands for one label.
fn covers(pattern: &str, name: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(parent) => name
            .split_once('.')
            .is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(parent)),
        None => pattern.eq_ignore_ascii_case(name),
    }
}
