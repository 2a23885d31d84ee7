//! Every refusal is explained once, in both languages, and its reply fits.

use std::collections::BTreeSet;

use super::*;
use crate::refusal::REFUSAL_TEXT_CHARACTERS_MAX;

/// Numbers the variants in the order in which they stand. A new variant does not compile before
/// it has its line here.
macro_rules! numbered {
    ($($variant:pat,)*) => {
        const VARIANTS: &[&str] = &[$(stringify!($variant)),*];

        fn number(refusal: &Refusal) -> Option<usize> {
            let name = match refusal {
                $($variant => stringify!($variant),)*
            };
            VARIANTS.iter().position(|variant| *variant == name)
        }
    };
}

numbered! {
    Refusal::TooManyConnections,
    Refusal::ProxyHeader,
    Refusal::ShuttingDown,
    Refusal::NoRoom,
    Refusal::AddressBlocked,
    Refusal::ListenerSource { .. },
    Refusal::ListenerExpired { .. },
    Refusal::ListenerDay { .. },
    Refusal::Timeout,
    Refusal::TooManyErrors,
    Refusal::HeloForged { .. },
    Refusal::Syntax(SyntaxFault::UnknownCommand),
    Refusal::Syntax(SyntaxFault::Line),
    Refusal::Syntax(SyntaxFault::Arguments),
    Refusal::Syntax(SyntaxFault::NotImplemented),
    Refusal::Syntax(SyntaxFault::Order),
    Refusal::TlsHandshake { .. },
    Refusal::TlsUnavailable,
    Refusal::TlsRequired,
    Refusal::AuthRequired,
    Refusal::AuthNeedsTls,
    Refusal::AuthMechanism,
    Refusal::AuthSyntax(AuthFault::Message),
    Refusal::AuthSyntax(AuthFault::Cancelled),
    Refusal::AuthSyntax(AuthFault::TooLong),
    Refusal::AuthBad,
    Refusal::AuthSource,
    Refusal::AuthTlsLevel,
    Refusal::AuthThrottled,
    Refusal::AuthTemporary,
    Refusal::SourceUnknown { .. },
    Refusal::SourceShared,
    Refusal::CertificateNoMatch { .. },
    Refusal::CertificateExpired { .. },
    Refusal::CertificateUntrusted { .. },
    Refusal::ConnectorDisabled,
    Refusal::ConnectorBlocked,
    Refusal::OrganisationBlocked,
    Refusal::CredentialDisabled,
    Refusal::SenderSyntax,
    Refusal::SenderDomain { .. },
    Refusal::SenderDomainLapsed { .. },
    Refusal::SenderDomainUnreachable,
    Refusal::SenderNullMx,
    Refusal::SenderDomainTemporary,
    Refusal::SenderDenied { .. },
    Refusal::SenderUnlicensed { .. },
    Refusal::SenderBlocked,
    Refusal::NullSender,
    Refusal::OutsideHours { .. },
    Refusal::TooBig { .. },
    Refusal::Parameter { .. },
    Refusal::Utf8NotDeclared,
    Refusal::RequireTlsUnavailable,
    Refusal::Rate { .. },
    Refusal::QuotaHour { .. },
    Refusal::QuotaDay { .. },
    Refusal::RecipientSyntax,
    Refusal::RecipientScope { .. },
    Refusal::RecipientDomainUnknown { .. },
    Refusal::RecipientNullMx { .. },
    Refusal::RecipientUnknown,
    Refusal::RecipientSuppressed { .. },
    Refusal::RecipientBlocked,
    Refusal::HeldFull,
    Refusal::TooManyRecipients,
    Refusal::Sandbox,
    Refusal::HeaderFrom,
    Refusal::HeaderDomain { .. },
    Refusal::DmarcFailed { .. },
    Refusal::HeaderTooBig,
    Refusal::BareLineEnd,
    Refusal::Smuggling,
    Refusal::Loop,
    Refusal::Local,
    Refusal::HeaderNul,
    Refusal::Malware { .. },
    Refusal::ContentRefused { .. },
    Refusal::AttachmentType { .. },
    Refusal::ContentLater { .. },
    Refusal::ContentUnchecked { .. },
}

#[test]
fn every_refusal_is_in_the_catalogue_once_and_in_order() {
    let numbers: Vec<_> = CATALOGUE
        .iter()
        .filter_map(|entry| number(&(entry.sample)()))
        .collect();
    assert_eq!(numbers, (0..VARIANTS.len()).collect::<Vec<_>>());
}

#[test]
fn the_cause_stands_in_the_first_40_characters_and_the_reply_within_100() {
    let reference = "ZZZZZ".parse().expect("a reference");
    for entry in CATALOGUE {
        let refusal = (entry.sample)();
        let (head, _) = entry
            .pattern()
            .split_once('<')
            .unwrap_or((entry.pattern(), ""));
        // The exceptions say their causes, "Shared address", "Connector blocked", well before.
        let is_exception = matches!(entry.token(), "SRC-SHARED" | "CONN-BLOCKED");
        assert!(head.len() <= 40 || is_exception, "{head}");
        let reply = refusal.reply(reference);
        assert!(reply.text().len() <= REFUSAL_TEXT_CHARACTERS_MAX, "{reply}");
        assert!(reply.text().is_ascii(), "{reply}");
        assert!(
            reply
                .text()
                .ends_with(&format!(" ({} ZZZZZ)", entry.token())),
            "{reply}"
        );
        assert_eq!(
            u16::from(entry.status().class),
            entry.code().get() / 100,
            "{reply}"
        );
        assert_eq!(
            refusal.closes(),
            matches!(entry.code().get(), 421 | 521)
                || [
                    "IP-BLOCKED",
                    "LISTENER-SRC",
                    "LISTENER-EXPIRED",
                    "LISTENER-DAY"
                ]
                .contains(&entry.token()),
            "{reply}"
        );
    }
}

#[test]
fn each_entry_says_something_of_its_own_in_both_languages() {
    let mut seen = BTreeSet::new();
    for entry in CATALOGUE {
        for text in [entry.cause_en, entry.fix_en, entry.cause_fr, entry.fix_fr] {
            assert!(text.ends_with('.') && text.len() > 20, "{text}");
            assert!(!text.contains("  ") && seen.insert(text), "{text}");
        }
    }
}
