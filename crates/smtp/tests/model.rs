//! Random sessions against a reference model of the transaction: ~100 lines that anyone can check
//! against RFC 5321 §4.1.4. The model knows no octets, no cuts and no content; only what may come
//! when, and what must be answered.

use proptest::prelude::*;

use relais_smtp::address::{ForwardPath, Mailbox};
use relais_smtp::content::Preset;
use relais_smtp::envelope::EnvelopeRecipient;
use relais_smtp::refusal::Refusal;
use relais_smtp::reply::Reply;
use relais_smtp::server::{Answer, AuthOffer, Question, ServerConfig, ServerSession, Step};

/// What a client may do. The flag says whether the driver agrees.
#[derive(Clone, Copy, Debug)]
enum Act {
    Hello(bool),
    Mail(bool),
    /// RCPT for one of eight mailboxes.
    Rcpt(bool, u8),
    /// DATA, agreed or not, and its content stored or not.
    Data(bool, bool),
    /// BDAT: agreed or not, the last or not, stored or not.
    Bdat(bool, bool, bool),
    Rset,
    Noop,
    Unknown,
    Quit,
}

/// The whole truth about a session.
#[derive(Debug, Default)]
struct Model {
    greeted: bool,
    transaction: Transaction,
    closed: bool,
    /// (recipients, chunks) of each message stored.
    stored: Vec<(u32, usize)>,
}

#[derive(Debug, Default)]
enum Transaction {
    #[default]
    Idle,
    Sender,
    /// The mailboxes as bits: one named twice gets one copy.
    Recipients(u8),
    Chunks(u8, usize),
}

impl Model {
    /// The reply codes that an act must get.
    fn act(&mut self, act: Act) -> Vec<u16> {
        use Transaction as T;
        if self.closed {
            return vec![];
        }
        let transaction = std::mem::take(&mut self.transaction);
        let (next, codes) = match (act, transaction) {
            (Act::Hello(true), _) => {
                self.greeted = true;
                (T::Idle, vec![250])
            }
            (Act::Hello(false), same) => (same, vec![550]),
            (Act::Mail(true), T::Idle) if self.greeted => (T::Sender, vec![250]),
            (Act::Mail(false), T::Idle) if self.greeted => (T::Idle, vec![550]),
            (Act::Rcpt(true, who), T::Sender) => (T::Recipients(1 << who), vec![250]),
            (Act::Rcpt(true, who), T::Recipients(others)) => {
                (T::Recipients(others | 1 << who), vec![250])
            }
            (Act::Rcpt(false, _), same @ (T::Sender | T::Recipients(_))) => (same, vec![550]),
            (Act::Data(true, stored), T::Recipients(mailboxes)) => {
                (T::Idle, vec![354, self.store(mailboxes, 1, stored)])
            }
            (Act::Data(false, _), T::Recipients(_)) => (T::Idle, vec![550]),
            (Act::Bdat(false, ..), T::Recipients(_)) => (T::Idle, vec![550]),
            (Act::Bdat(true, last, stored), T::Recipients(mailboxes)) => {
                self.chunk(mailboxes, 1, last, stored)
            }
            (Act::Bdat(_, last, stored), T::Chunks(mailboxes, chunks)) => {
                self.chunk(mailboxes, chunks + 1, last, stored)
            }
            (Act::Bdat(..), T::Idle | T::Sender) => (T::Idle, vec![503]),
            (Act::Mail(_) | Act::Rcpt(..) | Act::Data(..), same) => (same, vec![503]),
            (Act::Rset, _) => (T::Idle, vec![250]),
            (Act::Noop, same) => (same, vec![250]),
            (Act::Unknown, same) => (same, vec![500]),
            (Act::Quit, _) => {
                self.closed = true;
                (T::Idle, vec![221])
            }
        };
        self.transaction = next;
        codes
    }

