//! A milter's client, protocol version 6: octets in, octets out (libmilter/mfdef.h of Sendmail and
//! Postfix's MILTER_README). One message a connection: all its stages are told after the end of
//! data, so that what the milter wants is known before the 250.
//!
//! A milter may accept, refuse, refuse for now, quarantine (the message is held), add header fields
//! (on top of the message, in its order). *Discard* holds: nothing is dropped after a 250. A
//! recipient that it refuses refuses the message, as recipients have been answered by then. Other
//! changes (body, fields, envelope) are never done: a milter that wants them gives no opinion, and
//! the connector says what follows.

mod packet;

use std::collections::VecDeque;

use relais_smtp::header;

use self::packet::{Packets, negotiation, text};
use super::{CheckFacts, CheckFault, Opinion, Verdict};

/// What we speak.
const VERSION: u32 = 6;
/// `SMFIF_*` that we say we know: all but lists of macros. Some are refused when they come: a
/// milter that could do them gives up otherwise, and most never do.
const ACTIONS: u32 = 0xff;
/// `SMFIP_*` that we can keep: stages left out, stages without answer, SKIP, leading spaces.
const PROTOCOL: u32 = 0x001f_ffff;
/// `SMFIP_HDR_LEADSPC`: the space behind the colon belongs to the value.
const LEADING_SPACE: u32 = 0x0010_0000;
/// Octets of one piece of body: MILTER_CHUNK_SIZE.
const BODY_OCTETS_MAX: usize = 65_535;
/// Fields of the header section that it is told.
const FIELDS_MAX: usize = 10_000;

/// A stage: the command, the bit that leaves it out, the bit that makes it silent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Connect,
    Helo,
    Mail,
    Recipient,
    Data,
    Field,
    EndOfHeader,
    Body,
    EndOfMessage,
}

impl Stage {
    const fn command(self) -> u8 {
        match self {
            Self::Connect => b'C',
            Self::Helo => b'H',
            Self::Mail => b'M',
            Self::Recipient => b'R',
            Self::Data => b'T',
            Self::Field => b'L',
            Self::EndOfHeader => b'N',
            Self::Body => b'B',
            Self::EndOfMessage => b'E',
        }
    }

    /// `SMFIP_NO…`.
    const fn left_out(self) -> u32 {
        match self {
            Self::Connect => 0x1,
            Self::Helo => 0x2,
            Self::Mail => 0x4,
            Self::Recipient => 0x8,
            Self::Body => 0x10,
            Self::Field => 0x20,
            Self::EndOfHeader => 0x40,
            Self::Data => 0x200,
            Self::EndOfMessage => 0,
        }
    }

    /// `SMFIP_NR_…`.
    const fn silent(self) -> u32 {
        match self {
            Self::Field => 0x80,
            Self::Connect => 0x1000,
            Self::Helo => 0x2000,
            Self::Mail => 0x4000,
            Self::Recipient => 0x8000,
            Self::Data => 0x1_0000,
            Self::EndOfHeader => 0x4_0000,
            Self::Body => 0x8_0000,
            Self::EndOfMessage => 0,
        }
    }
}

/// What the driver does next.
#[derive(Debug, Eq, PartialEq)]
pub enum Step {
    /// Send the output, read, and say what came.
    Read,
    /// Give the next piece of the body, or its end.
    Body,
    /// It is over. Sends the output that is left.
    Finished(Result<Opinion, CheckFault>),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Waiting {
    Nothing,
    Negotiation,
    Answer(Stage),
}

/// One message before a milter.
#[derive(Debug)]
pub struct Milter {
    packets: Packets,
    output: Vec<u8>,
    waiting: Waiting,
    /// What it wants left out, and silent.
    wanted: u32,
    told: VecDeque<(Stage, Vec<u8>)>,
    skips_body: bool,
    body_ended: bool,
    macros: Vec<(Stage, Vec<u8>)>,
    fields: Vec<(String, String)>,
    held: Option<String>,
    undone: Vec<&'static str>,
    result: Option<Result<Opinion, CheckFault>>,
}

impl Milter {
    /// About a message with this header section.
    pub fn new(facts: &CheckFacts, section: &[u8]) -> Self {
        let mut output = Vec::new();
        packet::push(&mut output, b'O', &negotiation(VERSION, ACTIONS, PROTOCOL));
        Self {
            packets: Packets::default(),
            output,
            waiting: Waiting::Negotiation,
            wanted: 0,
            told: stages(facts, section),
            skips_body: false,
            body_ended: false,
            macros: packet::macros(facts),
            fields: Vec::new(),
            held: None,
            undone: Vec::new(),
            result: None,
        }
    }

    /// What is to be sent.
    pub fn output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// What came.
    pub fn receive(&mut self, octets: &[u8]) {
        self.packets.add(octets);
    }

    /// The connection is over.
    pub fn lost(&mut self) {
        self.result.get_or_insert(Err(CheckFault::Broken));
    }

    /// A piece of the body; an empty one is its end.
    pub fn body(&mut self, piece: &[u8]) {
        self.body_ended |= piece.is_empty();
        if self.skips(Stage::Body) || self.skips_body {
            return;
        }
        for part in piece.chunks(BODY_OCTETS_MAX) {
            self.told.push_back((Stage::Body, part.to_vec()));
        }
    }

    /// What to do next.
    pub fn step(&mut self) -> Step {
        loop {
            if let Some(result) = self.result.take() {
                packet::push(&mut self.output, b'Q', &[]);
                return Step::Finished(result);
            }
            if self.waiting != Waiting::Nothing {
                match self.packets.next() {
                    Ok(Some((command, data))) => self.answered(command, &data),
                    Ok(None) => return Step::Read,
                    Err(fault) => self.result = Some(Err(fault)),
                }
                continue;
            }
            match self.told.pop_front() {
                Some((stage, data)) => self.tell(stage, &data),
                None if !self.body_ended => return Step::Body,
                None => self.tell(Stage::EndOfMessage, &[]),
            }
        }
    }

