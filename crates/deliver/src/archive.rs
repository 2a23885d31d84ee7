//! Copies that reach no archive. Whoever sent the message hears nothing of them, so the house must:
//! `alert.raised`, of one archive once in an hour, as each message would tell the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use relais_net::clock::Moment;

/// It is told again after this.
const TOLD_AGAIN_AFTER: Duration = Duration::from_secs(3_600);
/// Archives remembered at once. Nobody has more; of those beyond, the trace tells.
const ARCHIVES_MAX: usize = 1_000;

/// Organisation and address.
type Archive = (Arc<str>, Arc<str>);

/// Of which archives was told lately.
#[derive(Debug, Default)]
pub(crate) struct Archives(Mutex<HashMap<Archive, Moment>>);

impl Archives {
    /// Whether to tell of this one now.
    pub(crate) fn is_news(&self, organisation: &Arc<str>, to: &Arc<str>, now: Moment) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, since| now.saturating_duration_since(*since) < TOLD_AGAIN_AFTER);
        let archive = (Arc::clone(organisation), Arc::clone(to));
        if told.len() >= ARCHIVES_MAX || told.contains_key(&archive) {
            return false;
        }
        told.insert(archive, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_told_of_once_in_an_hour_and_another_for_itself() {
        let (archives, now) = (Archives::default(), Moment::now());
        let tell = |to: &str, now| archives.is_news(&"contoso".into(), &to.into(), now);
        assert!(tell("a@contoso.test", now));
        assert!(!tell("a@contoso.test", now + TOLD_AGAIN_AFTER / 2));
        assert!(tell("b@contoso.test", now));
        assert!(tell("a@contoso.test", now + TOLD_AGAIN_AFTER));
    }
}
