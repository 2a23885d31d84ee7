//! What is shown once, at an address of its own, so that neither a step back nor a reload sends a
//! form again. Kept in memory for a few minutes, for the session that made it; the first look takes
//! it out.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use relais_net::clock::Moment;

/// Kept at the same time; the oldest goes.
const KEPT_MAX: usize = 64;
/// A browser follows where it is sent at once.
const LIFETIME: Duration = Duration::from_secs(60);

/// Things that are shown once. Cheap to clone.
pub(super) struct Once<T>(Arc<Mutex<VecDeque<Kept<T>>>>);

struct Kept<T> {
    id: String,
    /// Whose it is.
    session: Option<String>,
    since: Moment,
    value: T,
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Clone for Once<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Once<T> {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Kept<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For one look by this session.
    pub(super) fn keep(&self, (id, session): (String, Option<String>), now: Moment, value: T) {
        let mut kept = self.lock();
        kept.retain(|one| now.duration_since(one.since) < LIFETIME);
        if kept.len() >= KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back(Kept {
            id,
            session,
            since: now,
            value,
        });
    }

    /// The first look; `None`: there was one, or it is somebody else's.
    pub(super) fn take(&self, id: &str, session: Option<&str>, now: Moment) -> Option<T> {
        let mut kept = self.lock();
        kept.retain(|one| now.duration_since(one.since) < LIFETIME);
        let is_meant = |one: &Kept<T>| one.id == id && one.session.as_deref() == session;
        let place = kept.iter().position(is_meant)?;
        kept.remove(place).map(|one| one.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_seen_once_by_its_session_and_not_for_long() {
        let (once, now) = (Once::default(), Moment::now());
        let keep = |id: &str| {
            once.keep((id.to_owned(), Some("anna".to_owned())), now, "secret");
        };
        keep("a");
        assert_eq!(once.take("a", Some("bert"), now), None);
        assert_eq!(once.take("b", Some("anna"), now), None);
        assert_eq!(once.take("a", Some("anna"), now), Some("secret"));
        assert_eq!(once.take("a", Some("anna"), now), None);
        keep("c");
        assert_eq!(once.take("c", Some("anna"), now + LIFETIME), None);
        for number in 0..=KEPT_MAX {
            keep(&number.to_string());
        }
        assert_eq!(once.take("0", Some("anna"), now), None);
        assert_eq!(once.take("1", Some("anna"), now), Some("secret"));
    }
}
