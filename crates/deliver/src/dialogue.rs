//! What was said with a next hop about a message, handed to the trace: bounded, without waiting.
//!
//! Not here: what is told of it (`relais_net::hop::Transcript`: no secrets, no content).

use relais_store::trace::dialogue::{Dialogue, DialogueKey, DialogueSide};

use crate::attempt::Attempt;
use crate::context::DeliverContext;

/// Keeps it, if anything was said.
pub(crate) fn keep(context: &DeliverContext, attempt: &Attempt, hop: &str, words: &[String]) {
    if words.is_empty() {
        return;
    }
    let is_no = |line: &String| line.starts_with("< 4") || line.starts_with("< 5");
    context.store.note_dialogue(Dialogue {
        key: DialogueKey::Message(attempt.leased.facts.queue_id),
        time: context.clock.now(),
        side: DialogueSide::NextHop,
        peer: hop.to_owned(),
        has_refusal: words.iter().any(is_no),
        text: words.join("\n"),
    });
}
