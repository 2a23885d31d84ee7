//! Making a client of what knocked and was turned away: which change of the settings a refused
//! attempt asks for. Pure: (settings, attempt, wish) → a new document, or why not.
//!
//! A new connector is observing: it answers and explains, and delivers to its test recipients only,
//! until a person enables it. Not here: finding the attempt, and storing the change.

use std::net::IpAddr;

use ipnet::IpNet;

use relais_smtp::address::Mailbox;
use relais_smtp::domain::Domain;

use crate::document::{ConnectorState, Document, InboundConnector, Organisation, PresetName};
use crate::settings::Settings;

/// The token of a request to the API without a good key.
pub const API_KEY: &str = "API-KEY";
/// The token of a sign-in at the admin centre that failed.
pub const SIGN_IN: &str = "SIGN-IN";
/// What the self-test for open relaying calls itself in its HELO.
pub const SELF_TEST_HELO: &str = "open-relay-self-test.invalid";

/// What is known of the attempt.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// The client's address.
    pub address: IpAddr,
    /// The token of its refusal.
    pub token: &'a str,
    /// The name it greeted with.
    pub helo: Option<&'a str>,
    /// The reverse-path it tried; empty for the null one.
    pub from: Option<&'a str>,
    /// The user whose login failed.
    pub user: Option<&'a str>,
    /// Its commands needed repairs.
    pub repaired: bool,
}

/// What the person wants.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// The connector's name: of a new one, or of one that gets the address too.
    pub name: &'a str,
    /// Whose; may be left out where there is only one.
    pub organisation: Option<&'a str>,
}

/// What the attempt becomes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Adopted {
    /// The address belongs to this inbound connector.
    Connector {
        /// Its organisation.
        organisation: String,
        /// Its name.
        name: String,
    },
    /// The user may sign in from the address too.
    Credential {
        /// Its organisation.
        organisation: String,
        /// The user.
        user: String,
    },
}

/// Why it cannot become anything.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AdoptError {
    /// There is nobody yet whose client it could be.
    #[error("There is no organisation yet: make one with `relais organisation add NAME`.")]
    NoOrganisation,
    /// No organisation of that name.
    #[error("There is no organisation \"{0}\".")]
    UnknownOrganisation(String),
    /// It must be said whose client it is.
    #[error("There are several organisations ({0}): name one with --organisation.")]
    SeveralOrganisations(String),
    /// Nothing more to configure: it is a client already.
    #[error(
        "{address} is covered already by inbound connector {connector} of {organisation} ({network}): \
         the refusal {token} is about something else; see `relais why`, and change that connector."
    )]
    Covered {
        /// The client.
        address: IpAddr,
        /// The connector's organisation.
        organisation: String,
        /// The connector.
        connector: String,
        /// The network by which it covers the address.
        network: IpNet,
        /// Why it was refused.
        token: String,
    },
    /// The user may sign in from there: the password is wrong.
    #[error(
        "{user} may sign in from {address}: the device has a wrong password; give it a new one with \
         `relais credential rotate {user}`."
    )]
    WrongPassword {
        /// The user.
        user: String,
        /// The client.
        address: IpAddr,
    },
    /// What was refused is no client.
    #[error("{0}")]
    NoClient(&'static str),
}

/// Why an attempt that was refused with this token can never become a client.
pub fn no_client(token: &str, helo: Option<&str>) -> Option<&'static str> {
    if helo == Some(SELF_TEST_HELO) {
        return Some("This was Relais itself, which looks whether strangers are refused.");
    }
    match token {
        "PROXY" => Some(
            "This is the address of a load balancer, whose clients have addresses of their own.",
        ),
        "IP-BLOCKED" => {
            Some("This address is blocked: release it first with `relais restricted release ip`.")
        }
        API_KEY => Some("This was a program without a good key of the API: it sent no mail."),
        SIGN_IN => Some("Somebody tried to sign in at the admin centre: it sent no mail."),
        _ => None,
    }
}