    fn chunk(
        &mut self,
        mailboxes: u8,
        chunks: usize,
        last: bool,
        stored: bool,
    ) -> (Transaction, Vec<u16>) {
        if last {
            return (
                Transaction::Idle,
                vec![self.store(mailboxes, chunks, stored)],
            );
        }
        (Transaction::Chunks(mailboxes, chunks), vec![250])
    }

    fn store(&mut self, mailboxes: u8, chunks: usize, stored: bool) -> u16 {
        if stored {
            self.stored.push((mailboxes.count_ones(), chunks));
            return 250;
        }
        550
    }
}

/// What the client sends, so that the driver can tell its decisions from the text.
fn wire(act: Act) -> String {
    let word = |yes: bool| if yes { "yes" } else { "no" };
    match act {
        Act::Hello(yes) => format!("EHLO {}.example\r\n", word(yes)),
        Act::Mail(yes) => format!("MAIL FROM:<{}@contoso.test>\r\n", word(yes)),
        Act::Rcpt(yes, who) => format!("RCPT TO:<{}{who}@fabrikam.example>\r\n", word(yes)),
        // Where DATA is not taken, what follows is read as commands: content only with 354.
        Act::Data(..) => "DATA\r\n".into(),
        Act::Bdat(_, last, _) => {
            format!("BDAT 6{}\r\nQUIT\r\n", if last { " LAST" } else { "" })
        }
        Act::Rset => "RSET\r\n".into(),
        Act::Noop => "NOOP\r\n".into(),
        Act::Unknown => "XYZZY\r\n".into(),
        Act::Quit => "QUIT\r\n".into(),
    }
}

/// The machine with a driver that agrees where the act says so.
struct Machine {
    session: ServerSession,
    unread: Vec<u8>,
    content: Vec<u8>,
    said: Vec<u8>,
    stored: Vec<(u32, usize)>,
    closed: bool,
}

impl Machine {
    fn new() -> Self {
        let config = ServerConfig {
            hostname: "relay.contoso.test".into(),
            size_octets_max: 1_000,
            preset: Preset::Strict,
            recipients_max: 100,
            errors_max: 1_000,
            junk_commands_max: 1_000,
            starttls: false,
            tls: false,
            auth: AuthOffer::None,
            require_tls: false,
        };
        Self {
            session: ServerSession::new(config),
            unread: Vec::new(),
            content: Vec::new(),
            said: Vec::new(),
            stored: Vec::new(),
            closed: false,
        }
    }

    /// Does an act; the codes of what was said.
    fn act(&mut self, act: Act, cut: usize) -> Vec<u16> {
        let wire = wire(act);
        let (head, tail) = wire.as_bytes().split_at(cut.min(wire.len()));
        self.receive(head, act);
        self.receive(tail, act);
        if self.said.starts_with(b"354") {
            self.receive(b"QUIT\r\n.\r\n", act);
        }
        let said = String::from_utf8(std::mem::take(&mut self.said)).expect("ASCII");
        let last_lines = said
            .lines()
            .filter(|line| line.as_bytes().get(3) == Some(&b' '));
        last_lines
            .map(|line| line[..3].parse().expect("a reply code"))
            .collect()
    }

    fn receive(&mut self, octets: &[u8], act: Act) {
        self.unread.extend_from_slice(octets);
        while !self.closed {
            let (used, step) = self.session.advance(&self.unread, &mut self.content);
            self.unread.drain(..used);
            match step {
                Step::Read(_) => break,
                Step::Close => self.closed = true,
                Step::StartTls => panic!("it is not offered"),
                Step::Content => {}
                Step::Refused { refusal, .. } => self.session.refuse(reply(&refusal)),
                Step::EndOfContent(_) => self.store(act),
                Step::Ask(question) => {
                    let answer = self.decide(question, act);
                    self.session.answer(answer);
                }
            }
        }
        self.said.append(self.session.output());
    }

