//! A watch over logins at smart hosts that end: tokens are kept fresh though no mail goes, and
//! somebody is told 30, 7 and 1 days before a client secret, a sign-in or a certificate of ours
//! ends, as soon as there is nothing to log in with, and while a new token is not stored:
//! `check.changed`, `relais status`.
//!
//! Not here: how a login stands (`relais_net::login`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use relais_net::login::LoginStanding;
use relais_net::tls::expires_within_days;
use relais_policy::document::{ConnectorState, OutboundConnector};
use relais_smtp::time::Timestamp;
use relais_store::trace::{Event, EventKind};

use crate::connection::Shared;

/// Between two looks: access tokens are good for about as long.
const LOOK_EVERY: Duration = Duration::from_secs(60 * 60);

/// By organisation and connector, what somebody was told.
type Told = HashMap<(Arc<str>, Arc<str>), ToldOf>;

#[derive(Debug, Default)]
struct ToldOf {
    within_days: Option<u64>,
    is_faulty: bool,
    is_warned: bool,
}

/// Looks until stopped, the first time at once.
pub(crate) async fn run(shared: Arc<Shared>) {
    let context = &shared.context;
    let mut told = Told::default();
    loop {
        told = look(&shared, told).await;
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            () = context.clock.sleep(LOOK_EVERY) => {}
            () = context.logins.noticed() => {}
        }
    }
}

/// One after the other: there are few, and issuers are not to be pressed.
async fn look(shared: &Shared, mut before: Told) -> Told {
    let settings = shared.context.store.settings();
    let mut told = Told::default();
    for organisation in &settings.document.organisation {
        let name: Arc<str> = organisation.name.as_str().into();
        let connectors = organisation.outbound_connector.iter();
        for connector in connectors.filter(|one| is_used(one)) {
            if shared.stop.is_cancelled() {
                return before;
            }
            let Some(standing) = shared.context.logins.look(&name, connector).await else {
                continue;
            };
            let key = (
                Arc::clone(&standing.organisation),
                Arc::clone(&standing.connector),
            );
            let mut of = before.remove(&key).unwrap_or_default();
            for words in of.news(&standing, shared.context.clock.now()) {
                tell(shared, &standing, words);
            }
            told.insert(key, of);
        }
    }
    told
}

fn is_used(connector: &OutboundConnector) -> bool {
    connector.state == ConnectorState::Enabled
}

impl ToldOf {
    /// What is new, in sentences.
    fn news(&mut self, standing: &LoginStanding, now: Timestamp) -> Vec<String> {
        let mut news = Vec::new();
        let name = &standing.connector;
        let was_faulty = std::mem::replace(&mut self.is_faulty, standing.fault.is_some());
        match &standing.fault {
            Some(fault) if !was_faulty => {
                news.push(format!(
                    "connector {name:?} has nothing to log in with: {fault}"
                ));
            }
            None if was_faulty => news.push(format!("connector {name:?} can log in again")),
            Some(_) | None => {}
        }
        let was_warned = std::mem::replace(&mut self.is_warned, standing.warning.is_some());
        match &standing.warning {
            Some(warning) if !was_warned => {
                news.push(format!("connector {name:?}: {warning}"));
            }
            None if was_warned => news.push(format!("connector {name:?}: it is stored now")),
            Some(_) | None => {}
        }
        let within = standing
            .ends
            .and_then(|(_, until)| expires_within_days(until, now));
        let told = std::mem::replace(&mut self.within_days, within);
        if let (Some((what, until)), Some(days)) =
            (standing.ends, within.filter(|_| told != within))
        {
            let (what, fix, day) = (what.words(), what.fix(), until.day());
            news.push(format!(
                "{what} of connector {name:?} ends on {day}, within {days} days: {fix}"
            ));
        }
        news
    }
}

fn tell(shared: &Shared, standing: &LoginStanding, words: String) {
    tracing::warn!(organisation = &*standing.organisation, "{words}");
    let mut event = Event::new(shared.context.clock.now(), EventKind::CheckChanged);
    event.organisation = Some(Arc::clone(&standing.organisation));
    event.outbound_connector = Some(Arc::clone(&standing.connector));
    event.detail = Some(words.into());
    shared.context.store.record(event);
}

#[cfg(test)]
mod tests {
    use relais_net::login::Ends;

    use super::*;

    const END: Timestamp = Timestamp::from_millis(1_795_514_400_000);
    const DAY: Duration = Duration::from_secs(86_400);

    fn standing(fault: Option<&str>) -> LoginStanding {
        LoginStanding {
            organisation: "contoso".into(),
            connector: "Out".into(),
            token_until: None,
            ends: Some((Ends::ClientSecret, END)),
            fault: fault.map(str::to_owned),
            warning: None,
        }
    }

    #[test]
    fn an_end_is_told_three_times_and_a_fault_when_it_comes_and_goes() {
        let mut of = ToldOf::default();
        let mut heard = |days: u32, fault| {
            let news = of.news(&standing(fault), END.before(DAY * days));
            let words = news.iter().map(|one| {
                let words = [
                    "within 30",
                    "within 7",
                    "within 1",
                    "nothing to log in",
                    "again",
                ];
                words
                    .into_iter()
                    .find(|word| one.contains(word))
                    .expect("known news")
            });
            words.collect::<Vec<_>>()
        };
        assert_eq!(heard(40, None), [""; 0]);
        assert_eq!(heard(30, None), ["within 30"]);
        assert_eq!(heard(29, None), [""; 0]);
        assert_eq!(heard(7, Some("refused")), ["nothing to log in", "within 7"]);
        assert_eq!(heard(6, Some("refused, again and again")), [""; 0]);
        assert_eq!(heard(1, None), ["again", "within 1"]);
        assert_eq!(heard(0, None), [""; 0]);
    }
}
