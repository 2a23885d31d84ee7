//! Kinds of devices: what each begins with. A kind sets defaults, and nothing else.

use relais_policy::document::{ByteCount, InboundConnector, InboundTls, Limit, PresetName};

/// Characters of a user's name: the shortest field of a known panel.
const USER_CHARACTERS_MAX: usize = 20;
/// Names tried before a number too large to be typed.
const NUMBERS_MAX: u32 = 1_000;

/// What will send.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum DeviceKind {
    Printer,
    Appliance,
    Application,
    Script,
}

impl DeviceKind {
    pub(super) const ALL: [Self; 4] = [
        Self::Printer,
        Self::Appliance,
        Self::Application,
        Self::Script,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Printer => "printer",
            Self::Appliance => "appliance",
            Self::Application => "application",
            Self::Script => "script",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// A connector of this kind. Scans are large and slips many; alarms come in floods, and an
    /// application of today can encrypt.
    pub(super) fn connector(self, name: &str) -> InboundConnector {
        let mut made = InboundConnector::new(name);
        let (mebibytes, per_minute) = match self {
            Self::Printer => (25, None),
            Self::Appliance => (10, Some(30)),
            Self::Application => (35, None),
            Self::Script => (10, Some(60)),
        };
        made.limits.message_size_max = Some(ByteCount(mebibytes << 20));
        made.limits.messages_per_minute = per_minute.map(|value| Limit { value, hard: false });
        match self {
            Self::Printer | Self::Appliance | Self::Script => {
                made.preset = Some(PresetName::Tolerant);
            }
            Self::Application => made.tls = InboundTls::Required,
        }
        made
    }

    /// Whether a user of its own is the better proof.
    pub(super) const fn wants_credential(self) -> bool {
        match self {
            Self::Application => true,
            Self::Printer | Self::Appliance | Self::Script => false,
        }
    }
}

/// What a device's panel takes: `a-z`, `0-9`, hyphen, 20 characters at most.
pub(super) fn is_user(user: &str) -> bool {
    let is_plain = |one: u8| one.is_ascii_lowercase() || one.is_ascii_digit() || one == b'-';
    (1..=USER_CHARACTERS_MAX).contains(&user.len()) && user.bytes().all(is_plain)
}

/// A user for a device of this name, that nobody has yet.
pub(super) fn user_of(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let mut plain = String::new();
    for one in name.to_lowercase().chars() {
        let one = match one {
            'à' | 'â' | 'ä' => 'a',
            'é' | 'è' | 'ê' | 'ë' => 'e',
            'î' | 'ï' => 'i',
            'ô' | 'ö' => 'o',
            'ù' | 'û' | 'ü' => 'u',
            'ç' => 'c',
            other => other,
        };
        match one {
            'a'..='z' | '0'..='9' => plain.push(one),
            _ if plain.ends_with('-') || plain.is_empty() => {}
            _ => plain.push('-'),
        }
    }
    let cut = |length: usize| {
        let cut: String = plain.chars().take(length).collect();
        cut.trim_end_matches('-').to_owned()
    };
    let first = match cut(USER_CHARACTERS_MAX) {
        empty if empty.is_empty() => "device".to_owned(),
        first => first,
    };
    if !is_taken(&first) {
        return first;
    }
    let mut others = (2..NUMBERS_MAX).map(|number| {
        let ending = format!("-{number}");
        let stem = match cut(USER_CHARACTERS_MAX - ending.len()) {
            empty if empty.is_empty() => "device".to_owned(),
            stem => stem,
        };
        stem + &ending
    });
    others.find(|user| !is_taken(user)).unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_fit_on_every_panel_and_nobody_has_them_yet() {
        let free = |_: &str| false;
        for (name, user) in [
            ("Lyon, 2nd floor", "lyon-2nd-floor"),
            ("Numériseur du rez-de-chaussée", "numeriseur-du-rez-de"),
            ("  --  ", "device"),
            ("打印机", "device"),
        ] {
            assert_eq!(user_of(name, free), user, "{name}");
            assert!(is_user(&user_of(name, free)), "{name}");
        }
        let taken = |user: &str| matches!(user, "scan" | "scan-2");
        assert_eq!(user_of("Scan", taken), "scan-3");
        let long = "a".repeat(40);
        let taken = |user: &str| user.len() == 20 && !user.contains('-');
        assert!(is_user(&user_of(&long, taken)) && user_of(&long, taken).ends_with("a-2"));
        for wrong in ["", "Scan", "a_b", "a.b", &"a".repeat(21)] {
            assert!(!is_user(wrong), "{wrong}");
        }
    }

    #[test]
    fn each_kind_is_a_connector_that_the_settings_take() {
        for kind in DeviceKind::ALL {
            let made = kind.connector("x");
            assert_eq!(DeviceKind::parse(kind.name()), Some(kind));
            assert!(made.limits.message_size_max.is_some(), "{kind:?}");
        }
    }
}
