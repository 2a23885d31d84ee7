//! Which attachments do not pass: by the ending of their name, by the type that they declare.
//!
//! Not here: how names and types are found (`relais_smtp::mime`); what is in them: a type is as
//! declared, an archive is not opened. That is what scanners are for.

use relais_smtp::mime::{Part, Structure};

use crate::document::ContentPolicy;

/// Of a message whose parts could not all be seen.
pub const UNSEEN: &str = "parts that cannot be read";

/// The first thing about a part that is forbidden: `exe`, `video/mp4`.
pub fn forbidden_in(policy: &ContentPolicy, part: &Part) -> Option<String> {
    let named = part.names.iter().find_map(|name| {
        let name = name.trim_end_matches(['.', ' ', '\0']);
        let mut endings = policy.forbidden_extensions.iter();
        endings.find(|ending| has_ending(name, ending))
    });
    if let Some(ending) = named {
        return Some(ending.trim_start_matches('.').to_ascii_lowercase());
    }
    let mut types = policy.forbidden_types.iter();
    let typed = types.find(|kind| is_of_type(&part.content_type, kind));
    typed.map(|_| part.content_type.clone())
}

/// What is forbidden about the structure itself.
pub fn forbidden_by_structure(structure: Structure) -> Option<&'static str> {
    match structure {
        Structure::Seen => None,
        Structure::Unseen => Some(UNSEEN),
    }
}

fn has_ending(name: &str, ending: &str) -> bool {
    let ending = ending.trim_start_matches('.').to_ascii_lowercase();
    name.strip_suffix(&*ending)
        .is_some_and(|stem| stem.ends_with('.'))
}

fn is_of_type(declared: &str, kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    match kind.strip_suffix('*') {
        Some(main) => declared.starts_with(main),
        None => declared == kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> ContentPolicy {
        ContentPolicy {
            forbidden_extensions: vec![".EXE".to_owned(), "tar.gz".to_owned()],
            forbidden_types: vec!["video/*".to_owned(), "application/x-MSDownload".to_owned()],
            ..ContentPolicy::default()
        }
    }

    fn of(content_type: &str, name: &str) -> Option<String> {
        let part = Part {
            content_type: content_type.to_owned(),
            names: vec![name.to_owned()],
        };
        forbidden_in(&policy(), &part)
    }

    #[test]
    fn endings_and_types_that_are_forbidden_are_named_and_others_pass() {
        for (kind, name, expected) in [
            ("text/plain", "invoice.exe", Some("exe")),
            ("text/plain", "invoice.pdf.exe. ", Some("exe")),
            ("text/plain", "backup.tar.gz", Some("tar.gz")),
            ("video/mp4", "a.pdf", Some("video/mp4")),
            (
                "application/x-msdownload",
                "",
                Some("application/x-msdownload"),
            ),
            ("text/plain", "exe", None),
            ("text/plain", "notexe", None),
            ("text/plain", "a.exe.pdf", None),
            ("text/plain", "a.gz", None),
            ("videos/x", "", None),
            ("", "", None),
        ] {
            assert_eq!(of(kind, name).as_deref(), expected, "{kind} {name}");
        }
    }

    #[test]
    fn what_could_not_be_seen_does_not_pass() {
        assert_eq!(forbidden_by_structure(Structure::Unseen), Some(UNSEEN));
        assert_eq!(forbidden_by_structure(Structure::Seen), None);
    }
}
