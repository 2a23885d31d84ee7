//! The copy of each message that a connector may keep: who gets it, and how the trace says so.
//!
//! It is a recipient beside those whom the client named, and no business of theirs or the sender's:
//! it leaves with an envelope sender of ours, and nobody outside hears of its fate.
//!
//! Not here: what is restricted or suppressed at this moment (`relais-receive` asks), the way of
//! the copy (`relais-deliver`).

use relais_smtp::address::Mailbox;

use crate::document::ConnectorState;
use crate::settings::{OwnedConnector, Settings};

/// Who gets a copy of a message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Archive {
    /// Nobody.
    Nobody,
    /// This mailbox.
    To(Mailbox),
    /// This one does not, although it should.
    Withheld {
        /// Who should.
        mailbox: Mailbox,
        /// Why not, in words for the trace.
        because: String,
    },
}

impl Archive {
    /// This one does not, for that reason.
    pub fn withheld(mailbox: Mailbox, because: impl Into<String>) -> Self {
        let because = because.into();
        Self::Withheld { mailbox, because }
    }

    /// In the detail of `message.accepted`; `None`: nothing to say.
    pub fn words(&self) -> Option<String> {
        match self {
            Self::Nobody => None,
            Self::To(mailbox) => Some(copy_words(mailbox)),
            Self::Withheld { mailbox, because } => Some(format!("no copy to {mailbox}: {because}")),
        }
    }
}

/// Who gets a copy, as the settings say. While a connector is observing, its mail goes to test
/// recipients only.
pub fn archive(settings: &Settings, found: &OwnedConnector<'_>) -> Archive {
    let connector = found.connector;
    let address = Mailbox::parse(connector.archive_address.trim());
    match (address, connector.state) {
        (Ok(mailbox), ConnectorState::Enabled) => {
            match settings.is_own(&found.organisation.name, mailbox.host()) {
                true => Archive::To(mailbox),
                false => Archive::withheld(mailbox, "its domain is not verified"),
            }
        }
        _ => Archive::Nobody,
    }
}

/// Whether the message whose `message.accepted` has this detail was copied to that mailbox.
pub fn is_copied(detail: &str, mailbox: &Mailbox) -> bool {
    let words = copy_words(mailbox);
    detail.split("; ").any(|part| part == words)
}

fn copy_words(mailbox: &Mailbox) -> String {
    format!("copy to {mailbox}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trace_knows_a_copy_again_by_its_own_words() {
        let mailbox = |text: &str| Mailbox::parse(text).expect("an address");
        let archive = mailbox("archive@contoso.test");
        let copied = Archive::To(archive.clone()).words().expect("words");
        let withheld = Archive::withheld(archive.clone(), "it is blocked").words();
        let withheld = withheld.expect("words");
        for (detail, is_copy) in [
            (copied.clone(), true),
            (format!("sender a → b; {copied}"), true),
            (withheld, false),
            (String::new(), false),
        ] {
            assert_eq!(is_copied(&detail, &archive), is_copy, "{detail}");
        }
        assert!(!is_copied(&copied, &mailbox("other@contoso.test")));
        assert_eq!(Archive::Nobody.words(), None);
    }
}
