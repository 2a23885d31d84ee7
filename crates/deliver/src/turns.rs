//! Things of many organisations in line, taken in turns: one of each organisation, then the next of
//! each. Within an organisation the first comes first. Pure.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct Turns<T> {
    /// Each organisation of `things` once, in the order of turns.
    order: VecDeque<Arc<str>>,
    /// Never empty.
    things: HashMap<Arc<str>, VecDeque<T>>,
    len: usize,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self {
            order: VecDeque::new(),
            things: HashMap::new(),
            len: 0,
        }
    }
}

impl<T> Turns<T> {
    /// Behind the others of its organisation.
    pub(crate) fn push_back(&mut self, organisation: &Arc<str>, thing: T) {
        self.of(organisation).push_back(thing);
    }

    /// Before the others of its organisation, which keeps its turn.
    pub(crate) fn push_front(&mut self, organisation: &Arc<str>, thing: T) {
        self.of(organisation).push_front(thing);
    }

    fn of(&mut self, organisation: &Arc<str>) -> &mut VecDeque<T> {
        self.len += 1;
        self.things
            .entry(Arc::clone(organisation))
            .or_insert_with(|| {
                self.order.push_back(Arc::clone(organisation));
                VecDeque::new()
            })
    }

    /// The next one; its organisation goes behind the others.
    pub(crate) fn pop(&mut self) -> Option<(Arc<str>, T)> {
        self.pop_where(|_| true)
    }

    /// One of the first organisation that fits, which goes behind the others.
    pub(crate) fn pop_where(&mut self, fits: impl Fn(&str) -> bool) -> Option<(Arc<str>, T)> {
        let place = self.order.iter().position(|one| fits(one))?;
        let organisation = self.order.remove(place)?;
        let things = self.things.get_mut(&organisation)?;
        let thing = things.pop_front()?;
        self.len -= 1;
        if things.is_empty() {
            self.things.remove(&organisation);
        } else {
            self.order.push_back(Arc::clone(&organisation));
        }
        Some((organisation, thing))
    }

    /// What [`Turns::pop`] would give.
    pub(crate) fn peek(&self) -> Option<&T> {
        self.things.get(self.order.front()?)?.front()
    }

    /// Whether an organisation that fits has something here.
    pub(crate) fn has_where(&self, fits: impl Fn(&str) -> bool) -> bool {
        self.order.iter().any(|one| fits(one))
    }

    /// Whether an organisation has something here.
    pub(crate) fn has(&self, organisation: &str) -> bool {
        self.things.contains_key(organisation)
    }

    /// Everything, in turns.
    pub(crate) fn drain(&mut self) -> Vec<T> {
        std::iter::from_fn(|| self.pop())
            .map(|(_, thing)| thing)
            .collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(things: &[(&str, u32)]) -> Turns<u32> {
        let mut turns = Turns::default();
        for (organisation, thing) in things {
            turns.push_back(&Arc::from(*organisation), *thing);
        }
        turns
    }

    #[test]
    fn an_organisation_with_many_things_gets_no_more_turns_than_one_with_few() {
        let mut turns = turns(&[("many", 1), ("many", 2), ("many", 3), ("few", 9)]);
        assert_eq!(turns.peek(), Some(&1));
        assert_eq!(turns.pop().map(|(_, thing)| thing), Some(1));
        assert_eq!(turns.pop().map(|(_, thing)| thing), Some(9));
        turns.push_back(&Arc::from("few"), 10);
        assert_eq!(turns.len(), 3);
        assert_eq!(turns.drain(), [2, 10, 3]);
        assert!(turns.is_empty() && turns.peek().is_none());
    }

    #[test]
    fn one_put_back_comes_first_in_its_organisation() {
        let mut turns = turns(&[("a", 1), ("b", 5), ("a", 2)]);
        turns.push_front(&Arc::from("a"), 0);
        assert_eq!(turns.drain(), [0, 5, 1, 2]);
    }

    #[test]
    fn who_was_served_out_of_turn_gets_no_second_turn() {
        let mut turns = turns(&[("a", 1), ("a", 2), ("b", 5)]);
        let taken = turns.pop_where(|organisation| organisation == "b");
        assert_eq!(taken.map(|(_, thing)| thing), Some(5));
        assert!(!turns.has("b"));
        assert!(
            turns
                .pop_where(|organisation| organisation == "b")
                .is_none()
        );
        for thing in [6, 7] {
            turns.push_back(&Arc::from("b"), thing);
        }
        assert_eq!(turns.drain(), [1, 6, 2, 7]);
        assert_eq!(turns.len(), 0);
    }
}
