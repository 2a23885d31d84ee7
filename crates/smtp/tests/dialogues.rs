//! Plays every file of `dialogues/` against the pure machine, however its input is cut.

mod dialogue;

use std::path::Path;

use relais_smtp::address::{ForwardPath, ReversePath};
use relais_smtp::content::{ContentSummary, Preset};
use relais_smtp::envelope::{Envelope, EnvelopeRecipient};
use relais_smtp::identifier::QueueId;
use relais_smtp::refusal::{CATALOGUE, Refusal};
use relais_smtp::reply::Reply;
use relais_smtp::sasl::Claim;
use relais_smtp::sasl::scram::{ChannelBinding, NONCE_OCTETS, ServerNonce, Verifier};
use relais_smtp::server::{Answer, AuthOffer, Question, ServerConfig, ServerSession, Step};
use relais_smtp::time::Timestamp;

use crate::dialogue::{Dialogue, Turn, matches, octets};

/// How the client's octets arrive.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// As the dialogue says.
    None,
    /// One by one.
    Every,
    /// In two at this octet of all that the client sends.
    At(usize),
}

#[test]
fn every_dialogue_comes_out_as_written() {
    let dialogues = all();
    assert!(dialogues.len() >= 40, "{} dialogues", dialogues.len());
    for dialogue in &dialogues {
        play(dialogue, Cut::None);
        play(dialogue, Cut::Every);
    }
}

#[test]
fn every_dialogue_comes_out_the_same_wherever_its_input_is_cut() {
    for dialogue in &all() {
        let length = client_octets(dialogue).len();
        // Every place of the ordinary ones; of the long ones the ends, where things happen.
        for at in (0..length).filter(|at| *at < 1_500 || length - at < 200) {
            play(dialogue, Cut::At(at));
        }
    }
}

#[test]
fn every_dialogue_comes_out_the_same_when_the_client_waits_for_nothing() {
    // Who does not wait for the reply to STARTTLS loses what it said behind it.
    let waits = |dialogue: &&Dialogue| dialogue.setting("starttls").is_none();
    for dialogue in all().iter().filter(waits) {
        let expected = dialogue.turns.iter().flat_map(|turn| match turn {
            Turn::Server(lines) => lines.clone(),
            Turn::Client(_) | Turn::Closed | Turn::Message(..) => Vec::new(),
        });
        let mut player = Player::new(dialogue);
        player.receive(&client_octets(dialogue));
        player.expect(&expected.collect::<Vec<_>>(), Cut::None);
    }
}

fn all() -> Vec<Dialogue> {
    Dialogue::read_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogues"))
}

fn client_octets(dialogue: &Dialogue) -> Vec<u8> {
    let pieces = dialogue.turns.iter().filter_map(|turn| match turn {
        Turn::Client(octets) => Some(&**octets),
        Turn::Server(_) | Turn::Closed | Turn::Message(..) => None,
    });
    pieces.collect::<Vec<_>>().concat()
}

fn play(dialogue: &Dialogue, cut: Cut) {
    let mut player = Player::new(dialogue);
    player.receive(b"");
    let mut sent = 0;
    for turn in &dialogue.turns {
        match turn {
            Turn::Client(octets) => {
                player.expect(&[], cut);
                match cut {
                    Cut::None => player.receive(octets),
                    Cut::Every => octets.chunks(1).for_each(|octet| player.receive(octet)),
                    Cut::At(at) => {
                        let here = at.saturating_sub(sent).min(octets.len());
                        player.receive(&octets[..here]);
                        player.receive(&octets[here..]);
                    }
                }
                sent += octets.len();
            }
            Turn::Server(lines) => player.expect(lines, cut),
            Turn::Closed => {
                player.expect(&[], cut);
                assert!(player.closed, "{}: still open", dialogue.name);
            }
            Turn::Message(key, value) => player.expect_message(key, value),
        }
    }
    player.expect(&[], cut);
    let closed = dialogue.turns.contains(&Turn::Closed);
    assert_eq!(player.closed, closed, "{}: closed?", dialogue.name);
}

/// What was accepted last.
struct Message {
    envelope: Envelope,
    content: Vec<u8>,
    summary: ContentSummary,
    repairs: Vec<&'static str>,
    protocol: &'static str,
    hello: String,
}

/// A driver with the decisions of the dialogue.
struct Player<'a> {
    dialogue: &'a Dialogue,
    session: ServerSession,
    unread: Vec<u8>,
    content: Vec<u8>,
    said: Vec<u8>,
    message: Option<Message>,
    closed: bool,
}

