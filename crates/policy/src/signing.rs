//! Which domain signs a message on its way out, and with which keys; or why none does. And which
//! one seals a stranger's message that is passed on (RFC 8617).
//!
//! The domain of the header From signs, as DMARC compares that one (RFC 7489 §3.1.1); where it is
//! not ours, that of the reverse-path. Strangers' mail is never signed: it may only pretend to be
//! ours.

use relais_smtp::address::Mailbox;
use relais_smtp::domain::Domain;

use crate::dkim::{DkimStanding, Key};
use crate::document::DkimAlgorithm;
use crate::settings::{OwnedDomain, Settings};

/// Whose message it is.
#[derive(Clone, Copy, Debug)]
pub struct Signer<'a> {
    /// Its organisation.
    pub organisation: &'a str,
    /// It came from a client of that organisation, or is a notice of ours.
    pub is_ours: bool,
    /// It is a notice of ours.
    pub is_notice: bool,
    /// First address of the header From.
    pub header_from: Option<&'a str>,
    /// The domain of the reverse-path.
    pub reverse_path: Option<&'a Domain>,
}

/// What is decided.
#[derive(Clone, Debug)]
pub enum Signing<'a> {
    /// This domain signs with these keys; never without any.
    By {
        /// As in `d=`.
        domain: Domain,
        /// One for each algorithm.
        keys: Vec<&'a Key>,
    },
    /// It waits: this domain has signed, perhaps, and what is known of its keys cannot be read.
    Withheld(Domain),
    /// It leaves unsigned.
    Unsigned(Unsigned),
}

/// Why a message leaves unsigned.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Unsigned {
    /// It is a stranger's.
    Stranger,
    /// No domain of it is an accepted domain in force.
    NoDomain,
    /// The settings do not want it for this domain.
    Off(Domain),
    /// Wanted, and no key of this domain is in DNS yet.
    Waiting(Domain),
}

impl Unsigned {
    /// In words.
    pub fn describe(&self) -> String {
        match self {
            Self::Stranger => "not from a client of ours".to_owned(),
            Self::NoDomain => "no accepted domain of ours is in From or reverse-path".to_owned(),
            Self::Off(domain) => format!("DKIM of {domain} is switched off"),
            Self::Waiting(domain) => {
                format!("DKIM of {domain} waits until DNS shows a key: relais dkim list")
            }
        }
    }

    /// Whether somebody wanted it signed.
    pub const fn is_wanted(&self) -> bool {
        matches!(self, Self::Waiting(_))
    }
}

/// Decides.
pub fn signing<'a>(settings: &'a Settings, signer: &Signer<'_>) -> Signing<'a> {
    if !signer.is_ours {
        return Signing::Unsigned(Unsigned::Stranger);
    }
    let mut unsigned = Unsigned::NoDomain;
    let from = signer
        .header_from
        .and_then(|from| Mailbox::parse(from).ok());
    let from = from.as_ref().and_then(Mailbox::domain);
    let candidates = [from, signer.reverse_path].into_iter().flatten();
    let owned =
        candidates.filter_map(|domain| settings.accepted_domain_of(signer.organisation, domain));
    // A notice is ours and goes to a person of the organisation: any domain of it that can.
    let any = signer.is_notice.then(|| {
        let all = settings.domains().map(|(_, owned)| owned);
        let ours = all.filter(|owned| owned.organisation.name == signer.organisation);
        ours.filter(|owned| !matches!(by(settings, owned), Ok(Signing::Withheld(_))))
    });
    for owned in owned.chain(any.into_iter().flatten()) {
        match by(settings, &owned) {
            Ok(signing) => return signing,
            Err(because) if unsigned == Unsigned::NoDomain || because.is_wanted() => {
                if !unsigned.is_wanted() {
                    unsigned = because;
                }
            }
            Err(_) => {}
        }
    }
    Signing::Unsigned(unsigned)
}

fn by<'a>(settings: &'a Settings, owned: &OwnedDomain<'_>) -> Result<Signing<'a>, Unsigned> {
    let Ok(domain) = Domain::parse(&owned.domain.name) else {
        return Err(Unsigned::NoDomain);
    };
    if !owned.is_verified() {
        return Err(Unsigned::NoDomain);
    }
    let keys = settings.dkim.get(&owned.organisation.name, &domain);
    let standing = keys.map_or(DkimStanding::Waiting, |keys| {
        keys.standing(&owned.domain.dkim)
    });
    if !owned.domain.dkim.enabled {
        return Err(Unsigned::Off(domain));
    }
    match (standing, keys) {
        (DkimStanding::Active | DkimStanding::Missing, Some(keys)) => Ok(Signing::By {
            domain,
            keys: keys.active().collect(),
        }),
        (DkimStanding::Damaged, _) => Ok(Signing::Withheld(domain)),
        _ => Err(Unsigned::Waiting(domain)),
    }
}

/// Who seals a stranger's message for a recipient: the accepted domain of that recipient, which it
/// came to, with a key of a kind that every verifier of ARC reads. `Err`: why nobody does.
pub fn sealing<'a>(
    settings: &'a Settings,
    organisation: &str,
    recipient: &Domain,
) -> Result<(Domain, &'a Key), Unsigned> {
    let owned = settings.accepted_domain_of(organisation, recipient);
    let owned = owned.ok_or(Unsigned::NoDomain)?;
    match by(settings, &owned)? {
        Signing::By { domain, keys } => {
            let mut keys = keys.into_iter();
            let rsa = keys.find(|key| key.algorithm == DkimAlgorithm::Rsa2048);
            let waiting = || Unsigned::Waiting(domain.clone());
            rsa.ok_or_else(waiting).map(|key| (domain.clone(), key))
        }
        Signing::Withheld(domain) => Err(Unsigned::Waiting(domain)),
        Signing::Unsigned(because) => Err(because),
    }
}

