//! What waits in the queue, summed by destination or by reason: a hundred thousand messages that
//! wait for one dead server are one line to whoever looks.
//!
//! Pure: messages come in as arguments. Not here: reading them (`store`), acting on them (`queue`).

use std::collections::HashMap;

use relais_smtp::identifier::QueueId;
use relais_smtp::time::Timestamp;

use crate::queue::{ListedMessage, ListedRecipient, RecipientStateName};

/// Messages that are read for one answer: about a second of reading on two cores.
pub const READ_MAX: usize = 20_000;
/// Groups of one answer; whoever sends to more destinations sees the largest.
pub const GROUPS_MAX: usize = 200;
/// A reason in our own words is told apart by so many characters.
const REASON_CHARACTERS: usize = 60;

/// By what.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum By {
    /// The domain of the recipient.
    Destination,
    /// Why it waits: its state, and of what was tried what the last answer said.
    Reason,
}

impl By {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Destination, Self::Reason];

    /// By its name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|by| by.name() == name)
    }

    /// As it stands in addresses and calls.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Destination => "destination",
            Self::Reason => "reason",
        }
    }
}

/// What a group has in common.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Common {
    /// The destination.
    Destination(String),
    /// The state: never tried, under way, or held.
    State(&'static str),
    /// Tried, and this is a part of the last answer.
    Reply(String),
}

/// One group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Group {
    /// What they have in common.
    pub common: Common,
    /// Messages with a recipient in it.
    pub messages: u64,
    /// Recipients.
    pub recipients: u64,
    /// Of these, held.
    pub held: u64,
    /// When the oldest of them was accepted.
    pub oldest: Timestamp,
    /// When the first of them is tried next; `None`: none is by itself.
    pub next_attempt: Option<Timestamp>,
    /// When the time of the first of them is up.
    pub expires_at: Timestamp,
    /// The last answer to the oldest of those that were tried.
    pub last_reply: Option<String>,
    newest: QueueId,
}

/// All groups.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Grouped {
    /// The largest first, at most [`GROUPS_MAX`].
    pub groups: Vec<Group>,
    /// Messages that were read.
    pub read: usize,
    /// All that fit were read and are told; else there is more than this.
    pub is_whole: bool,
}

/// Sums message by message.
#[derive(Debug)]
pub(crate) struct Sums {
    by: By,
    groups: HashMap<Common, Group>,
    read: usize,
}

impl Sums {
    pub(crate) fn new(by: By) -> Self {
        Self {
            by,
            groups: HashMap::new(),
            read: 0,
        }
    }

    pub(crate) fn read(&self) -> usize {
        self.read
    }

    /// One more; the older ones came before.
    pub(crate) fn add(&mut self, message: &ListedMessage) {
        self.read += 1;
        for recipient in &message.recipients {
            let common = common_of(self.by, recipient);
            let group = self.groups.entry(common.clone());
            let group = group.or_insert_with(|| Group {
                common,
                messages: 0,
                recipients: 0,
                held: 0,
                oldest: message.accepted_at,
                next_attempt: None,
                expires_at: recipient.expires_at,
                last_reply: None,
                newest: message.queue_id,
            });
            // A message has several recipients of a group one after the other.
            if group.messages == 0 || group.newest != message.queue_id {
                group.messages += 1;
            }
            group.newest = message.queue_id;
            group.recipients += 1;
            group.held += u64::from(recipient.state == RecipientStateName::Held);
            group.oldest = group.oldest.min(message.accepted_at);
            group.expires_at = group.expires_at.min(recipient.expires_at);
            let next = recipient.next_attempt;
            let next = next.filter(|_| recipient.state != RecipientStateName::Held);
            group.next_attempt = match (group.next_attempt, next) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
            if group.last_reply.is_none() {
                group.last_reply.clone_from(&recipient.last_reply);
            }
        }
    }

