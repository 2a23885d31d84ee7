//! The senders of a connector's mail: which addresses it may use, and which one it is given in
//! their place.
//!
//! Not here: whether a domain is verified, and what a credential may use (`permission`).

use relais_smtp::address::{Host, Mailbox};
use relais_smtp::domain::Domain;

use crate::document::{InboundConnector, SenderReplaced};

/// Last labels of names that mean something in one network only: of multicast DNS, of the machine
/// itself, and those that routers and installers give.
const LOCAL_LABELS: [&str; 7] = [
    "local",
    "localdomain",
    "localhost",
    "lan",
    "home",
    "internal",
    "intranet",
];
/// The name for home networks.
const HOME: &str = "home.arpa";
/// Who writes when nobody is named.
const SUPERUSER: &str = "root";

/// Whether nobody could answer it, or nobody reads it: `root@…`, `…@nas`, `…@nas.local`,
/// `…@[10.1.2.9]`.
pub fn is_makeshift(mailbox: &Mailbox) -> bool {
    if mailbox
        .local_part()
        .as_str()
        .eq_ignore_ascii_case(SUPERUSER)
    {
        return true;
    }
    let Host::Domain(domain) = mailbox.host() else {
        return true;
    };
    let name = domain.as_str();
    match name.rsplit_once('.') {
        None => true,
        Some((_, last)) => {
            let is_home = name
                .strip_suffix(HOME)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
            is_home || LOCAL_LABELS.contains(&last)
        }
    }
}

/// The address that a connector gives its mail in the place of this sender; `None`: it stays.
pub fn instead_of(connector: &InboundConnector, sender: &Mailbox) -> Option<Mailbox> {
    let is_replaced = match connector.sender_replaced {
        SenderReplaced::All => true,
        SenderReplaced::Local => is_makeshift(sender),
    };
    let given = Mailbox::parse(connector.sender_replacement.trim()).ok();
    given.filter(|given| is_replaced && given != sender)
}

/// Whether the connector's `sender_addresses` let it send as this one.
pub fn is_listed(connector: &InboundConnector, sender: &Mailbox) -> bool {
    let entries = &connector.sender_addresses;
    entries.is_empty() || entries.iter().any(|entry| covers(entry, sender))
}

/// Whether an entry covers this address: `scan@contoso.test`, `scan-*@contoso.test`,
/// `*@contoso.test`; local parts without regard to case.
pub fn covers(entry: &str, mailbox: &Mailbox) -> bool {
    let Some((local, domain)) = entry.trim().rsplit_once('@') else {
        return false;
    };
    let Some((head, tail)) = local.split_once('*') else {
        return is_address(entry, mailbox);
    };
    let (head, tail) = (head.to_lowercase(), tail.to_lowercase());
    let asked = mailbox.local_part().as_str().to_lowercase();
    Domain::parse(domain).is_ok_and(|domain| mailbox.domain() == Some(&domain))
        && asked.len() >= head.len() + tail.len()
        && asked.starts_with(&head)
        && asked.ends_with(&tail)
}

/// Whether an entry is of that form: one `*` at most, and that before the `@`.
pub fn is_pattern(entry: &str) -> bool {
    let Some((local, domain)) = entry.trim().rsplit_once('@') else {
        return false;
    };
    let sample = match local.split_once('*') {
        Some((_, tail)) if tail.contains('*') => return false,
        Some((head, tail)) => format!("{head}x{tail}@{domain}"),
        None => entry.trim().to_owned(),
    };
    Mailbox::parse(&sample).is_ok_and(|mailbox| mailbox.domain().is_some())
}

/// Whether both are the same address, local parts without regard to case.
pub fn is_address(entry: &str, mailbox: &Mailbox) -> bool {
    let lower = |mailbox: &Mailbox| mailbox.local_part().as_str().to_lowercase();
    Mailbox::parse(entry.trim())
        .is_ok_and(|one| one.host() == mailbox.host() && lower(&one) == lower(mailbox))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(text: &str) -> Mailbox {
        Mailbox::parse(text).expect("an address")
    }

    #[test]
    fn what_devices_call_themselves_before_anybody_set_them_up_is_makeshift() {
        for text in [
            "root@contoso.test",
            "Root@nas.contoso.test",
            "backup@nas",
            "ups@LOCALHOST",
            "cam@cam-3.local",
            "plc@plc.localdomain",
            "a@nas.home.arpa",
            "a@home.arpa",
            "a@[10.1.2.9]",
        ] {
            assert!(is_makeshift(&mailbox(text)), "{text}");
        }
        for text in [
            "scan@contoso.test",
            "rooter@contoso.test",
            "a@local.contoso.test",
            "a@xhome.arpa",
        ] {
            assert!(!is_makeshift(&mailbox(text)), "{text}");
        }
    }

    #[test]
    fn a_pattern_covers_its_domain_only_and_has_one_star() {
        for (entry, yes, no) in [
            (
                "scan@contoso.test",
                "Scan@CONTOSO.test",
                "scan2@contoso.test",
            ),
            (
                "scan-*@contoso.test",
                "SCAN-lyon@contoso.test",
                "scan@contoso.test",
            ),
            (
                "*-scan@contoso.test",
                "lyon-scan@contoso.test",
                "lyon@contoso.test",
            ),
            ("*@contoso.test", "a@contoso.test", "a@b.contoso.test"),
            ("a*a@contoso.test", "aa@contoso.test", "a@contoso.test"),
        ] {
            assert!(is_pattern(entry), "{entry}");
            assert!(covers(entry, &mailbox(yes)), "{entry} {yes}");
            assert!(!covers(entry, &mailbox(no)), "{entry} {no}");
        }
        for wrong in [
            "",
            "scan",
            "*",
            "@contoso.test",
            "a*b*@contoso.test",
            "a@*.contoso.test",
            "a@[10.1.2.9]",
        ] {
            assert!(!is_pattern(wrong), "{wrong}");
        }
    }

    #[test]
    fn one_address_stands_for_all_or_for_those_that_nobody_could_answer() {
        let mut connector = InboundConnector::new("NAS");
        let given = |connector: &InboundConnector, sender: &str| {
            instead_of(connector, &mailbox(sender)).map(|one| one.to_string())
        };
        assert_eq!(given(&connector, "root@nas.local"), None);
        connector.sender_replacement = "nas@contoso.test".to_owned();
        let nas = Some("nas@contoso.test".to_owned());
        assert_eq!(given(&connector, "root@nas.local"), nas);
        assert_eq!(given(&connector, "backup@contoso.test"), None);
        connector.sender_replaced = SenderReplaced::All;
        assert_eq!(given(&connector, "backup@contoso.test"), nas);
        assert_eq!(given(&connector, "nas@contoso.test"), None);
    }
}
