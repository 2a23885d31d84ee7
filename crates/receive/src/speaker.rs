//! Of whom a conversation is told, and to whom: whoever listens at this moment, and the trace.
//!
//! Not here: what is told (`hearing`, `record`).

use relais_net::conversation::{Conversations, Heard, Said};
use relais_smtp::time::Timestamp;
use relais_store::trace::dialogue::Dialogue;

use crate::identity::{Client, Identity};
use crate::shared::ReceiveContext;

/// Octets of a line that are told. Device makers' lines are short; the rest is noise.
const LINE_OCTETS_MAX: usize = 500;

/// Of whom it is told.
#[derive(Clone, Copy)]
pub(crate) struct Speaker<'a> {
    pub(crate) context: &'a ReceiveContext,
    pub(crate) client: &'a Client,
    pub(crate) identity: &'a Identity,
}

impl Speaker<'_> {
    /// The hub.
    pub(crate) fn conversations(&self) -> &Conversations {
        &self.context.conversations
    }

    /// Whether anybody listens.
    pub(crate) fn is_listened_to(&self) -> bool {
        self.conversations().anybody_listens()
    }

    /// Whether anybody listens, or the trace keeps what is said.
    pub(crate) fn is_heard(&self) -> bool {
        self.is_listened_to() || self.context.store.keeps_dialogues()
    }

    /// Who it is.
    pub(crate) fn address(&self) -> String {
        self.identity.address().to_string()
    }

    /// The time.
    pub(crate) fn now(&self) -> Timestamp {
        self.context.clock.now()
    }

    /// To the trace, without waiting.
    pub(crate) fn keep(&self, dialogue: Dialogue) {
        self.context.store.note_dialogue(dialogue);
    }

    /// To whoever listens.
    pub(crate) fn tell(&self, session: u64, said: Said) {
        self.conversations().tell(Heard {
            session,
            time: self.context.clock.now(),
            client: self.identity.address(),
            organisation: self.client.organisation.clone(),
            connector: self.client.connector.clone(),
            said,
        });
    }

    /// A session that ends with its first reply.
    pub(crate) fn tell_turned_away(&self, reply: &str) {
        self.tell_whole(Said::Server(cut(reply).into()));
    }

    /// A session that ends before anything could be said.
    pub(crate) fn tell_unsaid(&self, words: &str) {
        self.tell_whole(Said::Note(cut(words).into()));
    }

    fn tell_whole(&self, said: Said) {
        if !self.is_listened_to() {
            return;
        }
        let session = self.conversations().next_session();
        self.tell(session, Said::Began);
        self.tell(session, said);
        self.tell(session, Said::Ended);
    }
}

/// As much of a line as is told.
pub(crate) fn cut(line: &str) -> &str {
    &line[..line.floor_char_boundary(LINE_OCTETS_MAX)]
}
