//! The listener for devices that know old TLS only, as pages speak of it: where it is and how long,
//! or what has to stand in `relais.toml` first.
//!
//! Not here: who may use it (`relais_policy::old_tls`).

use std::net::IpAddr;

use ipnet::IpNet;

use relais_policy::document::InboundConnector;
use relais_policy::old_tls::{self, ListenerBounds};
use relais_policy::settings::Settings;
use relais_smtp::time::Timestamp;

use crate::context::AdminContext;
use crate::lang::Lang;

/// The listener of this server.
pub(super) struct OldDoor {
    /// Host and port, as one types them into a device.
    pub(super) place: String,
    bounds: ListenerBounds,
    /// To which day it is proposed to be allowed.
    pub(super) review: String,
    now: Timestamp,
}

impl OldDoor {
    /// The one that is open the longest; none where there is none, or its day has come.
    pub(super) fn of(context: &AdminContext) -> Option<Self> {
        let now = context.clock.now();
        let doors = context.premises.iter().flat_map(|premises| &premises.doors);
        let bounded = doors.filter_map(|door| Some((door.address, door.bounds.clone()?)));
        let (address, bounds) = bounded.max_by_key(|(_, bounds)| bounds.expires)?;
        let place = match address.ip().is_unspecified() {
            true => format!("{}:{}", context.hostname, address.port()),
            false => address.to_string(),
        };
        Some(Self {
            place,
            review: bounds.review(now)?,
            bounds,
            now,
        })
    }

    /// Whether this device may use it now.
    pub(super) fn admits(&self, settings: &Settings, client: IpAddr) -> bool {
        self.bounds.admit(settings, client, self.now).is_ok()
    }

    /// How devices of this connector use it, where it allows it.
    pub(super) fn allowed(&self, lang: Lang, connector: &InboundConnector) -> Option<String> {
        let (place, day) = (&*self.place, &*connector.legacy_tls_until);
        let values = [("place", place), ("day", day)];
        let is_allowed = old_tls::allows(connector, self.now);
        is_allowed.then(|| lang.fill("listen-legacy-open", &values))
    }
}

/// What the fields of a connector show of it.
pub(super) struct OldTls {
    /// Where there is none: what is needed; where the connector cannot allow it: why.
    pub(super) words: String,
    /// For `relais.toml`, where it needs one.
    pub(super) block: String,
    /// Whether it can be chosen.
    pub(super) is_usable: bool,
    /// Beside the choice: on which listener, and the risk.
    pub(super) risk: String,
    /// The day that is filled in.
    pub(super) review: String,
}

impl OldTls {
    pub(super) fn of(context: &AdminContext, lang: Lang, connector: &InboundConnector) -> Self {
        let Some(door) = OldDoor::of(context) else {
            let (words, block) = needed(context, lang, &connector.sender_ip_addresses, Where::Form);
            return Self {
                words,
                block,
                // What is set can be taken away all the same.
                is_usable: !connector.legacy_tls_until.is_empty(),
                risk: lang.t("form-legacy-risk"),
                review: old_tls::review(context.clock.now()),
            };
        };
        let can_allow = old_tls::can_allow(connector);
        Self {
            words: match can_allow {
                true => lang.with("form-legacy-here", &door.place),
                false => lang.t("form-legacy-addresses"),
            },
            block: String::new(),
            is_usable: can_allow || !connector.legacy_tls_until.is_empty(),
            risk: lang.t("form-legacy-risk"),
            review: door.review,
        }
    }
}

/// Which page asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Where {
    /// The fields of a connector.
    Form,
    /// The page that listens.
    Listening,
}

/// What is needed where there is no such listener: in words, and for `relais.toml`, with the day of
/// its review.
pub(super) fn needed(
    context: &AdminContext,
    lang: Lang,
    networks: &[IpNet],
    whence: Where,
) -> (String, String) {
    let key = match (whence, relais_net::tls::HAS_OLD_TLS) {
        (Where::Form, true) => "form-legacy",
        (Where::Form, false) => "form-legacy-build",
        (Where::Listening, true) => "listen-legacy",
        (Where::Listening, false) => "listen-legacy-build",
    };
    let networks: Vec<_> = networks.iter().map(|one| format!("\"{one}\"")).collect();
    let (networks, review) = (networks.join(", "), old_tls::review(context.clock.now()));
    let block = format!(
        "[legacy_listener]\naddress = \"0.0.0.0:2525\"\n\
         source_addresses = [{networks}]\nexpires = \"{review}\""
    );
    (lang.t(key), block)
}
