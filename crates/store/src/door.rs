//! By which door a change came in, and from which address: what the audit tells of its way.

use std::net::IpAddr;

/// The door, and where whoever used it stood.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Via {
    /// `socket`, `api`, `web`; `start` or `server` for what happened without a person.
    pub door: &'static str,
    /// The client's address; `None` at the machine itself, and where nobody came.
    pub from: Option<IpAddr>,
}

impl Via {
    /// By this door, from no address.
    pub const fn named(door: &'static str) -> Self {
        Self { door, from: None }
    }

    /// The same, from this address.
    #[must_use]
    pub const fn coming_from(self, from: Option<IpAddr>) -> Self {
        Self { from, ..self }
    }
}

impl From<&'static str> for Via {
    fn from(door: &'static str) -> Self {
        Self::named(door)
    }
}
