//! The way out: DNS, port 25, smart hosts, and the address that others see.

use std::net::IpAddr;
use std::time::Duration;

use relais_smtp::time::Timestamp;

use super::{Check, Group, Kind, Verdict};
use crate::desk::Words;

/// Words of a greeting that are looked at: none has more.
const GREETING_WORDS_MAX: usize = 64;
/// Day of the week, day, month, year, time, zone. RFC 5322 §3.3.
const DATE_WORDS: usize = 6;

const RESOLVER: Kind = Kind {
    name: "resolver",
    group: Group::WayOut,
    why: (
        "Without DNS no recipient's server can be found.",
        "Sans DNS, aucun serveur de destinataire ne peut être trouvé.",
    ),
};
const DNSSEC: Kind = Kind {
    name: "dnssec",
    group: Group::WayOut,
    why: (
        "With DNSSEC the servers of many domains can be known for certain (DANE).",
        "Avec DNSSEC, les serveurs de bien des domaines peuvent être reconnus à coup sûr (DANE).",
    ),
};
const PORT_25: Kind = Kind {
    name: "port-25",
    group: Group::WayOut,
    why: (
        "Mail reaches the servers of recipients by port 25, which many providers block.",
        "Le courrier atteint les serveurs des destinataires par le port 25, que bien des \
         fournisseurs bloquent.",
    ),
};
const PUBLIC_ADDRESS: Kind = Kind {
    name: "public-address",
    group: Group::WayOut,
    why: (
        "It stands in SPF records, and receivers judge it.",
        "Elle figure dans les enregistrements SPF, et les destinataires la jugent.",
    ),
};
const SMART_HOST: Kind = Kind {
    name: "smart-host",
    group: Group::WayOut,
    why: (
        "All mail of this connector waits while its smart host refuses it.",
        "Tout le courrier de ce connecteur attend tant que son hôte intelligent le refuse.",
    ),
};

/// What the chosen ways out use.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Needs {
    /// Port 25 of any server: some mail goes by MX.
    pub by_mx: bool,
    /// Port 25 of a named server.
    pub smart_host_25: bool,
}

impl Needs {
    /// Port 25, whosever.
    pub fn port_25(self) -> bool {
        self.by_mx || self.smart_host_25
    }
}

/// What the resolver said: how long it took, or why not; and whether it is a public one.
pub fn resolver(answered: &Result<Duration, String>) -> Check {
    match answered {
        Ok(took) => {
            let millis = took.as_millis();
            RESOLVER.ok(
                "",
                Words::new(
                    format!("The name servers answered in {millis} ms."),
                    format!("Les serveurs de noms ont répondu en {millis} ms."),
                ),
            )
        }
        Err(because) => {
            let words = Words::new(
                format!("No name server answers: {because}."),
                format!("Aucun serveur de noms ne répond\u{202f}: {because}."),
            );
            let fix = Words::new(
                "Name servers that answer in dns.nameservers or /etc/resolv.conf.",
                "Indiquez des serveurs qui répondent, dans dns.nameservers ou /etc/resolv.conf.",
            );
            RESOLVER.found("", Verdict::Broken, words, fix)
        }
    }
}

/// Advice only: mail goes without it. `Some(true)`: validated and believed; `None`: not known.
pub fn dnssec(validated: Option<bool>) -> Check {
    match validated {
        Some(true) => DNSSEC.ok(
            "",
            Words::new(
                "The name servers validate DNSSEC: DANE applies.",
                "Les serveurs de noms valident DNSSEC\u{202f}: DANE s’applique.",
            ),
        ),
        Some(false) => {
            let words = Words::new(
                "DNSSEC is not validated here: DANE does not apply.",
                "DNSSEC n’est pas validé ici\u{202f}: DANE ne s’applique pas.",
            );
            let fix = Words::new(
                "Run a validating resolver on this machine, as Unbound, and name it in \
                 dns.nameservers.",
                "Installez un résolveur validant sur cette machine, par exemple Unbound, et \
                 nommez-le dans dns.nameservers.",
            );
            DNSSEC.found("", Verdict::Advice, words, fix)
        }
        None => DNSSEC.unknown(
            "",
            Words::new(
                "No name server answers.",
                "Aucun serveur de noms ne répond.",
            ),
        ),
    }
}