/// The settings with the attempt adopted. Adopted already: they are unchanged.
pub fn adopt(
    settings: &Settings,
    attempt: &Attempt<'_>,
    wish: &Wish<'_>,
) -> Result<(Document, Adopted), AdoptError> {
    if let Some(why) = no_client(attempt.token, attempt.helo) {
        return Err(AdoptError::NoClient(why));
    }
    let known = attempt.user.and_then(|user| settings.credential(user));
    if let Some((owner, credential)) = known {
        let organisation = owner.organisation.name.clone();
        return adopt_login(settings, attempt, organisation, &credential.user);
    }
    let organisation = whose(settings, wish)?.name.clone();
    if let Some(error) = covered_by_another(settings, attempt, &organisation, wish.name) {
        return Err(error);
    }
    let mut document = Document::clone(&settings.document);
    if let Some(owner) = named(&mut document, &organisation) {
        let connectors = &mut owner.inbound_connector;
        match connectors.iter_mut().find(|it| it.name == wish.name) {
            Some(connector) => cover(connector, attempt.address),
            None => {
                let connector = observing(settings, owner, attempt, wish.name);
                owner.inbound_connector.push(connector);
            }
        }
    }
    let name = wish.name.to_owned();
    Ok((document, Adopted::Connector { organisation, name }))
}

fn named<'a>(document: &'a mut Document, name: &str) -> Option<&'a mut Organisation> {
    document.organisation.iter_mut().find(|it| it.name == name)
}

fn whose<'a>(settings: &'a Settings, wish: &Wish<'_>) -> Result<&'a Organisation, AdoptError> {
    if let Some(name) = wish.organisation {
        let found = settings.organisation(name);
        return found.ok_or_else(|| AdoptError::UnknownOrganisation(name.to_owned()));
    }
    match settings.document.organisation.as_slice() {
        [only] => Ok(only),
        [] => Err(AdoptError::NoOrganisation),
        several => {
            let names: Vec<_> = several.iter().map(|it| it.name.as_str()).collect();
            Err(AdoptError::SeveralOrganisations(names.join(", ")))
        }
    }
}

/// A connector in use, or switched off by a person, that the address belongs to already.
fn covered_by_another(
    settings: &Settings,
    attempt: &Attempt<'_>,
    organisation: &str,
    name: &str,
) -> Option<AdoptError> {
    let mut covering = settings.connectors_by_address(attempt.address);
    let (network, found) = covering.find(|(_, found)| {
        found.connector.state != ConnectorState::Draft
            && (found.organisation.name != organisation || found.connector.name != name)
    })?;
    Some(AdoptError::Covered {
        address: attempt.address,
        organisation: found.organisation.name.clone(),
        connector: found.connector.name.clone(),
        network,
        token: attempt.token.to_owned(),
    })
}

fn cover(connector: &mut InboundConnector, address: IpAddr) {
    let networks = &mut connector.sender_ip_addresses;
    if !networks.iter().any(|network| network.contains(&address)) {
        networks.push(IpNet::from(address));
    }
}

/// A connector for this one device.
fn observing(
    settings: &Settings,
    owner: &Organisation,
    attempt: &Attempt<'_>,
    name: &str,
) -> InboundConnector {
    let mut connector = InboundConnector::new(name);
    connector.state = ConnectorState::Observing;
    connector.sender_ip_addresses = vec![IpNet::from(attempt.address)];
    let from = attempt.from.and_then(|from| Mailbox::parse(from).ok());
    if let Some(domain) = from.as_ref().and_then(Mailbox::domain)
        && settings.is_verified_for(&owner.name, domain)
    {
        connector.sender_domains = vec![domain.to_string()];
    }
    // Somebody must be able to get its first test.
    if !owner.postmaster.is_empty() {
        connector.test_recipients = vec![owner.postmaster.clone()];
    }
    if needs_tolerance(attempt) {
        connector.preset = Some(PresetName::Tolerant);
    }
    connector
}

/// Whether its syntax was the trouble, or needed repair.
fn needs_tolerance(attempt: &Attempt<'_>) -> bool {
    let syntax = [
        "SYNTAX",
        "FROM-SYNTAX",
        "RCPT-SYNTAX",
        "HDR-FROM",
        "HDR-BARELF",
    ];
    let is_address = |helo: &str| helo.parse::<IpAddr>().is_ok();
    let is_name =
        |helo: &str| helo.starts_with('[') || (Domain::parse(helo).is_ok() && !is_address(helo));
    attempt.repaired
        || syntax.contains(&attempt.token)
        || attempt.helo.is_some_and(|helo| !is_name(helo))
}