#[cfg(test)]
mod tests {
    use relais_smtp::time::Timestamp;

    use super::*;
    use crate::dkim::{DkimTable, DomainKeys};
    use crate::document::Document;
    use crate::proof::ProofKey;
    use crate::settings::Mode;

    const SETTINGS: &str = r#"
[[organisation]]
name = "contoso"
[[organisation.domain]]
name = "contoso.test"
verification = "assumed"
subdomains = true
[[organisation.domain]]
name = "waiting.test"
verification = "assumed"
[[organisation.domain]]
name = "damaged.test"
verification = "assumed"
[[organisation.domain]]
name = "off.test"
verification = "assumed"
dkim = { enabled = false }
[[organisation.domain]]
name = "pending.test"
[[organisation]]
name = "fabrikam"
[[organisation.domain]]
name = "fabrikam.test"
verification = "assumed"
"#;

    fn settings() -> Settings {
        let document = Document::from_toml(SETTINGS).unwrap();
        let settings = Settings::build(Mode::Hosted, 1, document).unwrap();
        let now = Timestamp::from_millis(0);
        let mut table = DkimTable::default();
        for (organisation, name) in [
            ("contoso", "contoso.test"),
            ("contoso", "off.test"),
            ("contoso", "pending.test"),
            ("fabrikam", "fabrikam.test"),
        ] {
            let key = Key::new("s1".into(), DkimAlgorithm::Rsa2048, "x".into(), now);
            let keys = DomainKeys::new("t".into()).with_key(key);
            let (keys, _) = keys.activated_by_hand("s1", &Default::default(), now);
            let domain = Domain::parse(name).unwrap();
            table.set(ProofKey::new(organisation, &domain), Some(keys));
        }
        let damaged = Domain::parse("damaged.test").unwrap();
        let key = ProofKey::new("contoso", &damaged);
        table.set(key, Some(DomainKeys::damaged()));
        settings.with_dkim(table)
    }

    #[test]
    fn the_domain_of_from_signs_else_that_of_the_reverse_path_and_nobody_elses() {
        let settings = settings();
        for (from, path, ours, notice, expected) in [
            (
                "a@contoso.test",
                "contoso.test",
                true,
                false,
                "contoso.test",
            ),
            ("a@x.contoso.test", "", true, false, "contoso.test"),
            (
                "a@fabrikam.test",
                "contoso.test",
                true,
                false,
                "contoso.test",
            ),
            (
                "a@waiting.test",
                "contoso.test",
                true,
                false,
                "contoso.test",
            ),
            ("a@waiting.test", "waiting.test", true, false, "waiting"),
            ("a@damaged.test", "contoso.test", true, false, "withheld"),
            ("a@waiting.test", "damaged.test", true, false, "withheld"),
            ("a@waiting.test", "off.test", true, false, "waiting"),
            ("a@off.test", "off.test", true, false, "off"),
            ("a@pending.test", "", true, false, "none"),
            ("a@fabrikam.test", "fabrikam.test", true, false, "none"),
            ("a@contoso.test", "contoso.test", false, false, "stranger"),
            (
                "postmaster@relay.other.test",
                "",
                true,
                true,
                "contoso.test",
            ),
            ("", "", true, false, "none"),
        ] {
            let reverse_path = Domain::parse(path).ok();
            let signer = Signer {
                organisation: "contoso",
                is_ours: ours,
                is_notice: notice,
                header_from: Some(from),
                reverse_path: reverse_path.as_ref(),
            };
            let found = match signing(&settings, &signer) {
                Signing::By { domain, keys } => {
                    assert_eq!(keys.len(), 1);
                    domain.to_string()
                }
                Signing::Withheld(_) => "withheld".to_owned(),
                Signing::Unsigned(Unsigned::Stranger) => "stranger".to_owned(),
                Signing::Unsigned(Unsigned::NoDomain) => "none".to_owned(),
                Signing::Unsigned(Unsigned::Off(_)) => "off".to_owned(),
                Signing::Unsigned(Unsigned::Waiting(_)) => "waiting".to_owned(),
            };
            assert_eq!(found, expected, "{from} {path}");
        }
    }
    #[test]
    fn the_recipients_domain_seals_with_its_rsa_key_alone() {
        let settings = settings();
        for (recipient, expected) in [
            ("contoso.test", "contoso.test"),
            ("x.contoso.test", "contoso.test"),
            ("waiting.test", "waiting"),
            ("off.test", "off"),
            ("fabrikam.test", "none"),
            ("example.org", "none"),
        ] {
            let found = sealing(&settings, "contoso", &Domain::parse(recipient).unwrap());
            let found = match found {
                Ok((domain, key)) => {
                    assert_eq!(key.algorithm, DkimAlgorithm::Rsa2048);
                    domain.to_string()
                }
                Err(Unsigned::Waiting(_)) => "waiting".to_owned(),
                Err(Unsigned::Off(_)) => "off".to_owned(),
                Err(Unsigned::NoDomain | Unsigned::Stranger) => "none".to_owned(),
            };
            assert_eq!(found, expected, "{recipient}");
        }
    }
}
