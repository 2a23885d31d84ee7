//! Sign-ins of people, told: right ones stand in the audit with the session that they began, wrong
//! ones are events of the trace, so that somebody sees who tries.
//!
//! Wrong ones come at a bounded rate: a flood of them is no news, and must not fill the trace.

use std::net::IpAddr;
use std::sync::Arc;

use relais_net::clock::{Chance, Moment};
use relais_net::sign_in::Leave;
use relais_policy::adopt::SIGN_IN;
use relais_smtp::time::Timestamp;
use relais_store::store::Store;
use relais_store::trace::{ClientSummary, Event, EventKind};

use super::{NAME_OCTETS_MAX, People, PeopleError, read_name};
use crate::rates::network;

/// Wrong sign-ins that are told of one network in a minute.
const OF_NETWORK_PER_MINUTE_MAX: u32 = 30;
/// Of all together.
const PER_MINUTE_MAX: u32 = 600;
/// Under which all together are counted: no network is called so.
const ALL: &str = "all";

/// Before the name of whoever signs in with an issuer: no local name has a colon, so nobody takes
/// another's.
const PREFIX: &str = "sso:";

/// By what somebody comes in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum How {
    /// Name and password.
    Password,
    /// And a code.
    Code,
    /// And one of the codes that are kept for the day on which the telephone is lost.
    RecoveryCode,
    /// A passkey, which is both factors.
    Passkey,
    /// Name and password, and a passkey.
    PasswordAndPasskey,
    /// The link that makes the first owner.
    SetupLink,
    /// An issuer: which, and its own name for the person.
    Issuer {
        /// Its address.
        issuer: String,
        /// `sub`.
        subject: String,
        /// Where they sign out there too, if they can.
        leave: Option<Leave>,
    },
}

impl How {
    /// As audit and trace say it.
    pub(super) fn told(&self) -> String {
        match self {
            Self::Password => "by password".to_owned(),
            Self::Code => "by password and code".to_owned(),
            Self::RecoveryCode => "by password and recovery code".to_owned(),
            Self::Passkey => "by passkey".to_owned(),
            Self::PasswordAndPasskey => "by password and passkey".to_owned(),
            Self::SetupLink => "by set-up link".to_owned(),
            Self::Issuer { issuer, .. } if issuer.is_empty() => "by an issuer".to_owned(),
            Self::Issuer {
                issuer, subject, ..
            } => format!("by {issuer} as {subject}"),
        }
    }

    /// An issuer, where it is not known yet as whom.
    pub(crate) fn some_issuer() -> Self {
        Self::Issuer {
            issuer: String::new(),
            subject: String::new(),
            leave: None,
        }
    }
}

/// How we name whom an issuer names so.
pub(super) fn local_name(name: &str) -> String {
    let fits = |one: char| one.is_alphanumeric() || ".-_@+".contains(one);
    let plain = name.to_lowercase();
    let plain = plain.chars().map(|one| if fits(one) { one } else { '_' });
    let plain: String = plain.take(NAME_OCTETS_MAX).collect();
    format!("{PREFIX}{plain}")
}

/// Who tried, as what.
pub(crate) struct Tried<'a> {
    /// As typed; empty where none is.
    pub(crate) name: &'a str,
    pub(crate) how: How,
    pub(crate) peer: IpAddr,
}