/// One target of the outbound check.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Probe {
    /// As configured.
    pub target: String,
    /// Its address of this family; none: it has none, or DNS did not say.
    pub address: Option<IpAddr>,
    /// The greeting came, or why not.
    pub answered: Result<(), String>,
    /// What it calls us.
    pub seen_as: Option<IpAddr>,
}

/// Whether mail may leave by port 25 with one family of addresses.
pub fn port_25(is_ipv4: bool, probes: &[Probe], needs: Needs) -> Check {
    let subject = if is_ipv4 { "IPv4" } else { "IPv6" };
    if probes.is_empty() {
        return PORT_25.not_applicable(
            subject,
            Words::new(
                "The check is off: dns.port25_probes is empty.",
                "La vérification est désactivée\u{202f}: dns.port25_probes est vide.",
            ),
        );
    }
    let dialled: Vec<_> = probes
        .iter()
        .filter(|probe| probe.address.is_some())
        .collect();
    if dialled.is_empty() {
        let words = Words::new(
            format!(
                "None of the {} targets has an {subject} address that could be found.",
                probes.len()
            ),
            format!(
                "Aucune des {} cibles n’a d’adresse {subject} qui ait pu être trouvée.",
                probes.len()
            ),
        );
        return PORT_25.unknown(subject, words);
    }
    let good = dialled
        .iter()
        .filter(|probe| probe.answered.is_ok())
        .count();
    let count = dialled.len();
    if good > 0 {
        return PORT_25.ok(
            subject,
            Words::new(
                format!("{good} of {count} servers answered on port 25 over {subject}."),
                format!("{good} serveurs sur {count} ont répondu sur le port 25 en {subject}."),
            ),
        );
    }
    let because = dialled
        .iter()
        .find_map(|probe| probe.answered.as_ref().err());
    let because = because.map(String::as_str).unwrap_or_default();
    let words = Words::new(
        format!(
            "Port 25 is closed on the way out over {subject}: no server of {count} answered ({because})."
        ),
        format!(
            "Le port 25 est fermé en sortie en {subject}\u{202f}: aucun serveur sur {count} n’a répondu ({because})."
        ),
    );
    if !needs.port_25() {
        let more = Words::new(
            format!("{} The chosen way out does not use it.", words.english),
            format!(
                "{} La voie de sortie choisie ne l’utilise pas.",
                words.french
            ),
        );
        return PORT_25.not_applicable(subject, more);
    }
    if !is_ipv4 {
        let fix = Words::new(
            "Nothing to do where IPv4 works; deliver.ip_version = \"4\" saves the attempts.",
            "Rien à faire si IPv4 marche\u{202f}; deliver.ip_version = \"4\" évite ces tentatives.",
        );
        return PORT_25.found(subject, Verdict::Advice, words, fix);
    }
    let fix = Words::new(
        "Have the provider or the firewall open port 25 on the way out, or let mail leave by a \
         smart host on port 587 or 465.",
        "Faites ouvrir le port 25 en sortie par le fournisseur ou le pare-feu, ou faites sortir le \
         courrier par un hôte intelligent sur le port 587 ou 465.",
    );
    PORT_25.found(subject, Verdict::Broken, words, fix)
}

/// What a server calls us in its answer to EHLO: the first address in brackets, as
/// `250-mx.example.net at your service, [203.0.113.7]`.
pub fn seen_address(line: &str) -> Option<IpAddr> {
    let mut rest = line;
    while let Some((_, behind)) = rest.split_once('[') {
        let (inside, after) = behind.split_once(']')?;
        let text = inside.strip_prefix("IPv6:").unwrap_or(inside);
        if let Ok(address) = text.parse() {
            return Some(address);
        }
        rest = after;
    }
    None
}

/// The time that a greeting tells, as `220 mx ESMTP ready at Mon, 30 Nov 2026 02:33:00 +0000`.
pub fn told_time(line: &str) -> Option<Timestamp> {
    let words: Vec<_> = line
        .split_ascii_whitespace()
        .take(GREETING_WORDS_MAX)
        .collect();
    let mut dates = words.windows(DATE_WORDS);
    dates.find_map(|date| Timestamp::parse_rfc5322(&date.join(" ")))
}

