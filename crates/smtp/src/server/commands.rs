//! The commands, one by one: may it come now, and what follows. RFC 5321 §4.1.4.
//!
//! DATA and BDAT without an accepted recipient get 503 (RFC 5321 §3.3 allows 503 and 554), as does
//! every command that comes at the wrong moment. STARTTLS hands the driver the handshake; all that
//! was read behind the command is thrown away, and the session starts anew without greeting
//! (RFC 3207 §4.2; CVE-2011-0411). AUTH is `auth`.

use alloc::string::String;

use super::{
    Asked, AuthOffer, Question, RefusedStage, ServerSession, State, Step,
    transaction::{Hello, Terms, Transaction},
};
use crate::address::ReversePath;
use crate::command::{self, Command, CommandError, Parsed, Verb};
use crate::content::Repair;
use crate::envelope::SenderParameters;
use crate::refusal::{Refusal, SyntaxFault};
use crate::reply::Reply;

impl ServerSession {
    /// Reads one line, without its CRLF. `None`: go on with what follows.
    pub(super) fn command(&mut self, line: &[u8], transaction: Transaction) -> Option<Step> {
        let step = self.perform(line, transaction);
        let stage = match &step {
            Some(Step::Refused { stage, .. }) => *stage,
            _ => return step,
        };
        if matches!(stage, RefusedStage::Sender | RefusedStage::Recipient) {
            self.refused_line = Some(String::from_utf8_lossy(line).into());
        }
        step
    }

    fn perform(&mut self, line: &[u8], transaction: Transaction) -> Option<Step> {
        let Parsed { command, repair } = match command::parse(line, self.config.preset) {
            Ok(parsed) => parsed,
            Err(error) => return Some(self.no_command(line, error, transaction)),
        };
        match command {
            Command::Hello { name, extended } => self.hello_command(
                Hello {
                    name,
                    extended,
                    repair,
                },
                transaction,
            ),
            Command::Mail {
                reverse_path,
                utf8,
                parameters,
                names_author,
            } => {
                if names_author && !matches!(self.config.auth, AuthOffer::Now { .. }) {
                    let keyword = "AUTH".into();
                    let refusal = Refusal::Parameter { keyword };
                    return Some(self.refused(refusal, RefusedStage::Sender, transaction));
                }
                Some(self.mail(reverse_path, utf8, parameters, repair, transaction))
            }
            Command::Rcpt {
                forward_path,
                utf8,
                notify,
                original,
            } => {
                let question = Question::Recipient {
                    forward_path,
                    notify,
                    original,
                };
                Some(self.rcpt(question, utf8, repair, transaction))
            }
            Command::Data => Some(self.data(transaction)),
            Command::Bdat { size, last } => self.bdat(size, last, transaction),
            Command::Rset => {
                self.end_transaction();
                self.junk("250 2.0.0 Reset", Transaction::Idle)
            }
            Command::Vrfy => self.junk("252 2.0.0 Not verified, but RCPT will tell", transaction),
            Command::Noop => self.junk("250 2.0.0 Ok", transaction),
            Command::Help => {
                if !self.may_be_junk() {
                    return Some(self.too_many());
                }
                self.say_help();
                self.state = State::Ready(transaction);
                None
            }
            Command::Quit => {
                self.say("221 2.0.0 Bye");
                self.state = State::Closing;
                None
            }
            Command::StartTls => Some(self.start_tls(transaction)),
            Command::Auth { mechanism, initial } => self.auth(&mechanism, initial, transaction),
            Command::Expn => {
                let fault = Refusal::Syntax(SyntaxFault::NotImplemented);
                Some(self.refused(fault, RefusedStage::Other, transaction))
            }
        }
    }

    /// The driver refuses what it was asked.
    pub(super) fn answered_no(&mut self, asked: Asked, reply: &Reply) -> State {
        let transaction = match asked {
            Asked::Chunk { size, .. } => return self.refuse_chunk(size, reply),
            Asked::Verifier { exchange } | Asked::Authenticate { exchange } => {
                return self.not_authenticated(&exchange, reply);
            }
            // RFC 5321 §4.1.4: the session stays as it was.
            Asked::Hello { transaction, .. } => {
                self.errors += 1;
                transaction
            }
            Asked::Recipient { mut transaction } => {
                self.errors += u32::from(transaction.refused_recipient());
                transaction
            }
            Asked::StartTls { transaction } => {
                self.errors += 1;
                transaction
            }
            Asked::Sender { .. } | Asked::Data { .. } => {
                self.errors += 1;
                self.end_transaction();
                Transaction::Idle
            }
        };
        reply.write_to(&mut self.output);
        if reply.closes() {
            State::Closing
        } else {
            State::Ready(transaction)
        }
    }

    /// The driver accepts the greeting; it ends any transaction. RFC 5321 §4.1.4.
    pub(super) fn greet(&mut self, hello: Hello) -> State {
        self.repairs.clear();
        self.repairs.extend(hello.repair);
        if hello.extended {
            self.say_ehlo()
        } else {
            self.say_helo()
        }
        self.hello = Some(hello);
        State::Ready(Transaction::Idle)
    }

    /// The driver accepts the sender, on its terms.
    pub(super) fn begin(
        &mut self,
        reverse_path: ReversePath,
        parameters: SenderParameters,
        terms: Terms,
    ) -> State {
        let size_octets_max = terms.size_octets_max.min(self.config.size_octets_max);
        if parameters.size.is_some_and(|size| size > size_octets_max) {
            let refusal = Refusal::TooBig {
                limit: size_octets_max,
            };
            self.end_transaction();
            return State::ToRefuse(refusal, RefusedStage::Sender);
        }
        let terms = Terms {
            size_octets_max,
            ..terms
        };
        self.say("250 2.1.0 Sender ok");
        State::Ready(Transaction::Sender {
            reverse_path,
            parameters,
            terms,
        })
    }

