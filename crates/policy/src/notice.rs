//! Who gets a notice about a message, and in which language.
//!
//! Not here: whether one is due (`NOTIFY`, the outcome), and its text (`relais_smtp::dsn`).

use relais_smtp::address::{Host, Mailbox, ReversePath};

use crate::document::Language;
use crate::route::literal_is_allowed;
use crate::settings::{DirectoryAnswer, Settings};

/// The addressee of a notice.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Addressee {
    /// The reverse-path itself.
    ReversePath(Mailbox),
    /// The reverse-path is no mailbox of the directory: the connector's owner.
    Owner(Mailbox),
    /// No owner: the organisation's postmaster.
    Postmaster(Mailbox),
    /// Nobody: null reverse-path, or nobody named.
    Nobody {
        /// Why, in words.
        because: &'static str,
    },
}

/// Chooses the addressee: never anybody for a null reverse-path. Where the reverse-path's domain
/// is an accepted domain with a directory and the address is no mailbox of it: the connector's
/// owner, then the organisation's postmaster.
pub fn addressee(
    settings: &Settings,
    organisation: &str,
    inbound_connector: Option<&str>,
    reverse_path: &ReversePath,
) -> (Addressee, Language) {
    let found = settings.organisation(organisation);
    let language = found
        .map(|organisation| organisation.language)
        .unwrap_or_default();
    let ReversePath::Mailbox(mailbox) = reverse_path else {
        // RFC 5321 §4.5.5: or notices about notices would never end.
        return (
            Addressee::Nobody {
                because: "the reverse-path is null",
            },
            language,
        );
    };
    if can_have_mailbox(settings, organisation, mailbox) {
        return (Addressee::ReversePath(mailbox.clone()), language);
    }
    let connector = inbound_connector
        .and_then(|name| settings.inbound_connector(organisation, name))
        .map(|found| found.connector.owner.as_str());
    if let Some(owner) = connector.and_then(|owner| Mailbox::parse(owner.trim()).ok()) {
        return (Addressee::Owner(owner), language);
    }
    let postmaster = found.and_then(|found| Mailbox::parse(found.postmaster.trim()).ok());
    let addressee = match postmaster {
        Some(postmaster) => Addressee::Postmaster(postmaster),
        None => Addressee::Nobody {
            because: "the reverse-path has no mailbox, and neither owner nor postmaster is named",
        },
    };
    (addressee, language)
}

/// Whether a notice to the reverse-path may reach somebody, as far as we can know.
fn can_have_mailbox(settings: &Settings, organisation: &str, mailbox: &Mailbox) -> bool {
    let domain = match mailbox.host() {
        Host::Domain(domain) => domain,
        Host::Literal(address) => return literal_is_allowed(settings, organisation, *address),
    };
    match settings.verified_domain(domain) {
        Some(owned) if owned.mailboxes > 0 => {
            settings.directory(mailbox) == Some(DirectoryAnswer::Mailbox)
        }
        // Without a directory we know nothing, and its person would know why.
        Some(_) => settings.directory(mailbox) != Some(DirectoryAnswer::Person),
        None => true,
    }
}
