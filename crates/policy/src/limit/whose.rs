//! The names of limits: whose, and which. In words for people, and as text that is kept.

use std::net::IpAddr;
use std::sync::Arc;

use super::LimitKey;

/// Whose limit it is, within an organisation.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Whose {
    /// The organisation as a whole.
    Organisation,
    /// An inbound connector.
    Connector(Arc<str>),
    /// A device of a connector, known by its address; `None`: all those of which there is no count
    /// of their own, because there are too many.
    Device {
        /// The inbound connector.
        connector: Arc<str>,
        /// The device.
        address: Option<IpAddr>,
    },
    /// A device that logs in.
    Credential(Arc<str>),
    /// All senders of an accepted domain.
    Domain(Arc<str>),
    /// An envelope sender; `None`: all those of which there is no count of their own.
    Sender(Option<Arc<str>>),
}

/// One limit of one owner.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LimitName {
    /// Of which organisation.
    pub organisation: Arc<str>,
    /// Whose in it.
    pub whose: Whose,
    /// Which.
    pub key: LimitKey,
}

/// For a device or sender without a count of its own.
const OTHERS: &str = "*";

impl Whose {
    /// `organisation`, `connector`, `device`, `credential`, `domain`, `sender`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Organisation => "organisation",
            Self::Connector(_) => "connector",
            Self::Device { .. } => "device",
            Self::Credential(_) => "credential",
            Self::Domain(_) => "domain",
            Self::Sender(_) => "sender",
        }
    }

    /// Its name, which an organisation has in [`LimitName::organisation`]. `*`: all those without a
    /// count of their own.
    pub fn value(&self) -> String {
        match self {
            Self::Organisation => String::new(),
            Self::Connector(name) | Self::Credential(name) | Self::Domain(name) => {
                name.as_ref().to_owned()
            }
            Self::Device { address, .. } => {
                address.map_or_else(|| OTHERS.to_owned(), |address| address.to_string())
            }
            Self::Sender(address) => address.as_deref().unwrap_or(OTHERS).to_owned(),
        }
    }

    /// The inbound connector that it belongs to, where it belongs to one.
    pub fn connector(&self) -> Option<&Arc<str>> {
        match self {
            Self::Connector(name)
            | Self::Device {
                connector: name, ..
            } => Some(name),
            Self::Organisation | Self::Credential(_) | Self::Domain(_) | Self::Sender(_) => None,
        }
    }

    /// Whether settings do not name it, so that there may be any number.
    pub fn is_many(&self) -> bool {
        matches!(self, Self::Device { .. } | Self::Sender(_))
    }

    /// All those of its kind without a count of their own, where there may be any number.
    pub(super) fn others(&self) -> Option<Self> {
        match self {
            Self::Device { connector, .. } => Some(Self::Device {
                connector: Arc::clone(connector),
                address: None,
            }),
            Self::Sender(_) => Some(Self::Sender(None)),
            Self::Organisation | Self::Connector(_) | Self::Credential(_) | Self::Domain(_) => None,
        }
    }

    fn parse(kind: &str, value: &str) -> Option<Self> {
        Some(match kind {
            "organisation" => Self::Organisation,
            "connector" => Self::Connector(value.into()),
            "device" => {
                let (address, connector) = value.split_once(' ')?;
                let address = match address {
                    OTHERS => None,
                    address => Some(address.parse().ok()?),
                };
                let connector = connector.into();
                Self::Device { connector, address }
            }
            "credential" => Self::Credential(value.into()),
            "domain" => Self::Domain(value.into()),
            "sender" if value == OTHERS => Self::Sender(None),
            "sender" => Self::Sender(Some(value.into())),
            _ => return None,
        })
    }
}

impl LimitName {
    /// `connector Printers`, `device 10.1.2.9`, `organisation contoso`.
    pub fn owner(&self) -> String {
        match &self.whose {
            Whose::Organisation => format!("organisation {}", self.organisation),
            Whose::Device { address: None, .. } => "all other devices".to_owned(),
            Whose::Sender(None) => "all other senders".to_owned(),
            whose => format!("{} {}", whose.kind(), whose.value()),
        }
    }

    /// `messages_per_minute of connector Printers`.
    pub fn words(&self) -> String {
        format!("{} of {}", self.key.name(), self.owner())
    }

    /// As its count is kept. Neither an organisation's name, a key, a kind nor an address has a
    /// space in it.
    pub fn to_text(&self) -> String {
        let (organisation, key) = (&self.organisation, self.key.name());
        let (kind, value) = (self.whose.kind(), self.whose.value());
        match &self.whose {
            Whose::Device { connector, .. } => {
                format!("{organisation} {key} {kind} {value} {connector}")
            }
            _ => format!("{organisation} {key} {kind} {value}"),
        }
    }

    /// Reads it back.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(4, ' ');
        Some(Self {
            organisation: parts.next()?.into(),
            key: LimitKey::parse(parts.next()?)?,
            whose: Whose::parse(parts.next()?, parts.next()?)?,
        })
    }
}