    /// `has_more`: there are messages that were not read.
    pub(crate) fn done(self, has_more: bool) -> Grouped {
        let mut groups: Vec<_> = self.groups.into_values().collect();
        groups.sort_by(|one, other| {
            let largest = other.messages.cmp(&one.messages);
            largest.then_with(|| one.common.cmp(&other.common))
        });
        let is_whole = !has_more && groups.len() <= GROUPS_MAX;
        groups.truncate(GROUPS_MAX);
        Grouped {
            groups,
            read: self.read,
            is_whole,
        }
    }
}

fn common_of(by: By, recipient: &ListedRecipient) -> Common {
    if by == By::Destination {
        return Common::Destination(recipient.mailbox.host().to_string());
    }
    match (recipient.state, recipient.last_reply.as_deref()) {
        // An empty part would mean every answer, and an act on the group all that was tried.
        (RecipientStateName::Deferred, Some(reply)) if !reason(reply).is_empty() => {
            Common::Reply(reason(reply).to_owned())
        }
        (state, _) => Common::State(state.name()),
    }
}

/// What answers of one kind share, as a part of each: code and enhanced code (RFC 5321 §4.2,
/// RFC 3463 §2) of a server, and of our own words those before the first number or name.
fn reason(reply: &str) -> &str {
    let reply = reply.trim();
    if let Some(length) = codes(reply) {
        return &reply[..length];
    }
    let is_end = |one: char| one.is_ascii_digit() || matches!(one, ':' | '[' | '(' | '"' | '<');
    let end = reply.find(is_end).unwrap_or(reply.len());
    let words = reply[..end].trim_end();
    let words = if words.is_empty() { reply } else { words };
    match words.char_indices().nth(REASON_CHARACTERS) {
        Some((end, _)) => &words[..end],
        None => words,
    }
}

/// Octets that the codes at the beginning take.
fn codes(reply: &str) -> Option<usize> {
    let mut words = reply.split(' ');
    let code = words.next()?;
    if code.len() != 3 || !code.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    let is_number = |part: &str| {
        (1..=3).contains(&part.len()) && part.bytes().all(|octet| octet.is_ascii_digit())
    };
    let enhanced = words.next().filter(|word| {
        let parts: Vec<_> = word.split('.').collect();
        parts.len() == 3 && parts.into_iter().all(is_number)
    });
    Some(enhanced.map_or(code.len(), |word| code.len() + 1 + word.len()))
}

#[cfg(test)]
mod tests {
    use relais_smtp::address::Mailbox;

    use super::*;

    #[test]
    fn answers_of_one_kind_have_one_reason_and_each_contains_it() {
        for (reply, expected) in [
            (
                "451 4.7.1 Greylisted, again in 300 s (id 7F3K2)",
                "451 4.7.1",
            ),
            ("421 too many connections from 192.0.2.1", "421"),
            ("452 4.2.2x full", "452"),
            ("452 4.2.2", "452 4.2.2"),
            (
                "connection refused: mx.example.org[192.0.2.1]:25",
                "connection refused",
            ),
            ("no answer within 300 s", "no answer within"),
            ("[192.0.2.1]:25 is silent", "[192.0.2.1]:25 is silent"),
            ("1234 is no code", "1234 is no code"),
            ("", ""),
        ] {
            assert_eq!(reason(reply), expected, "{reply}");
            assert!(reply.contains(reason(reply)));
        }
        let long = "é".repeat(REASON_CHARACTERS + 1);
        assert_eq!(reason(&long).chars().count(), REASON_CHARACTERS);
    }

    #[test]
    fn an_answer_without_a_word_is_no_part_of_others() {
        let waiting = |reply: &str| {
            let mailbox = Mailbox::parse("b@example.org").expect("a mailbox");
            common_of(
                By::Reason,
                &ListedRecipient {
                    number: 0,
                    to: "b@example.org".to_owned(),
                    mailbox,
                    is_restricted: false,
                    passed: false,
                    state: RecipientStateName::Deferred,
                    attempts: 1,
                    next_attempt: None,
                    last_reply: Some(reply.to_owned()),
                    expires_at: Timestamp::default(),
                },
            )
        };
        assert_eq!(waiting(" "), Common::State("deferred"));
        assert_eq!(waiting("451 later"), Common::Reply("451".to_owned()));
    }
}