    fn decide(&mut self, question: Question, act: Act) -> Answer {
        let agreed = match (&question, act) {
            (Question::Hello { name, .. }, _) => name.starts_with("yes"),
            (Question::Content, Act::Data(agreed, _) | Act::Bdat(agreed, ..)) => agreed,
            (Question::Sender { .. }, Act::Mail(agreed)) => agreed,
            (Question::Recipient { .. }, Act::Rcpt(agreed, _)) => agreed,
            (question, act) => panic!("{question:?} at {act:?}"),
        };
        if !agreed {
            return Answer::Refuse(reply(&Refusal::Sandbox));
        }
        match question {
            Question::Hello { .. } | Question::StartTls => Answer::Accept,
            Question::Verifier { .. } | Question::Authenticate(_) => {
                panic!("AUTH is not offered")
            }
            Question::Content => {
                self.content.clear();
                Answer::Accept
            }
            Question::Sender { .. } => Answer::Sender {
                size_octets_max: 1_000,
                preset: Preset::Strict,
            },
            Question::Recipient {
                forward_path,
                notify,
                original,
            } => {
                let ForwardPath::Mailbox(forward_path) = forward_path else {
                    panic!("a mailbox")
                };
                let Act::Rcpt(_, who) = act else {
                    panic!("a recipient at {act:?}")
                };
                let expected = format!("yes{who}@fabrikam.example");
                assert_eq!(forward_path, Mailbox::parse(&expected).expect("a mailbox"));
                Answer::Recipient(EnvelopeRecipient {
                    forward_path,
                    notify,
                    original,
                    is_copy: false,
                })
            }
        }
    }

    fn store(&mut self, act: Act) {
        let (Act::Data(_, stored) | Act::Bdat(_, _, stored)) = act else {
            panic!("no content")
        };
        let envelope = self.session.envelope().expect("an envelope");
        let recipients = u32::try_from(envelope.recipients.len()).expect("few");
        let chunks = self.content.len() / 6;
        assert_eq!(self.content, b"QUIT\r\n".repeat(chunks));
        if stored {
            self.stored.push((recipients, chunks));
        }
        // Stands for any 250; the true one comes from the store's proof.
        let refused = reply(&Refusal::Sandbox);
        let accepted = Reply::parse_stored("250 2.0.0 Stored").expect("a reply");
        self.session
            .finish_content(if stored { accepted } else { refused });
    }
}

fn reply(refusal: &Refusal) -> Reply {
    refusal.reply("7F3K2".parse().expect("a reference"))
}

fn acts() -> impl Strategy<Value = Vec<(Act, usize)>> {
    let agreed = || prop::bool::weighted(0.8);
    let act = prop_oneof![
        3 => agreed().prop_map(Act::Hello),
        4 => agreed().prop_map(Act::Mail),
        6 => (agreed(), 0_u8..8).prop_map(|(agreed, who)| Act::Rcpt(agreed, who)),
        3 => (agreed(), agreed()).prop_map(|(agreed, stored)| Act::Data(agreed, stored)),
        4 => (agreed(), any::<bool>(), agreed())
            .prop_map(|(agreed, last, stored)| Act::Bdat(agreed, last, stored)),
        1 => Just(Act::Rset),
        1 => Just(Act::Noop),
        1 => Just(Act::Unknown),
    ];
    let quit = prop_oneof![30 => act, 1 => Just(Act::Quit)];
    prop::collection::vec((quit, 0_usize..40), 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_session_is_answered_as_the_model_answers_it(acts in acts()) {
        let (mut model, mut machine) = (Model::default(), Machine::new());
        machine.receive(b"", Act::Noop);
        machine.said.clear();
        for (act, cut) in acts {
            let expected = model.act(act);
            prop_assert_eq!(machine.act(act, cut), expected, "{:?}, {:?}", act, model);
            let open = !matches!(model.transaction, Transaction::Idle);
            prop_assert_eq!(machine.session.in_transaction(), open);
            prop_assert_eq!(machine.closed, model.closed);
        }
        prop_assert_eq!(machine.stored, model.stored);
    }
}
