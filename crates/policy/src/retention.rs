//! What of a message is written down, and for how long its content is kept: by its inbound
//! connector, else by its organisation, else by the bootstrap file.
//!
//! Not here: the days of the trace and of conversations, which are the same for all.

use std::sync::Arc;

use crate::document::Subjects;
use crate::settings::Settings;

/// Stands where a subject would: there was one, and nobody wrote it down.
pub const MASKED_SUBJECT: &str = "***";

/// Whether subjects of this mail are written down.
pub fn subjects(settings: &Settings, organisation: &str, connector: Option<&str>) -> Subjects {
    let of_connector = connector
        .and_then(|name| settings.inbound_connector(organisation, name))
        .and_then(|found| found.connector.subjects);
    let of_organisation = || settings.organisation(organisation).map(|one| one.subjects);
    of_connector.or_else(of_organisation).unwrap_or_default()
}

/// A subject as it is written down.
pub fn written_subject(
    settings: &Settings,
    (organisation, connector): (&str, Option<&str>),
    subject: Option<Arc<str>>,
) -> Option<Arc<str>> {
    match subjects(settings, organisation, connector) {
        Subjects::Shown => subject,
        Subjects::Masked => subject.map(|_| MASKED_SUBJECT.into()),
    }
}

/// The subject of what came back, as it is written down: it may repeat that of any message of the
/// organisation, whichever connector it left by, so the strictest of them decides.
pub fn returned_subject(
    settings: &Settings,
    organisation: &str,
    subject: Option<Arc<str>>,
) -> Option<Arc<str>> {
    let found = settings.organisation(organisation);
    let connectors = found.into_iter().flat_map(|one| &one.inbound_connector);
    let mut masked = connectors.filter(|one| one.subjects == Some(Subjects::Masked));
    match masked.next() {
        Some(strictest) => {
            let whose = (organisation, Some(strictest.name.as_str()));
            written_subject(settings, whose, subject)
        }
        None => written_subject(settings, (organisation, None), subject),
    }
}

/// Days that content of this mail is kept after its last outcome; `default`: where neither
/// connector nor organisation says. An organisation that is gone keeps nothing.
pub fn content_days(
    settings: &Settings,
    (organisation, connector): (&str, Option<&str>),
    default: u32,
) -> u32 {
    let Some(found) = settings.organisation(organisation) else {
        return 0;
    };
    let of_connector = connector
        .and_then(|name| settings.inbound_connector(organisation, name))
        .and_then(|found| found.connector.content_days);
    of_connector.or(found.content_days).unwrap_or(default)
}

/// Octets of content that are kept of an organisation; of one that is gone none.
pub fn content_max(settings: &Settings, organisation: &str) -> u64 {
    let found = settings.organisation(organisation);
    found.map_or(0, |found| found.content_max.0)
}

/// Whether anybody's content is kept at all.
pub fn keeps_content(settings: &Settings, default: u32) -> bool {
    let connectors = |one: &crate::document::Organisation| {
        let mut days = one.inbound_connector.iter().map(|it| it.content_days);
        days.any(|days| days > Some(0))
    };
    let mut organisations = settings.document.organisation.iter();
    organisations.any(|one| one.content_days.unwrap_or(default) > 0 || connectors(one))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Document;
    use crate::settings::Mode;

    fn settings(keys: &str, of_connector: &str) -> Settings {
        let text = format!(
            "[[organisation]]\nname = \"contoso\"\n{keys}\n\
             [[organisation.inbound_connector]]\nname = \"Printers\"\n\
             sender_ip_addresses = [\"10.1.2.0/24\"]\n{of_connector}\n\
             [[organisation.inbound_connector]]\nname = \"Servers\"\n\
             sender_ip_addresses = [\"10.1.3.0/24\"]\n"
        );
        let document = Document::from_toml(&text).expect("a document");
        Settings::build(Mode::Lan, 1, document).expect("valid")
    }

    #[test]
    fn a_connector_goes_before_its_organisation_which_goes_before_the_default() {
        let of = |settings: &Settings, connector| content_days(settings, ("contoso", connector), 9);
        let plain = settings("", "");
        assert_eq!(of(&plain, Some("Printers")), 9);
        let both = settings("content_days = 3", "content_days = 0");
        assert_eq!(of(&both, Some("Printers")), 0);
        assert_eq!(of(&both, Some("Servers")), 3);
        assert_eq!(of(&both, Some("gone")), 3);
        assert_eq!(of(&both, None), 3);
        assert_eq!(content_days(&both, ("gone", None), 9), 0);
    }

    #[test]
    fn content_is_kept_where_anybody_says_so() {
        assert!(!keeps_content(&settings("", ""), 0));
        assert!(keeps_content(&settings("", ""), 1));
        assert!(!keeps_content(&settings("content_days = 0", ""), 1));
        let one = settings("content_days = 0", "content_days = 1");
        assert!(keeps_content(&one, 0));
    }

    #[test]
    fn what_came_back_is_masked_where_any_connector_is() {
        let subject = |settings: &Settings| {
            let returned = returned_subject(settings, "contoso", Some("Re: Payroll".into()));
            returned.expect("a subject").to_string()
        };
        for (keys, of_connector, is_masked) in [
            ("", "", false),
            ("subjects = \"masked\"", "subjects = \"shown\"", true),
            ("", "subjects = \"masked\"", true),
            ("", "subjects = \"shown\"", false),
        ] {
            let written = subject(&settings(keys, of_connector));
            assert_eq!(
                written == MASKED_SUBJECT,
                is_masked,
                "{keys} {of_connector}"
            );
        }
    }

    #[test]
    fn a_masked_subject_says_only_that_there_was_one() {
        let subject = |settings: &Settings, connector, subject: Option<&str>| {
            written_subject(settings, ("contoso", connector), subject.map(Into::into))
        };
        let masked = settings("subjects = \"masked\"", "subjects = \"shown\"");
        let servers = subject(&masked, Some("Servers"), Some("Payroll"));
        assert_eq!(servers.as_deref(), Some(MASKED_SUBJECT));
        let printers = subject(&masked, Some("Printers"), Some("Payroll"));
        assert_eq!(printers.as_deref(), Some("Payroll"));
        assert_eq!(subject(&masked, None, None), None);
        let of_strangers = subject(&masked, None, Some("Payroll"));
        assert_eq!(of_strangers.as_deref(), Some(MASKED_SUBJECT));
    }
}
