//! What was said in a session, written down until it is known of which message or refusal it was:
//! our own reply says so. Then it goes to the trace, bounded, without waiting.
//!
//! Not here: what is a secret (`hearing`).

use relais_net::conversation::Said;
use relais_smtp::identifier::{QueueId, Reference};
use relais_store::trace::dialogue::{DIALOGUE_OCTETS_MAX, Dialogue, DialogueKey, DialogueSide};

use crate::speaker::Speaker;

/// What stands before the queue id in our reply.
const QUEUED: &str = "250 2.0.0 Queued as ";
/// Refusals of one message whose conversation is kept: a device that tries a thousand recipients
/// says the same a thousand times.
const REFUSALS_MAX: u32 = 10;

/// See the sign on the door.
#[derive(Debug, Default)]
pub(crate) struct Record {
    text: String,
    refusals: u32,
}

impl Record {
    /// Writes down what was said; hands it over where it names a message or a refusal.
    pub(crate) fn add(&mut self, speaker: Speaker<'_>, said: &Said) {
        let (mark, line) = match said {
            Said::Client(line) => ("< ", line),
            Said::Server(line) => ("> ", line),
            Said::Note(line) => ("* ", line),
            Said::Began | Said::Ended => return,
        };
        if self.text.len() + line.len() < DIALOGUE_OCTETS_MAX {
            self.text.push_str(mark);
            self.text.push_str(line);
            self.text.push('\n');
        }
        if mark == "> "
            && let Some(key) = key_of(line)
        {
            self.hand_over(speaker, key);
        }
    }

    fn hand_over(&mut self, speaker: Speaker<'_>, key: DialogueKey) {
        let is_refusal = matches!(key, DialogueKey::Refusal(_));
        self.refusals += u32::from(is_refusal);
        if self.refusals <= REFUSALS_MAX {
            let text = if is_refusal {
                self.text.clone()
            } else {
                std::mem::take(&mut self.text)
            };
            speaker.keep(Dialogue {
                key,
                time: speaker.now(),
                side: DialogueSide::Client,
                peer: speaker.address(),
                has_refusal: self.refusals > 0,
                text,
            });
        }
        if !is_refusal {
            // The next message of the session begins anew.
            *self = Self::default();
        }
    }
}

/// What our reply is about.
fn key_of(reply: &str) -> Option<DialogueKey> {
    if let Some(id) = reply.strip_prefix(QUEUED) {
        return id
            .trim_end()
            .parse::<QueueId>()
            .ok()
            .map(DialogueKey::Message);
    }
    let is_refusal = reply.starts_with(['4', '5']);
    let (_, ending) = reply
        .strip_suffix(')')
        .filter(|_| is_refusal)?
        .rsplit_once('(')?;
    let (_, reference) = ending.split_once(' ')?;
    reference
        .parse::<Reference>()
        .ok()
        .map(DialogueKey::Refusal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_reply_says_of_what_the_conversation_was() {
        let id = "00000000000G1";
        let message = id.parse::<QueueId>().map(DialogueKey::Message).ok();
        assert_eq!(key_of(&format!("250 2.0.0 Queued as {id}")), message);
        let refusal = "7F3K2".parse::<Reference>().map(DialogueKey::Refusal).ok();
        assert!(refusal.is_some());
        let reply = "550 5.7.1 Sender domain not verified: x.test (FROM-DOMAIN 7F3K2)";
        assert_eq!(key_of(reply), refusal);
        for other in [
            "250 2.1.0 Ok",
            "354 Go on",
            "250 (A 7F3K2)",
            "550 5.7.1 No (A)",
            "",
        ] {
            assert_eq!(key_of(other), None, "{other}");
        }
    }
}
