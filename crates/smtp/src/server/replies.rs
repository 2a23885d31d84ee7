//! The positive replies of the machine. RFC 5321 §4.2, RFC 2034.
//!
//! Not here: refusals (`refusal`), and the one 250 that promises something (`reply`).

use alloc::format;
use alloc::vec::Vec;

use super::ServerSession;
use crate::sasl::Mechanism;

impl ServerSession {
    /// Appends one line.
    pub(super) fn say(&mut self, line: &str) {
        self.output.extend_from_slice(line.as_bytes());
        self.output.extend_from_slice(b"\r\n");
    }

    pub(super) fn say_greeting(&mut self) {
        let line = format!("220 {} ESMTP Relais", self.config.hostname);
        self.say(&line);
    }

    pub(super) fn say_helo(&mut self) {
        let line = format!("250 {}", self.config.hostname);
        self.say(&line);
    }

    /// What we offer. STARTTLS, AUTH and REQUIRETLS only where the driver says so.
    pub(super) fn say_ehlo(&mut self) {
        let line = format!("250-{}", self.config.hostname);
        self.say(&line);
        self.say("250-PIPELINING");
        let line = format!("250-SIZE {}", self.config.size_octets_max);
        self.say(&line);
        self.say("250-8BITMIME");
        self.say("250-SMTPUTF8");
        self.say("250-CHUNKING");
        self.say("250-DSN");
        self.say("250-ENHANCEDSTATUSCODES");
        if self.config.starttls && !self.config.tls {
            self.say("250-STARTTLS");
        }
        let offered = Mechanism::ALL
            .into_iter()
            .filter(|one| self.config.auth.has(*one));
        let names: Vec<&str> = offered.map(Mechanism::name).collect();
        if !names.is_empty() {
            let line = format!("250-AUTH {}", names.join(" "));
            self.say(&line);
        }
        if self.offers_require_tls() {
            self.say("250-REQUIRETLS");
        }
        let line = format!("250 LIMITS RCPTMAX={}", self.config.recipients_max);
        self.say(&line);
    }

    /// RFC 8689 §2: never in clear text.
    pub(super) fn offers_require_tls(&self) -> bool {
        self.config.require_tls && self.config.tls
    }

    pub(super) fn say_help(&mut self) {
        self.say("214-2.0.0 EHLO HELO STARTTLS MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT");
        self.say("214 2.0.0 Each refusal ends with its reference: relais why REFERENCE");
    }
}