impl<'a> Player<'a> {
    fn new(dialogue: &'a Dialogue) -> Self {
        let number = |key: &str, default: u64| {
            dialogue
                .setting(key)
                .map_or(default, |value| value.parse().expect("a number"))
        };
        let config = ServerConfig {
            hostname: "relay.contoso.test".into(),
            size_octets_max: number("size-limit", 100_000),
            preset: preset(dialogue),
            recipients_max: usize::try_from(number("recipients-max", 100)).expect("small"),
            errors_max: u32::try_from(number("errors-max", 20)).expect("small"),
            junk_commands_max: u32::try_from(number("junk-commands-max", 100)).expect("small"),
            starttls: dialogue.setting("starttls").is_some(),
            tls: false,
            auth: match dialogue.setting("auth") {
                None => AuthOffer::None,
                Some("after-tls") => AuthOffer::AfterTls,
                Some(offered) => AuthOffer::Now {
                    channel_binding: false,
                    bearer: offered == "bearer",
                },
            },
            require_tls: false,
        };
        Self {
            dialogue,
            session: ServerSession::new(config),
            unread: Vec::new(),
            content: Vec::new(),
            said: Vec::new(),
            message: None,
            closed: false,
        }
    }

    fn receive(&mut self, octets: &[u8]) {
        self.unread.extend_from_slice(octets);
        while !self.closed {
            let (used, step) = self.session.advance(&self.unread, &mut self.content);
            self.unread.drain(..used);
            match step {
                Step::Read(_) => {
                    self.said.append(self.session.output());
                    return;
                }
                Step::Ask(question) => {
                    let answer = self.decide(question);
                    self.session.answer(answer);
                }
                Step::Refused { refusal, .. } => self.session.refuse(reply(&refusal)),
                Step::Content => {}
                Step::EndOfContent(summary) => self.store(summary),
                Step::StartTls => {
                    self.said.append(self.session.output());
                    self.session.secured();
                }
                Step::Close => {
                    self.said.append(self.session.output());
                    self.closed = true;
                }
            }
        }
    }

    fn decide(&mut self, question: Question) -> Answer {
        let refused = match &question {
            Question::Hello { name, .. } => self.refused("refuse-hello", name),
            Question::Verifier { .. } => None,
            Question::Authenticate(claim) => self.refused_claim(claim),
            Question::Sender { reverse_path, .. } => {
                self.refused("refuse-sender", &format!("<{reverse_path}>"))
            }
            Question::Recipient { forward_path, .. } => {
                self.refused("refuse-recipient", &format!("<{forward_path}>"))
            }
            Question::Content => {
                self.content.clear();
                self.dialogue.setting("refuse-content").map(str::to_owned)
            }
            Question::StartTls => self.dialogue.setting("refuse-starttls").map(str::to_owned),
        };
        if let Some(token) = refused {
            return Answer::Refuse(reply(&refusal(&token, &question)));
        }
        match question {
            Question::Hello { .. }
            | Question::Authenticate(_)
            | Question::Content
            | Question::StartTls => Answer::Accept,
            Question::Verifier { user } => {
                let verifier = match self.password_of(&user) {
                    Some(password) => Verifier::of_password(password.as_bytes(), &[1; 16], 4_096),
                    None => Verifier::of_nobody(b"key", &user),
                };
                Answer::Verifier {
                    verifier,
                    nonce: ServerNonce::new([0; NONCE_OCTETS]),
                    channel: ChannelBinding::default(),
                }
            }
            Question::Sender { .. } => {
                let limit = self.dialogue.setting("sender-size-limit");
                let limit = limit.map_or(u64::MAX, |value| value.parse().expect("a number"));
                Answer::Sender {
                    size_octets_max: limit,
                    preset: preset(self.dialogue),
                }
            }
            Question::Recipient {
                forward_path,
                notify,
                original,
            } => {
                let forward_path = match forward_path {
                    ForwardPath::Mailbox(mailbox) => mailbox,
                    ForwardPath::Postmaster => mailbox("postmaster@relay.contoso.test"),
                };
                Answer::Recipient(EnvelopeRecipient {
                    forward_path,
                    notify,
                    original,
                    is_copy: false,
                })
            }
        }
    }

    fn refused(&self, key: &str, path: &str) -> Option<String> {
        let mut rules = self
            .dialogue
            .settings_of(key)
            .filter_map(|rule| rule.rsplit_once(' '));
        rules
            .find(|(refused, _)| *refused == path)
            .map(|(_, token)| token.to_owned())
    }

    fn password_of(&self, user: &str) -> Option<&str> {
        let mut known = self.dialogue.settings_of("credential");
        known.find_map(|line| line.strip_prefix(user)?.strip_prefix(' '))
    }

    fn refused_claim(&self, claim: &Claim) -> Option<String> {
        let user = claim.user().unwrap_or_default();
        if let Some(token) = self.refused("refuse-auth", user) {
            return Some(token);
        }
        let right = match claim {
            Claim::Password { password, .. } => self.password_of(user) == password.expose_text(),
            Claim::Proved { .. } => true,
            Claim::Judged { proved, .. } => *proved,
            Claim::Bearer { token, .. } => self.password_of(user) == token.expose_text(),
        };
        (!right).then(|| "AUTH-BAD".to_owned())
    }

