//! What was said in a session, written down until it is known of which message or refusal it was:
//! our own reply says so. Then it goes to the trace, bounded, without waiting, with a last line on
//! when each step was done: `* connected 0 ms, encrypted 40 ms, accepted 310 ms`.
//!
//! Not here: what is a secret (`hearing`).

use relais_net::conversation::Said;
use relais_smtp::identifier::{QueueId, Reference};
use relais_smtp::time::Timestamp;
use relais_store::trace::dialogue::{DIALOGUE_OCTETS_MAX, Dialogue, DialogueKey, DialogueSide};

use crate::speaker::Speaker;

/// What stands before the queue id in our reply.
const QUEUED: &str = "250 2.0.0 Queued as ";
/// Refusals of one message whose conversation is kept: a device that tries a thousand recipients
/// says the same a thousand times.
const REFUSALS_MAX: u32 = 10;
/// Steps of one message; more is a client that logs in over and over.
const STEPS_MAX: usize = 8;

/// See the sign on the door.
#[derive(Debug, Default)]
pub(crate) struct Record {
    text: String,
    refusals: u32,
    steps: Steps,
}

/// When what was done, from the first line on.
#[derive(Clone, Debug, Default)]
struct Steps {
    begun: Option<Timestamp>,
    done: Vec<(&'static str, u64)>,
    /// STARTTLS was said, and nothing by the client since.
    is_encrypting: bool,
}

impl Steps {
    fn see(&mut self, said: &Said, now: Timestamp) {
        let is_first = self.begun.is_none();
        self.begun.get_or_insert(now);
        match said {
            Said::Server(line) if is_first && line.starts_with("220") => {
                self.step("connected", now);
            }
            Said::Server(line) if line.starts_with("235") => self.step("logged in", now),
            Said::Server(line) => self.is_encrypting &= line.starts_with("220"),
            Said::Client(_) if std::mem::take(&mut self.is_encrypting) => {
                self.step("encrypted", now);
            }
            Said::Client(line) => {
                self.is_encrypting = line.trim().eq_ignore_ascii_case("STARTTLS");
            }
            Said::Note(_) | Said::Began | Said::Ended => {}
        }
    }

    fn step(&mut self, name: &'static str, now: Timestamp) {
        let since = now.since(self.begun.unwrap_or(now));
        let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        if self.done.len() < STEPS_MAX {
            self.done.push((name, millis));
        }
    }

    /// As a line of the conversation.
    fn line(&self) -> String {
        let words = self.done.iter();
        let words = words.map(|(name, millis)| format!("{name} {millis} ms"));
        format!("* {}\n", words.collect::<Vec<_>>().join(", "))
    }
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
        self.steps.see(said, speaker.now());
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
            let mut text = if is_refusal {
                self.text.clone()
            } else {
                std::mem::take(&mut self.text)
            };
            let mut steps = self.steps.clone();
            steps.step(
                if is_refusal { "refused" } else { "accepted" },
                speaker.now(),
            );
            text.push_str(&steps.line());
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
    fn each_step_of_a_session_has_its_time() {
        let (mut steps, mut now) = (Steps::default(), Timestamp::from_millis(0));
        let client = |line: &str| Said::Client(line.into());
        let server = |line: &str| Said::Server(line.into());
        for (millis, said) in [
            (0, server("220 relay ESMTP")),
            (10, client("EHLO scan")),
            (1, server("250 STARTTLS")),
            (5, client("starttls")),
            (1, server("220 2.0.0 Ready")),
            (40, client("EHLO scan")),
            (3, client("AUTH PLAIN [hidden]")),
            (100, server("235 2.7.0 Ok")),
            // One that is refused encrypts nothing.
            (2, client("STARTTLS")),
            (1, server("503 5.5.1 No")),
            (4, client("MAIL FROM:<a@b.test>")),
        ] {
            now = now.after(std::time::Duration::from_millis(millis));
            steps.see(&said, now);
        }
        steps.step("accepted", now);
        assert_eq!(
            steps.line(),
            "* connected 0 ms, encrypted 57 ms, logged in 160 ms, accepted 167 ms\n"
        );
        // A session that is heard from its middle on does not begin with a connection.
        let mut later = Steps::default();
        later.see(&client("MAIL FROM:<a@b.test>"), now);
        later.step("refused", now);
        assert_eq!(later.line(), "* refused 0 ms\n");
    }

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