/// A known user whose login failed: from an address that its credential does not name.
fn adopt_login(
    settings: &Settings,
    attempt: &Attempt<'_>,
    organisation: String,
    user: &str,
) -> Result<(Document, Adopted), AdoptError> {
    let (user, address) = (user.to_owned(), attempt.address);
    let mut document = Document::clone(&settings.document);
    let credentials = named(&mut document, &organisation).map(|it| &mut it.credential);
    let credential = credentials
        .into_iter()
        .flatten()
        .find(|credential| credential.user == user);
    let Some(credential) = credential else {
        return Err(AdoptError::WrongPassword { user, address });
    };
    let sources = &mut credential.source_addresses;
    let is_named = sources.iter().any(|network| network.contains(&address));
    // Only AUTH-SRC is said to whoever knew the password: others may have guessed.
    if sources.is_empty() || attempt.token != "AUTH-SRC" {
        return Err(AdoptError::WrongPassword { user, address });
    }
    if !is_named {
        sources.push(IpNet::from(address));
    }
    Ok((document, Adopted::Credential { organisation, user }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Mode;

    const LAN: &str = r#"
[[organisation]]
name = "contoso"
postmaster = "it@contoso.test"

[[organisation.domain]]
name = "contoso.test"
verification = "assumed"

[[organisation.inbound_connector]]
name = "Printers"
sender_ip_addresses = ["10.1.2.0/24"]

[[organisation.inbound_connector]]
name = "Plan"
state = "draft"
sender_ip_addresses = ["10.1.9.0/24"]

[[organisation.credential]]
user = "scan-1"
inbound_connector = "Printers"
source_addresses = ["10.1.2.0/24"]

[[organisation.credential]]
user = "anywhere"
inbound_connector = "Printers"
"#;

    fn settings(mode: Mode, text: &str) -> Settings {
        let document = Document::from_toml(text).expect("settings");
        Settings::build(mode, 1, document).expect("good settings")
    }

    fn attempt(address: &str) -> Attempt<'static> {
        Attempt {
            address: address.parse().expect("an address"),
            token: "SRC-UNKNOWN",
            helo: Some("scan.contoso.test"),
            from: Some("scan@contoso.test"),
            user: None,
            repaired: false,
        }
    }

    const COPIERS: Wish<'static> = Wish {
        name: "Copiers",
        organisation: None,
    };

    /// The connector that was made or extended.
    fn connector(settings: &Settings, attempt: &Attempt<'_>, wish: &Wish<'_>) -> InboundConnector {
        let (document, adopted) = adopt(settings, attempt, wish).expect("it can be adopted");
        let Adopted::Connector { organisation, name } = adopted else {
            panic!("no connector: {adopted:?}");
        };
        Settings::build(settings.mode, 2, document)
            .expect("good settings")
            .inbound_connector(&organisation, &name)
            .expect("it is there")
            .connector
            .clone()
    }

    #[test]
    fn an_unknown_device_becomes_an_observing_connector_of_its_own() {
        let settings = settings(Mode::Lan, LAN);
        let made = connector(&settings, &attempt("10.1.3.7"), &COPIERS);
        let mut expected = InboundConnector::new("Copiers");
        expected.state = ConnectorState::Observing;
        expected.sender_ip_addresses = vec!["10.1.3.7/32".parse().expect("a network")];
        expected.sender_domains = vec!["contoso.test".to_owned()];
        expected.test_recipients = vec!["it@contoso.test".to_owned()];
        assert_eq!(made, expected);
    }

    #[test]
    fn a_domain_that_is_not_the_organisations_is_not_taken_over() {
        let settings = settings(Mode::Lan, LAN);
        for from in [Some("ceo@fabrikam.test"), Some(""), Some("nonsense"), None] {
            let attempt = Attempt {
                from,
                ..attempt("10.1.3.7")
            };
            let made = connector(&settings, &attempt, &COPIERS);
            assert_eq!(made.sender_domains, ["*"], "{from:?}");
        }
    }

    #[test]
    fn what_stumbled_over_syntax_is_treated_with_tolerance() {
        let settings = settings(Mode::Lan, LAN);
        let plain = attempt("10.1.3.7");
        for (attempt, tolerant) in [
            (plain, false),
            (
                Attempt {
                    repaired: true,
                    ..plain
                },
                true,
            ),
            (
                Attempt {
                    token: "FROM-SYNTAX",
                    ..plain
                },
                true,
            ),
            (
                Attempt {
                    helo: Some("10.1.3.7"),
                    ..plain
                },
                true,
            ),
            (
                Attempt {
                    helo: Some("[10.1.3.7]"),
                    ..plain
                },
                false,
            ),
            (
                Attempt {
                    helo: None,
                    ..plain
                },
                false,
            ),
        ] {
            let made = connector(&settings, &attempt, &COPIERS);
            let expected = tolerant.then_some(PresetName::Tolerant);
            assert_eq!(made.preset, expected, "{attempt:?}");
        }
    }

    #[test]
    fn a_connector_of_that_name_gets_the_address_once_and_keeps_the_rest() {
        let before = settings(Mode::Lan, LAN);
        let wish = Wish {
            name: "Printers",
            organisation: Some("contoso"),
        };
        let extended = connector(&before, &attempt("10.1.3.7"), &wish);
        assert_eq!(extended.state, ConnectorState::Enabled);
        assert_eq!(extended.sender_ip_addresses.len(), 2);
        let (document, _) = adopt(&before, &attempt("10.1.3.7"), &wish).expect("adopted");
        let after = Settings::build(Mode::Lan, 2, document).expect("good settings");
        let (again, _) = adopt(&after, &attempt("10.1.3.7"), &wish).expect("adopted");
        assert_eq!(again, *after.document, "a second time changes nothing");
    }

    #[test]
    fn an_address_that_is_covered_already_is_said_so_and_a_draft_covers_nothing() {
        let settings = settings(Mode::Lan, LAN);
        let error = adopt(&settings, &attempt("10.1.2.9"), &COPIERS).expect_err("covered");
        let words = error.to_string();
        assert!(
            words.starts_with(
                "10.1.2.9 is covered already by inbound connector Printers of contoso (10.1.2.0/24)"
            ),
            "{words}"
        );
        connector(&settings, &attempt("10.1.9.7"), &COPIERS);
    }

    #[test]
    fn whose_client_it_is_must_be_clear() {
        let hosted =
            "[[organisation]]\nname = \"contoso\"\n[[organisation]]\nname = \"fabrikam\"\n";
        let hosted = settings(Mode::Hosted, hosted);
        let of = |organisation| Wish {
            organisation,
            ..COPIERS
        };
        let refused = |settings: &Settings, organisation| {
            adopt(settings, &attempt("203.0.113.7"), &of(organisation)).expect_err("unclear")
        };
        assert_eq!(
            refused(&hosted, None),
            AdoptError::SeveralOrganisations("contoso, fabrikam".to_owned())
        );
        assert_eq!(
            refused(&hosted, Some("adatum")),
            AdoptError::UnknownOrganisation("adatum".to_owned())
        );
        let empty = settings(Mode::Lan, "");
        assert_eq!(refused(&empty, None), AdoptError::NoOrganisation);
    }

    #[test]
    fn a_known_user_from_another_address_may_sign_in_from_there_too() {
        let settings = settings(Mode::Lan, LAN);
        let login = |user, address| Attempt {
            user: Some(user),
            token: "AUTH-SRC",
            ..attempt(address)
        };
        let (document, adopted) =
            adopt(&settings, &login("scan-1", "10.1.3.7"), &COPIERS).expect("adopted");
        let user = "scan-1".to_owned();
        let organisation = "contoso".to_owned();
        assert_eq!(adopted, Adopted::Credential { organisation, user });
        let sources = &document.organisation[0].credential[0].source_addresses;
        assert_eq!(sources.len(), 2);
        let error = adopt(&settings, &login("anywhere", "10.1.3.7"), &COPIERS);
        assert!(
            matches!(error, Err(AdoptError::WrongPassword { .. })),
            "{error:?}"
        );
        let unknown = connector(&settings, &login("nobody", "10.1.3.7"), &COPIERS);
        assert_eq!(unknown.state, ConnectorState::Observing);
    }

    #[test]
    fn a_load_balancer_a_blocked_address_or_our_own_test_is_no_client() {
        let settings = settings(Mode::Lan, LAN);
        let ourselves = Attempt {
            helo: Some(SELF_TEST_HELO),
            ..attempt("127.0.0.1")
        };
        let error = adopt(&settings, &ourselves, &COPIERS);
        assert!(matches!(error, Err(AdoptError::NoClient(_))), "{error:?}");
        for token in ["PROXY", "IP-BLOCKED"] {
            let attempt = Attempt {
                token,
                ..attempt("10.1.3.7")
            };
            let error = adopt(&settings, &attempt, &COPIERS);
            assert!(matches!(error, Err(AdoptError::NoClient(_))), "{token}");
        }
    }
}