impl People {
    /// Somebody did not come in.
    pub(crate) fn tell_refused(
        &self,
        (store, chance): (&Store, &Chance),
        tried: &Tried<'_>,
        error: &PeopleError,
        now: Timestamp,
    ) {
        let Some(reply) = reply_of(error) else {
            return;
        };
        let (told, moment) = (&self.0.refusals, Moment::now());
        let is_news = told
            .take(&network(tried.peer), OF_NETWORK_PER_MINUTE_MAX, moment)
            .and_then(|()| told.take(ALL, PER_MINUTE_MAX, moment));
        if is_news.is_err() {
            return;
        }
        // What is no name is not told: it may be the password, typed a field too early.
        let name = match error {
            PeopleError::NoRole(name) => Some(local_name(name)),
            _ => read_name(&tried.name.trim().to_ascii_lowercase()).ok(),
        };
        let mut event = Event::new(now, EventKind::AuthFailed);
        event.reference = Some(chance.reference());
        event.client = Some(Arc::new(ClientSummary {
            address: tried.peer.to_canonical(),
            helo: None,
            credential: name.as_deref().map(Into::into),
            certificate: None,
        }));
        event.token = Some(SIGN_IN.into());
        event.reply = Some(reply.into());
        let who = name.map_or_else(String::new, |name| format!("{name} "));
        let mut detail = format!("{who}at the admin centre, {}", tried.how.told());
        if let PeopleError::Passkey(why) = error {
            detail = format!("{detail}: {why}");
        }
        event.detail = Some(detail.into());
        store.record(event);
    }
}

/// What the browser was told; nothing where it is not about who signs in.
fn reply_of(error: &PeopleError) -> Option<&'static str> {
    match error {
        PeopleError::Wrong => Some("403 Name, password or code is wrong"),
        PeopleError::Slowed => Some("429 Too many wrong sign-ins"),
        PeopleError::Link => Some("410 No such set-up link"),
        PeopleError::Late => Some("403 Too late, or begun in another browser"),
        PeopleError::NoRole(_) => Some("403 No role here"),
        PeopleError::Issuer(_) => Some("403 What came from the issuer proves nothing"),
        PeopleError::Passkey(_) => Some("403 The passkey proves nothing"),
        PeopleError::PasskeyName
        | PeopleError::PasskeysFull
        | PeopleError::Name
        | PeopleError::Taken
        | PeopleError::Unknown
        | PeopleError::Password
        | PeopleError::Guessable
        | PeopleError::TooMany
        | PeopleError::Incomplete
        | PeopleError::NotHttps
        | PeopleError::Untried
        | PeopleError::NoLocalOwner
        | PeopleError::NoIssuer
        | PeopleError::NoRoleByDraft(_)
        | PeopleError::IssuerAway(_)
        | PeopleError::LastOwner
        | PeopleError::NoOrganisation(_)
        | PeopleError::NoConnector(_)
        | PeopleError::Connectorless
        | PeopleError::Store(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use relais_net::clock::Clock;
    use relais_store::memory::MemoryOptions;
    use relais_store::trace::TraceQuery;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_wrong_sign_ins_is_no_flood_of_events() {
        let clock = Clock::system();
        let store = Store::in_memory(MemoryOptions::new(clock.now()));
        let (people, chance) = (People::new(None, false), Chance::seeded(1));
        let with = (&store, &chance);
        let flood = |error: &PeopleError| {
            for number in 0..=u8::MAX {
                let name = format!("user{number}");
                let peer = IpAddr::from([192, 0, 2, number]);
                let how = How::Password;
                let tried = Tried {
                    name: &name,
                    how,
                    peer,
                };
                people.tell_refused(with, &tried, error, clock.now());
            }
        };
        let told = async || {
            let query = TraceQuery {
                limit: 1_000,
                ..TraceQuery::default()
            };
            store.trace(&query).await.expect("a trace").len()
        };
        flood(&PeopleError::Store("sealed".to_owned()));
        assert_eq!(
            told().await,
            0,
            "what is about us is about nobody who tried"
        );
        flood(&PeopleError::Wrong);
        assert_eq!(told().await, OF_NETWORK_PER_MINUTE_MAX as usize);
        tokio::time::advance(Duration::from_secs(60)).await;
        flood(&PeopleError::Slowed);
        assert_eq!(told().await, 2 * OF_NETWORK_PER_MINUTE_MAX as usize);
    }

    #[test]
    fn nobody_who_signs_in_with_an_issuer_has_a_local_name() {
        for name in ["anna", "Anna@Contoso.test", "a b\n<script>", ""] {
            let local = local_name(name);
            assert!(read_name(&local).is_err(), "{local}");
            assert!(!local.contains(['<', '\n', ' ']), "{local}");
        }
    }
}
