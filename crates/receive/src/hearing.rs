//! Telling a session's conversation to whoever listens (`relais connector inbound listen`), line by
//! line, both directions, and keeping what was said about each message and refusal for the trace
//! (`record`). Secrets are never told: no argument of AUTH, no answer to a challenge,
//! and after an AUTH nothing that is no known command; of content only how much it was.
//!
//! Not here: who listens (`relais_net::conversation`).

use relais_net::conversation::Said;
use relais_smtp::sasl::Mechanism;
use relais_smtp::server::{ServerSession, Step};

use crate::record::Record;
use crate::speaker::{Speaker, cut};

/// What stands for a secret.
const HIDDEN: &str = "[hidden]";
/// Commands that have no secret in them.
const COMMANDS: [&str; 14] = [
    "BDAT", "DATA", "EHLO", "ETRN", "EXPN", "HELO", "HELP", "LHLO", "MAIL", "NOOP", "QUIT", "RCPT",
    "RSET", "STARTTLS",
];

/// What was told of one session.
#[derive(Debug)]
pub(crate) struct Hearing {
    session: u64,
    /// Octets of the machine's output that were told.
    told: usize,
    /// An AUTH was heard: what follows may be a name or password.
    auth: bool,
    /// We asked for the next part of a login.
    challenged: bool,
    content: u64,
    /// Whoever listens knows of the session.
    began: bool,
    /// For the trace, where conversations are kept.
    record: Option<Record>,
}

impl Hearing {
    /// Somebody began to listen, perhaps in the middle of a session.
    pub(crate) fn begin(speaker: Speaker<'_>, machine: &ServerSession) -> Self {
        let mut hearing = Self::of(speaker.conversations().next_session(), machine);
        hearing.record = speaker
            .context
            .store
            .keeps_dialogues()
            .then(Record::default);
        hearing
    }

    /// Tells whoever listens, and writes it down.
    fn say(&mut self, speaker: Speaker<'_>, said: Said) {
        if let Some(record) = &mut self.record {
            record.add(speaker, &said);
        }
        if !speaker.is_listened_to() {
            self.began = false;
            return;
        }
        if !std::mem::replace(&mut self.began, true) {
            speaker.tell(self.session, Said::Began);
        }
        speaker.tell(self.session, said);
    }

    /// What was said before is not known, so it may have been an AUTH.
    fn of(session: u64, machine: &ServerSession) -> Self {
        Self {
            session,
            told: 0,
            auth: machine.hello().is_some(),
            challenged: machine.awaits_login(),
            content: 0,
            began: false,
            record: None,
        }
    }

    /// As [`ServerSession::advance`], one turn after the other, each told.
    pub(crate) fn advance(
        &mut self,
        speaker: Speaker<'_>,
        machine: &mut ServerSession,
        input: &[u8],
        content: &mut Vec<u8>,
    ) -> (usize, Step) {
        let mut used = 0;
        loop {
            self.tell_replies(speaker, machine);
            let is_content = machine.reads_content();
            let (more, step) = machine.advance_once(&input[used..], content);
            if is_content {
                self.content += more as u64;
            } else {
                self.tell_line(speaker, &input[used..used + more]);
            }
            used += more;
            if let Some(step) = step {
                return (used, step);
            }
        }
    }

    /// What could not be said.
    pub(crate) fn note(&mut self, speaker: Speaker<'_>, words: &str) {
        self.say(speaker, Said::Note(cut(words).into()));
    }

    /// What we said since the last time. To be called before the output is sent and emptied.
    pub(crate) fn tell_replies(&mut self, speaker: Speaker<'_>, machine: &mut ServerSession) {
        let output = machine.output();
        let fresh = output.get(self.told..).unwrap_or_default();
        let lines = String::from_utf8_lossy(fresh).into_owned();
        self.told = output.len();
        if !lines.is_empty() && self.content > 0 {
            let note = format!("{} octets of content", self.content);
            self.content = 0;
            self.say(speaker, Said::Note(note.into()));
        }
        for line in lines.lines() {
            self.challenged = line.starts_with("334");
            let line = if self.challenged {
                format!("334 {HIDDEN}")
            } else {
                cut(line).to_owned()
            };
            self.say(speaker, Said::Server(line.into()));
        }
    }

    /// The output was sent and is empty.
    pub(crate) fn sent(&mut self) {
        self.told = 0;
    }