/// The addresses that others see: those that servers told, else those that are configured.
pub fn public_address(told: &[IpAddr], configured: &[IpAddr], needs: Needs) -> Check {
    let list = |all: &[IpAddr]| {
        let texts: Vec<_> = all.iter().map(ToString::to_string).collect();
        texts.join(", ")
    };
    match (told, configured) {
        ([], []) if !needs.by_mx => PUBLIC_ADDRESS.not_applicable(
            "",
            Words::new(
                "Mail leaves by a smart host: its address counts, not ours.",
                "Le courrier sort par un hôte intelligent\u{202f}: son adresse compte, pas la nôtre.",
            ),
        ),
        ([], []) => PUBLIC_ADDRESS.unknown(
            "",
            Words::new(
                "No server told which address we come from, and deliver.source_addresses is empty.",
                "Aucun serveur n’a dit de quelle adresse nous venons, et deliver.source_addresses \
                 est vide.",
            ),
        ),
        ([], configured) => PUBLIC_ADDRESS.ok(
            "",
            Words::new(
                format!("Mail leaves from {}, as configured.", list(configured)),
                format!("Le courrier sort de {}, comme configuré.", list(configured)),
            ),
        ),
        (told, configured)
            if !configured.is_empty() && told.iter().any(|it| !configured.contains(it)) =>
        {
            let words = Words::new(
                format!(
                    "Servers see us as {}, and {} is configured.",
                    list(told),
                    list(configured)
                ),
                format!(
                    "Des serveurs nous voient comme {}, et {} est configuré.",
                    list(told),
                    list(configured)
                ),
            );
            let fix = Words::new(
                "Correct deliver.source_addresses, or the translation of addresses (NAT).",
                "Corrigez deliver.source_addresses, ou la traduction d’adresses (NAT).",
            );
            PUBLIC_ADDRESS.found("", Verdict::Attention, words, fix)
        }
        (told, _) => PUBLIC_ADDRESS.ok(
            "",
            Words::new(
                format!("Servers see us as {}.", list(told)),
                format!("Des serveurs nous voient comme {}.", list(told)),
            ),
        ),
    }
}

/// How far the walk to a smart host came.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WalkFact {
    /// The connector.
    pub connector: String,
    /// `host:port`.
    pub host: String,
    /// The step that failed, and what was heard; none: as far as RCPT and RSET.
    pub failed: Option<(String, String)>,
    /// Cause and fix, where they are known.
    pub advice: Option<(Words, Words)>,
}

/// Whether a smart host takes our mail.
pub fn smart_host(fact: &WalkFact) -> Check {
    let (connector, host) = (&fact.connector, &fact.host);
    let subject = format!("{connector} {host}");
    let Some((step, heard)) = &fact.failed else {
        return SMART_HOST.ok(
            subject,
            Words::new(
                format!("{host} takes mail of {connector}: connection, TLS, login, sender, recipient."),
                format!("{host} accepte le courrier de {connector}\u{202f}: connexion, TLS, authentification, expéditeur, destinataire."),
            ),
        );
    };
    let mut words = Words::new(
        format!("{host} fails at {step}: {heard}."),
        format!("{host} échoue à {step}\u{202f}: {heard}."),
    );
    let mut fix = Words::new(
        format!(
            "relais connector outbound test \"{connector}\" --to ADDRESS shows the conversation."
        ),
        format!(
            "relais connector outbound test \"{connector}\" --to ADRESSE montre la conversation."
        ),
    );
    if let Some((cause, known)) = &fact.advice {
        words = Words::new(
            format!("{} {}", words.english, cause.english),
            format!("{} {}", words.french, cause.french),
        );
        fix = known.clone();
    }
    // A refused recipient may be about that address alone.
    let verdict = if step == "rcpt" {
        Verdict::Attention
    } else {
        Verdict::Broken
    };
    SMART_HOST.found(subject, verdict, words, fix)
}
