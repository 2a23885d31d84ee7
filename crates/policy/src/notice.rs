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
    let addressee =
        person(settings, organisation, inbound_connector).unwrap_or(Addressee::Nobody {
            because: "the reverse-path has no mailbox, and neither owner nor postmaster is named",
        });
    (addressee, language)
}

/// Who gets what another server sent back about a message of the organisation, and in which
/// language: the sender, where the directory lists its mailbox; else the connector's owner, then
/// the organisation's postmaster. `None`: the message is not known any more. Nobody outside: what
/// came back was written by others, and must not be sent on to others.
pub fn addressee_of_returned(
    settings: &Settings,
    organisation: &str,
    inbound_connector: Option<&str>,
    reverse_path: Option<&ReversePath>,
) -> (Addressee, Language) {
    let found = settings.organisation(organisation);
    let language = found
        .map(|organisation| organisation.language)
        .unwrap_or_default();
    let sender = reverse_path.and_then(ReversePath::mailbox);
    if let Some(mailbox) = sender
        && settings.is_own(organisation, mailbox.host())
        && settings.directory(mailbox) == Some(DirectoryAnswer::Mailbox)
    {
        return (Addressee::ReversePath(mailbox.clone()), language);
    }
    let addressee =
        person(settings, organisation, inbound_connector).unwrap_or(Addressee::Nobody {
            because: "neither owner nor postmaster is named",
        });
    (addressee, language)
}

/// The connector's owner, or else the organisation's postmaster.
fn person(
    settings: &Settings,
    organisation: &str,
    inbound_connector: Option<&str>,
) -> Option<Addressee> {
    let owner = inbound_connector
        .and_then(|name| settings.inbound_connector(organisation, name))
        .and_then(|found| Mailbox::parse(found.connector.owner.trim()).ok());
    if let Some(owner) = owner {
        return Some(Addressee::Owner(owner));
    }
    let postmaster = &settings.organisation(organisation)?.postmaster;
    let postmaster = Mailbox::parse(postmaster.trim()).ok()?;
    Some(Addressee::Postmaster(postmaster))
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