    fn tell_line(&mut self, speaker: Speaker<'_>, octets: &[u8]) {
        if octets.is_empty() {
            return;
        }
        let text = String::from_utf8_lossy(octets);
        let line = self.without_secrets(text.trim_end_matches(['\r', '\n']));
        self.say(speaker, Said::Client(line.into()));
    }

    fn without_secrets(&mut self, line: &str) -> String {
        let mut words = line.split_ascii_whitespace();
        let verb = words.next().unwrap_or_default().to_ascii_uppercase();
        if self.challenged {
            self.challenged = false;
            return HIDDEN.to_owned();
        }
        if verb.starts_with("AUTH") {
            self.auth = true;
            let mechanism = words.next().unwrap_or_default();
            // `AUTH=PLAIN secret`, `AUTH secret`: what is no mechanism may be anything.
            let is_known = Mechanism::ALL
                .iter()
                .any(|one| one.name().eq_ignore_ascii_case(mechanism));
            if verb != "AUTH" || !(is_known || mechanism.is_empty()) {
                return format!("AUTH {HIDDEN}");
            }
            let more = words.next().map(|_| format!(" {HIDDEN}"));
            return cut(&format!("AUTH {mechanism}{}", more.unwrap_or_default())).to_owned();
        }
        if self.auth && !COMMANDS.contains(&verb.as_str()) {
            return HIDDEN.to_owned();
        }
        cut(line).to_owned()
    }

    /// The session is over.
    pub(crate) fn end(&self, speaker: Speaker<'_>) {
        if self.began {
            speaker.tell(self.session, Said::Ended);
        }
    }
}

#[cfg(test)]
mod tests {
    use relais_smtp::content::Preset;
    use relais_smtp::server::{Answer, AuthOffer, ServerConfig};

    use super::*;

    fn hearing() -> Hearing {
        Hearing {
            session: 0,
            told: 0,
            auth: false,
            challenged: false,
            content: 0,
            began: false,
            record: None,
        }
    }

    #[test]
    fn no_secret_of_a_login_is_told() {
        let mut hearing = hearing();
        for (line, expected) in [
            ("EHLO scan2", "EHLO scan2"),
            ("VmVyeSBzZWNyZXQ=", "VmVyeSBzZWNyZXQ="),
            ("auth plain AHNjYW4AcHc=", "AUTH plain [hidden]"),
            ("AUTH LOGIN", "AUTH LOGIN"),
            ("AUTH AHNjYW4AcHc=", "AUTH [hidden]"),
            ("AUTH=PLAIN AHNjYW4AcHc=", "AUTH [hidden]"),
            ("AUTH CRAM-MD5", "AUTH [hidden]"),
            ("c2Nhbg==", "[hidden]"),
            ("password", "[hidden]"),
            ("", "[hidden]"),
            ("mail FROM:<a@contoso.test>", "mail FROM:<a@contoso.test>"),
        ] {
            assert_eq!(hearing.without_secrets(line), expected, "{line}");
        }
        hearing.challenged = true;
        assert_eq!(hearing.without_secrets("QUIT"), "[hidden]");
        assert_eq!(hearing.without_secrets("QUIT"), "QUIT");
    }

    /// Whoever debugs begins to listen while a device is at it.
    #[test]
    fn who_begins_to_listen_in_the_middle_of_a_login_is_told_no_secret() {
        let mut machine = ServerSession::new(ServerConfig {
            hostname: "relay.test".into(),
            size_octets_max: 1_000,
            preset: Preset::Strict,
            recipients_max: 100,
            errors_max: 20,
            junk_commands_max: 100,
            starttls: false,
            tls: true,
            auth: AuthOffer::Now {
                channel_binding: false,
                bearer: false,
            },
            require_tls: false,
        });
        let mut content = Vec::new();
        machine.advance(b"EHLO scan\r\n", &mut content);
        machine.answer(Answer::Accept);
        machine.advance(b"AUTH LOGIN\r\n", &mut content);
        let mut hearing = Hearing::of(0, &machine);
        assert_eq!(hearing.without_secrets("c2Nhbi0x"), "[hidden]");
        assert_eq!(hearing.without_secrets("cGVuY2ls"), "[hidden]");
        assert_eq!(hearing.without_secrets("MAIL FROM:<>"), "MAIL FROM:<>");
    }

    #[test]
    fn a_long_line_is_cut_at_a_character() {
        let line = "é".repeat(400);
        assert_eq!(hearing().without_secrets(&line), "é".repeat(250));
    }
}