    fn no_command(&mut self, line: &[u8], error: CommandError, transaction: Transaction) -> Step {
        let stage = match error.verb {
            Some(Verb::Mail) => RefusedStage::Sender,
            Some(Verb::Rcpt) => RefusedStage::Recipient,
            Some(Verb::Data | Verb::Bdat) => RefusedStage::Content,
            Some(
                Verb::Helo
                | Verb::Ehlo
                | Verb::Rset
                | Verb::Vrfy
                | Verb::Expn
                | Verb::Help
                | Verb::Noop
                | Verb::Quit
                | Verb::StartTls
                | Verb::Auth,
            )
            | None => RefusedStage::Other,
        };
        // How many octets of a chunk follow cannot be known: they would be taken for commands.
        if error.verb == Some(Verb::Bdat) || (error.verb.is_none() && is_web_request(line)) {
            return self.refuse_and_close(error.refusal, stage);
        }
        self.refused(error.refusal, stage, transaction)
    }

    fn hello_command(&mut self, hello: Hello, transaction: Transaction) -> Option<Step> {
        if self.hello.is_some() && !self.may_be_junk() {
            return Some(self.too_many());
        }
        let question = Question::Hello {
            name: hello.name.clone(),
            extended: hello.extended,
        };
        self.state = State::Asked(Asked::Hello { hello, transaction });
        Some(Step::Ask(question))
    }

    fn mail(
        &mut self,
        reverse_path: ReversePath,
        utf8: bool,
        parameters: SenderParameters,
        repair: Option<Repair>,
        transaction: Transaction,
    ) -> Step {
        if self.hello.is_none() || transaction.is_open() {
            return self.out_of_order(transaction);
        }
        if let Some(refusal) = self.cannot_take(utf8, &parameters) {
            return self.refused(refusal, RefusedStage::Sender, transaction);
        }
        self.note(repair);
        let question = Question::Sender {
            reverse_path: reverse_path.clone(),
            parameters: parameters.clone(),
        };
        self.state = State::Asked(Asked::Sender {
            reverse_path,
            parameters,
        });
        Step::Ask(question)
    }

    /// What no driver could allow.
    fn cannot_take(&self, utf8: bool, parameters: &SenderParameters) -> Option<Refusal> {
        let limit = self.config.size_octets_max;
        if parameters.require_tls && !self.offers_require_tls() {
            return Some(Refusal::Parameter {
                keyword: "REQUIRETLS".into(),
            });
        }
        if utf8 && !parameters.smtp_utf8 {
            return Some(Refusal::Utf8NotDeclared);
        }
        parameters
            .size
            .is_some_and(|size| size > limit)
            .then_some(Refusal::TooBig { limit })
    }

    fn rcpt(
        &mut self,
        question: Question,
        utf8: bool,
        repair: Option<Repair>,
        transaction: Transaction,
    ) -> Step {
        let Some(count) = transaction.recipients_so_far() else {
            return self.out_of_order(transaction);
        };
        if utf8 && !transaction.is_smtp_utf8() {
            return self.refused(
                Refusal::Utf8NotDeclared,
                RefusedStage::Recipient,
                transaction,
            );
        }
        if count >= self.config.recipients_max {
            return self.refused(
                Refusal::TooManyRecipients,
                RefusedStage::Recipient,
                transaction,
            );
        }
        self.note(repair);
        self.state = State::Asked(Asked::Recipient { transaction });
        Step::Ask(question)
    }

    fn data(&mut self, transaction: Transaction) -> Step {
        match transaction {
            Transaction::Recipients {
                envelope, terms, ..
            } => {
                self.state = State::Asked(Asked::Data { envelope, terms });
                Step::Ask(Question::Content)
            }
            other @ (Transaction::Idle
            | Transaction::Sender { .. }
            | Transaction::Chunks { .. }) => self.out_of_order(other),
        }
    }

    /// 502 where it is not offered, 503 the second time. RFC 3207 §4.2.
    fn start_tls(&mut self, transaction: Transaction) -> Step {
        if self.config.tls {
            return self.out_of_order(transaction);
        }
        if !self.config.starttls {
            let fault = Refusal::Syntax(SyntaxFault::NotImplemented);
            return self.refused(fault, RefusedStage::Other, transaction);
        }
        self.state = State::Asked(Asked::StartTls { transaction });
        Step::Ask(Question::StartTls)
    }

    pub(super) fn out_of_order(&mut self, transaction: Transaction) -> Step {
        let fault = Refusal::Syntax(SyntaxFault::Order);
        self.refused(fault, RefusedStage::Other, transaction)
    }

    /// A command that does nothing for mail.
    fn junk(&mut self, line: &str, transaction: Transaction) -> Option<Step> {
        if !self.may_be_junk() {
            return Some(self.too_many());
        }
        self.say(line);
        self.state = State::Ready(transaction);
        None
    }

    fn note(&mut self, repair: Option<Repair>) {
        if let Some(repair) = repair
            && !self.repairs.contains(&repair)
        {
            self.repairs.push(repair);
        }
    }
}

/// A browser that was lured here must not be able to send mail with the lines of its request body
/// (cross-protocol attack; Postfix: `smtpd_forbidden_commands`).
fn is_web_request(line: &[u8]) -> bool {
    const METHODS: [&[u8]; 7] = [
        b"GET ",
        b"POST ",
        b"PUT ",
        b"HEAD ",
        b"CONNECT ",
        b"OPTIONS ",
        b"DELETE ",
    ];
    METHODS.iter().any(|method| line.starts_with(method))
}