    fn store(&mut self, summary: ContentSummary) {
        assert!(self.session.in_transaction());
        if let Some(token) = self.dialogue.setting("refuse-message") {
            let refusal = refusal(token, &Question::Content);
            return self.session.finish_content(reply(&refusal));
        }
        let (hello, _) = self.session.hello().expect("there was a greeting");
        self.message = Some(Message {
            envelope: self
                .session
                .envelope()
                .expect("there is an envelope")
                .clone(),
            content: std::mem::take(&mut self.content),
            summary,
            repairs: self
                .session
                .repairs()
                .iter()
                .map(|repair| repair.name())
                .collect(),
            protocol: self.session.protocol(),
            hello: hello.to_owned(),
        });
        let queue_id = QueueId::new(Timestamp::from_millis(1_795_514_400_123), 1, 1);
        self.session.finish_content(Reply::accepted(queue_id));
        assert!(!self.session.in_transaction());
    }

    fn expect(&mut self, lines: &[String], cut: Cut) {
        let said = String::from_utf8(std::mem::take(&mut self.said)).expect("replies are UTF-8");
        assert!(said.is_empty() || said.ends_with("\r\n"));
        let said: Vec<&str> = said.split_terminator("\r\n").collect();
        let fits = said.len() == lines.len()
            && lines
                .iter()
                .zip(&said)
                .all(|(pattern, line)| matches(pattern, line));
        assert!(
            fits,
            "{}, {cut:?}:\nexpected {lines:#?}\nwas {said:#?}",
            self.dialogue.name
        );
    }

    fn expect_message(&self, key: &str, value: &str) {
        let message = self.message.as_ref().expect("a message was accepted");
        let recipients = &message.envelope.recipients;
        let list = |texts: Vec<String>| texts.join(", ");
        let parameters = &message.envelope.parameters;
        let is = match key {
            "reverse-path" => format!("<{}>", message.envelope.reverse_path),
            "recipients" => list(
                recipients
                    .iter()
                    .map(|r| r.forward_path.to_string())
                    .collect(),
            ),
            "repairs" => message.repairs.join(", "),
            "content" => {
                assert_eq!(message.summary.size, message.content.len() as u64);
                let expected = String::from_utf8_lossy(&octets(value)).into_owned();
                assert_eq!(String::from_utf8_lossy(&message.content), expected);
                return;
            }
            "protocol" => message.protocol.into(),
            "hello" => message.hello.clone(),
            "size" => message.summary.size.to_string(),
            "eight-bit" => message.summary.eight_bit.to_string(),
            "envid" => parameters.envid.as_deref().unwrap_or_default().into(),
            "ret" => format!("{:?}", parameters.ret),
            "notify" => list(recipients.iter().map(notify).collect()),
            "original" => list(
                recipients
                    .iter()
                    .filter_map(|r| r.original.as_ref())
                    .map(|original| format!("{};{}", original.address_type, original.address))
                    .collect(),
            ),
            _ => panic!("{}: no such key: {key}", self.dialogue.name),
        };
        assert_eq!(is, value, "{}: {key}", self.dialogue.name);
    }
}

fn notify(recipient: &EnvelopeRecipient) -> String {
    let Some(notify) = recipient.notify else {
        return "default".into();
    };
    let words = [
        (notify.success, "success"),
        (notify.failure, "failure"),
        (notify.delay, "delay"),
    ];
    let words: Vec<&str> = words
        .into_iter()
        .filter(|(is, _)| *is)
        .map(|(_, word)| word)
        .collect();
    if words.is_empty() {
        "never".into()
    } else {
        words.join("+")
    }
}

fn preset(dialogue: &Dialogue) -> Preset {
    match dialogue.setting("preset") {
        None | Some("strict") => Preset::Strict,
        Some("tolerant") => Preset::Tolerant,
        Some(other) => panic!("no such preset: {other}"),
    }
}

fn mailbox(text: &str) -> relais_smtp::address::Mailbox {
    relais_smtp::address::Mailbox::parse(text).expect("a mailbox")
}

fn reply(refusal: &Refusal) -> Reply {
    refusal.reply("7F3K2".parse().expect("a reference"))
}

/// The refusal of a token, about the path in question where it names one.
fn refusal(token: &str, question: &Question) -> Refusal {
    let domain = match question {
        Question::Sender {
            reverse_path: ReversePath::Mailbox(mailbox),
            ..
        }
        | Question::Recipient {
            forward_path: ForwardPath::Mailbox(mailbox),
            ..
        } => mailbox.domain().cloned(),
        _ => None,
    };
    let text = domain
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default()
        .into_boxed_str();
    match (token, domain) {
        ("FROM-DOMAIN", _) => Refusal::SenderDomain { domain: text },
        ("RCPT-SCOPE", _) => Refusal::RecipientScope { domain: text },
        ("FROM-LAPSED", Some(domain)) => Refusal::SenderDomainLapsed { domain },
        ("RCPT-DNS", Some(domain)) => Refusal::RecipientDomainUnknown { domain },
        _ => {
            let entry = CATALOGUE.iter().find(|entry| entry.token() == token);
            (entry
                .unwrap_or_else(|| panic!("no such token: {token}"))
                .sample)()
        }
    }
}
