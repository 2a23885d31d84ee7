//! Where one is led who steps back to what is there no more: a draft that has become a connector.
//! In memory: after a restart, or a thousand others, nobody steps back so far.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Remembered at the same time; the oldest goes.
const MOVED_MAX: usize = 1_000;

/// What was where, and where it is now. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Moved(Arc<Mutex<VecDeque<(String, String)>>>);

impl Moved {
    /// What had this name is at that address from now on.
    pub(super) fn note(&self, name: String, address: String) {
        let mut moved = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if moved.len() >= MOVED_MAX {
            moved.pop_front();
        }
        moved.push_back((name, address));
    }

    /// Where that is now.
    pub(super) fn find(&self, name: &str) -> Option<String> {
        let moved = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = moved.iter().find(|(known, _)| known == name);
        found.map(|(_, address)| address.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moved_is_found_until_a_thousand_others_moved() {
        let moved = Moved::default();
        for number in 0..=MOVED_MAX {
            moved.note(number.to_string(), format!("/{number}"));
        }
        assert_eq!(moved.find("0"), None);
        assert_eq!(moved.find("1").as_deref(), Some("/1"));
        let last = MOVED_MAX.to_string();
        assert_eq!(moved.find(&last), Some(format!("/{last}")));
    }
}
