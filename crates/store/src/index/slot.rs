//! One recipient in the index, small; and all recipients of a message.

use relais_smtp::time::Timestamp;

use crate::queue::{RecipientChange, RecipientStateName};

/// Waits for a person.
pub(crate) const HELD: u8 = 1;
/// Active now, and to be held when the attempt ends without delivery.
pub(crate) const HOLD_AFTER: u8 = 2;
/// A person asked to give up.
pub(crate) const GIVE_UP: u8 = 4;
/// A delay notice was sent.
pub(crate) const DELAY_TOLD: u8 = 8;

/// The content is in a spool file.
pub(crate) const SPOOLED: u8 = 16;

/// Held because something about it is restricted, not by a person: goes on when that is released.
pub(crate) const RESTRICTED: u8 = 32;
/// A person let it pass though something about it is restricted.
pub(crate) const PASSED: u8 = 64;

/// What is stored of a recipient beside its address and last reply. Times in milliseconds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct SlotState {
    pub(crate) due: i64,
    pub(crate) expires: i64,
    pub(crate) attempts: u16,
    pub(crate) flags: u8,
}

impl SlotState {
    /// Never tried.
    pub(crate) fn fresh(due: Timestamp, expires: Timestamp) -> Self {
        Self {
            due: due.as_millis(),
            expires: expires.as_millis(),
            attempts: 0,
            flags: 0,
        }
    }

    /// As found after a restart: the attempt during which a person asked to hold is over.
    pub(crate) fn recovered(self) -> Self {
        let hold = if self.has(HOLD_AFTER) { HELD } else { 0 };
        Self {
            flags: (self.flags & !HOLD_AFTER) | hold,
            ..self
        }
    }

    /// Whether a flag is set.
    pub(crate) const fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Waits for its due time: neither held nor given up.
    pub(super) const fn waits(self) -> bool {
        self.flags & (HELD | GIVE_UP) == 0
    }

    /// When the expiry sweep takes it. One that a person gave up goes at once.
    pub(super) const fn leaves_at(self) -> i64 {
        if self.has(GIVE_UP) {
            i64::MIN
        } else {
            self.expires
        }
    }

    /// As listed.
    pub(crate) const fn name(self, active: bool) -> RecipientStateName {
        if active {
            RecipientStateName::Active
        } else if self.has(HELD) {
            RecipientStateName::Held
        } else if self.attempts > 0 {
            RecipientStateName::Deferred
        } else {
            RecipientStateName::Queued
        }
    }

    /// The state after a change; `None`: gone.
    pub(super) fn changed(self, change: &RecipientChange) -> Option<Self> {
        // What a person asked for during the attempt comes true at its end.
        let flags = self.recovered().flags;
        match change {
            RecipientChange::Done => None,
            RecipientChange::Deferred {
                until, delay_told, ..
            } => Some(Self {
                due: until.as_millis(),
                attempts: self.attempts.saturating_add(1),
                flags: flags | if *delay_told { DELAY_TOLD } else { 0 },
                ..self
            }),
            RecipientChange::Returned { until } => Some(Self {
                due: until.as_millis(),
                flags,
                ..self
            }),
            RecipientChange::Restricted { expires_at } => Some(Self {
                expires: self.expires.max(expires_at.as_millis()),
                // What a person holds stays held when the entity is released.
                flags: match self.has(HOLD_AFTER) {
                    true => flags | HELD,
                    false => flags | HELD | RESTRICTED,
                },
                ..self
            }),
            RecipientChange::Prolonged { expires_at } => Some(Self {
                expires: expires_at.as_millis(),
                flags,
                ..self
            }),
        }
    }
}

/// One recipient.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    due: i64,
    expires: i64,
    pub(super) number: u32,
    pub(super) queue: u32,
    attempts: u16,
    flags: u8,
    /// Under lease.
    pub(super) active: bool,
}

impl Slot {
    pub(super) fn new(number: u32, queue: u32, state: SlotState) -> Self {
        let SlotState {
            due,
            expires,
            attempts,
            flags,
        } = state;
        Self {
            due,
            expires,
            number,
            queue,
            attempts,
            flags,
            active: false,
        }
    }

    pub(super) fn state(&self) -> SlotState {
        let Self {
            due,
            expires,
            attempts,
            flags,
            ..
        } = *self;
        SlotState {
            due,
            expires,
            attempts,
            flags,
        }
    }

    pub(super) fn set_state(&mut self, state: SlotState) {
        SlotState {
            due: self.due,
            expires: self.expires,
            attempts: self.attempts,
            flags: self.flags,
        } = state;
    }
}

/// The recipients of a message, by number. Most messages have one.
#[derive(Debug)]
pub(super) enum Slots {
    One(Slot),
    Many(Vec<Slot>),
}

impl Slots {
    pub(super) fn from_vec(slots: Vec<Slot>) -> Self {
        match slots.as_slice() {
            [slot] => Self::One(*slot),
            _ => Self::Many(slots),
        }
    }

    pub(super) fn as_slice(&self) -> &[Slot] {
        match self {
            Self::One(slot) => std::slice::from_ref(slot),
            Self::Many(slots) => slots,
        }
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Slot> {
        match self {
            Self::One(slot) => (slot.number == number).then_some(slot),
            Self::Many(slots) => {
                let place = slots
                    .binary_search_by_key(&number, |slot| slot.number)
                    .ok()?;
                slots.get_mut(place)
            }
        }
    }

    pub(super) fn get(&self, number: u32) -> Option<&Slot> {
        match self {
            Self::One(slot) => (slot.number == number).then_some(slot),
            Self::Many(slots) => {
                let place = slots
                    .binary_search_by_key(&number, |slot| slot.number)
                    .ok()?;
                slots.get(place)
            }
        }
    }

    /// Takes those out that `gone` names, sorted; says whether none is left.
    pub(super) fn remove(&mut self, gone: &[u32]) -> bool {
        match self {
            Self::One(slot) => gone.contains(&slot.number),
            Self::Many(slots) => {
                slots.retain(|slot| gone.binary_search(&slot.number).is_err());
                slots.is_empty()
            }
        }
    }
}