    fn skips(&self, stage: Stage) -> bool {
        self.wanted & stage.left_out() != 0
    }

    fn tell(&mut self, stage: Stage, data: &[u8]) {
        if self.skips(stage) || (stage == Stage::Body && self.skips_body) {
            return;
        }
        for (of, values) in &self.macros {
            if *of == stage {
                packet::push(&mut self.output, b'D', values);
            }
        }
        packet::push(&mut self.output, stage.command(), data);
        if self.wanted & stage.silent() == 0 {
            self.waiting = Waiting::Answer(stage);
        }
    }

    fn answered(&mut self, command: u8, data: &[u8]) {
        let stage = match self.waiting {
            Waiting::Negotiation if command == b'O' => return self.negotiated(data),
            Waiting::Answer(stage) => stage,
            Waiting::Negotiation | Waiting::Nothing => return self.misunderstood(command),
        };
        let is_end = stage == Stage::EndOfMessage;
        match command {
            // Progress: it is still there.
            b'p' => {}
            b'c' if is_end => self.accepted(),
            b'c' => self.waiting = Waiting::Nothing,
            b's' => {
                self.skips_body |= stage == Stage::Body;
                self.waiting = Waiting::Nothing;
            }
            // The recipient, not yet the message.
            b'a' if stage == Stage::Recipient => self.waiting = Waiting::Nothing,
            b'a' => self.accepted(),
            b'r' => self.end(Verdict::Refuse, "refused"),
            b't' | b'4' => self.end(Verdict::Later, "refused for now"),
            b'd' => self.end(Verdict::Hold, "to be discarded"),
            b'f' => self.result = Some(Err(CheckFault::Protocol("it gave up".to_owned()))),
            b'y' => self.replied(data),
            b'h' | b'i' | b'q' | b'm' | b'b' | b'+' | b'2' | b'-' | b'e' | b'l' if is_end => {
                self.modified(command, data);
            }
            other => self.misunderstood(other),
        }
    }

    fn negotiated(&mut self, data: &[u8]) {
        let Some([version, _, wanted]) = packet::numbers(data) else {
            return self.misunderstood(b'O');
        };
        if !(2..=VERSION).contains(&version) {
            let words = format!("it speaks version {version}, and we 2 to {VERSION}");
            self.result = Some(Err(CheckFault::Protocol(words)));
            return;
        }
        self.wanted = wanted & PROTOCOL;
        if self.wanted & LEADING_SPACE == 0 {
            packet::without_leading_space(&mut self.told);
        }
        self.waiting = Waiting::Nothing;
    }

    fn modified(&mut self, command: u8, data: &[u8]) {
        let undone = match command {
            b'q' => {
                self.held = Some(text(data).unwrap_or_default());
                return;
            }
            b'h' => {
                self.fields.extend(packet::pair(data));
                return;
            }
            b'i' => {
                self.fields.extend(data.get(4..).and_then(packet::pair));
                return;
            }
            b'm' => "change a header field",
            b'b' => "replace the body",
            b'+' | b'2' => "add a recipient",
            b'-' => "remove a recipient",
            b'e' => "change the sender",
            _ => "choose its macros",
        };
        if !self.undone.contains(&undone) {
            self.undone.push(undone);
        }
    }

    /// `550 5.7.1 text`: its own reply.
    fn replied(&mut self, data: &[u8]) {
        let text = text(data).unwrap_or_default();
        match text.as_bytes().first() {
            Some(b'4') => self.end(Verdict::Later, &text),
            Some(b'5') => self.end(Verdict::Refuse, &text),
            _ => self.misunderstood(b'y'),
        }
    }

    fn accepted(&mut self) {
        if !self.undone.is_empty() {
            let words = format!("it wants to {}: not done here", self.undone.join(", "));
            self.result = Some(Err(CheckFault::Protocol(words)));
            return;
        }
        let mut opinion = match self.held.take() {
            Some(reason) => Opinion::of(Verdict::Hold, format!("quarantined: {reason}")),
            None => Opinion::pass("accepted"),
        };
        opinion.fields = std::mem::take(&mut self.fields);
        self.result = Some(Ok(opinion));
    }

    fn end(&mut self, verdict: Verdict, words: &str) {
        self.result = Some(Ok(Opinion::of(verdict, words)));
    }

    fn misunderstood(&mut self, command: u8) {
        let command = command.escape_ascii();
        let words = format!("it answers {command}, which has no meaning there");
        self.result = Some(Err(CheckFault::Protocol(words)));
    }
}

/// All that is told before the body.
fn stages(facts: &CheckFacts, section: &[u8]) -> VecDeque<(Stage, Vec<u8>)> {
    let mut told = VecDeque::new();
    told.push_back((Stage::Connect, packet::connection(facts.address)));
    told.push_back((Stage::Helo, packet::ended(&[&facts.helo])));
    let path = |address: &str| format!("<{address}>");
    told.push_back((Stage::Mail, packet::ended(&[&path(&facts.from)])));
    for to in &facts.to {
        told.push_back((Stage::Recipient, packet::ended(&[&path(to)])));
    }
    told.push_back((Stage::Data, Vec::new()));
    for (name, value) in header::names_and_values(section).take(FIELDS_MAX) {
        told.push_back((Stage::Field, packet::field(name, value)));
    }
    told.push_back((Stage::EndOfHeader, Vec::new()));
    told
}

#[cfg(test)]
mod tests;
