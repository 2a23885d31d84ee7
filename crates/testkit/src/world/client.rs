//! The clients: printers and programs with different manners, who write into the ledger what they
//! sent and what they were told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use relais_net::clock::Chance;
use relais_net::network::Network;
use relais_net::stream::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::ledger::{Answer, Ledger, NotifyWish, Sent, Wanted};
use super::letter;
use super::plan::{Client, Draft, Manner, Plan};

/// A client waits for an answer no longer than this. RFC 5321 §4.5.3.2.6.
const PATIENCE: Duration = Duration::from_secs(600);
/// A message is begun anew so often at most, each time under a new number.
const REPEATS_MAX: u64 = 3;
/// Dials without success before a client gives a message up.
const DIALS_MAX: u64 = 6;
/// Octets of one write of a slow client.
const SLOW_OCTETS: usize = 90;

/// Where the relay listens now; nowhere while it is down.
#[derive(Clone, Debug, Default)]
pub(super) struct Whereabouts(Arc<Mutex<Option<SocketAddr>>>);

impl Whereabouts {
    pub(super) fn set(&self, address: Option<SocketAddr>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = address;
    }

    fn now(&self) -> Option<SocketAddr> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running client.
pub(super) struct Sender {
    pub(super) plan: Arc<Plan>,
    pub(super) client: Client,
    /// First of the numbers that this client gives to its messages.
    pub(super) first_number: u64,
    pub(super) network: Network,
    pub(super) whereabouts: Whereabouts,
    pub(super) ledger: Ledger,
    pub(super) chance: Chance,
}

/// The connection is of no use any more.
#[derive(Debug)]
struct Lost;

/// What became of one message.
enum Fate {
    /// Answered, or nothing is known: done with it.
    Over,
    /// Refused for now, or never begun: again later.
    Later,
}

impl Sender {
    /// Sends all its messages, then ends.
    pub(super) async fn run(mut self) {
        let mut number = self.first_number;
        let mut left = self.client.messages;
        let mut repeats = 0;
        let mut dials = 0;
        while left > 0 {
            self.pause().await;
            let Some(mut session) = self.dial().await else {
                dials += 1;
                if dials == DIALS_MAX {
                    (left, dials) = (left - 1, 0);
                }
                continue;
            };
            dials = 0;
            for _ in 0..self.client.per_session.min(left) {
                number += 1;
                let draft = self.plan.draft(&self.chance, &self.client, number);
                let again = match session.send_message(&self, number, draft).await {
                    Ok(Fate::Over) => false,
                    Ok(Fate::Later) => true,
                    Err(Lost) => break,
                };
                if again && repeats < REPEATS_MAX {
                    repeats += 1;
                    break;
                }
                repeats = 0;
                left -= 1;
                if left == 0 {
                    break;
                }
            }
            session.quit().await;
            if number > self.first_number + 4 * self.client.messages {
                return;
            }
        }
    }

    async fn pause(&mut self) {
        let most = u64::try_from(self.client.pause.as_millis()).unwrap_or(u64::MAX);
        tokio::time::sleep(Duration::from_millis(self.chance.below(most))).await;
    }

    async fn dial(&self) -> Option<Session> {
        let to = self.whereabouts.now()?;
        let dial = self.network.dial(to, None);
        let stream = tokio::time::timeout(PATIENCE, dial).await.ok()?.ok()?;
        let mut session = Session {
            stream,
            unread: Vec::new(),
            slow: self.client.manner == Manner::Slow,
            chance: self.chance.split(),
        };
        let (code, _) = session.reply().await.ok()?;
        if code != 220 {
            return None;
        }
        let hello = if self.client.manner == Manner::Old {
            "HELO"
        } else {
            "EHLO"
        };
        let name = format!("{hello} device{}.contoso.test\r\n", self.first_number);
        session.send(name.as_bytes()).await.ok()?;
        let (code, _) = session.reply().await.ok()?;
        (code == 250).then_some(session)
    }
}

struct Session {
    stream: Stream,
    unread: Vec<u8>,
    slow: bool,
    chance: Chance,
}

impl Session {
    async fn send_message(
        &mut self,
        sender: &Sender,
        number: u64,
        mut draft: Draft,
    ) -> Result<Fate, Lost> {
        let manner = sender.client.manner;
        if manner == Manner::Old {
            draft.form.eight_bit = false;
        }
        if manner == Manner::Resetting {
            self.take_back(&draft).await?;
        }
        let sent = Sent {
            from: draft.from.clone(),
            header_from: draft.header_from.clone(),
            form: draft.form,
            recipients: draft.recipients.clone(),
            answer: Answer::Unfinished,
            answered_at: sender.ledger.now(),
        };
        sender.ledger.begins(number, sent);
        let to: Vec<_> = draft
            .recipients
            .iter()
            .map(|one| one.address.as_str())
            .collect();
        let text = format!(
            "client {}: message {number} from {:?} for {}",
            sender.first_number,
            draft.from,
            to.join(" ")
        );
        sender.ledger.note(number, text);
        let mut transaction = Under {
            number,
            sender,
            draft,
            answer: Answer::Unfinished,
        };
        let fate = match manner {
            Manner::Pipelined => transaction.pipelined(self).await,
            Manner::Chunked => transaction.chunked(self).await,
            Manner::Plain | Manner::Old | Manner::Slow | Manner::CutOff | Manner::Resetting => {
                transaction.step_by_step(self).await
            }
        };
        let Under { draft, answer, .. } = transaction;
        sender.ledger.answered(number, draft.recipients, answer);
        fate
    }

    /// A transaction that is begun and taken back: nobody may ever hear of it.
    async fn take_back(&mut self, draft: &Draft) -> Result<(), Lost> {
        self.ask(&format!(
            "MAIL FROM:<{}>\r\n",
            draft.from.as_deref().unwrap_or("")
        ))
        .await?;
        for wanted in &draft.recipients {
            let (local, domain) = wanted.address.split_once('@').unwrap_or_default();
            self.ask(&format!("RCPT TO:<x{local}@{domain}>\r\n"))
                .await?;
        }
        self.ask("RSET\r\n").await.map(drop)
    }

    async fn ask(&mut self, command: &str) -> Result<(u16, String), Lost> {
        self.send(command.as_bytes()).await?;
        self.reply().await
    }

    async fn quit(&mut self) {
        // Nothing depends on the answer.
        let _ = self.ask("QUIT\r\n").await;
    }

    async fn send(&mut self, octets: &[u8]) -> Result<(), Lost> {
        let pieces = if self.slow { SLOW_OCTETS } else { usize::MAX };
        for piece in octets.chunks(pieces.min(octets.len().max(1))) {
            let write = tokio::time::timeout(PATIENCE, self.stream.write_all(piece));
            write.await.map_err(|_| Lost)?.map_err(|_| Lost)?;
            if self.slow {
                let wait = Duration::from_millis(10 + self.chance.below(300));
                tokio::time::sleep(wait).await;
            }
        }
        Ok(())
    }

    /// One reply: its code, and its last line.
    async fn reply(&mut self) -> Result<(u16, String), Lost> {
        tokio::time::timeout(PATIENCE, async {
            loop {
                let line = self.line().await?;
                let code = line
                    .get(..3)
                    .and_then(|code| code.parse().ok())
                    .ok_or(Lost)?;
                if line.as_bytes().get(3) != Some(&b'-') {
                    return Ok((code, line));
                }
            }
        })
        .await
        .unwrap_or(Err(Lost))
    }

    async fn line(&mut self) -> Result<String, Lost> {
        loop {
            if let Some(end) = self.unread.iter().position(|octet| *octet == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            let mut buffer = [0; 4_096];
            match self.stream.read(&mut buffer).await {
                Ok(count) if count > 0 => self.unread.extend_from_slice(&buffer[..count]),
                Ok(_) | Err(_) => return Err(Lost),
            }
        }
    }
}

/// A transaction under way.
struct Under<'a> {
    number: u64,
    sender: &'a Sender,
    draft: Draft,
    answer: Answer,
}

impl Under<'_> {
    async fn step_by_step(&mut self, session: &mut Session) -> Result<Fate, Lost> {
        let (code, _) = session.ask(&self.mail()).await?;
        if code != 250 {
            return Ok(fate_of(code));
        }
        let mut accepted = 0;
        let mut worst = 0;
        for place in 0..self.draft.recipients.len() {
            let command = self.rcpt(&self.draft.recipients[place]);
            let (code, _) = session.ask(&command).await?;
            self.draft.recipients[place].accepted = Some(code == 250);
            accepted += usize::from(code == 250);
            worst = if code == 250 { worst } else { code };
        }
        if accepted == 0 {
            session.ask("RSET\r\n").await?;
            return Ok(fate_of(worst));
        }
        let (code, _) = session.ask("DATA\r\n").await?;
        if code != 354 {
            return Ok(fate_of(code));
        }
        let content = letter::stuffed(&self.content());
        if self.sender.client.manner == Manner::CutOff && session.chance.below(3) == 0 {
            let most = content.len().saturating_sub(5) as u64;
            let cut = usize::try_from(session.chance.below(most)).unwrap_or(0);
            session.send(&content[..cut]).await?;
            return Err(Lost);
        }
        self.end(session, &content).await
    }

    async fn pipelined(&mut self, session: &mut Session) -> Result<Fate, Lost> {
        let mut group = self.mail();
        for wanted in &self.draft.recipients {
            group.push_str(&self.rcpt(wanted));
        }
        group.push_str("DATA\r\n");
        session.send(group.as_bytes()).await?;
        let (sender_code, _) = session.reply().await?;
        let mut accepted = 0;
        for place in 0..self.draft.recipients.len() {
            let (code, _) = session.reply().await?;
            self.draft.recipients[place].accepted = Some(code == 250);
            accepted += usize::from(code == 250);
        }
        let (code, _) = session.reply().await?;
        if code != 354 {
            session.ask("RSET\r\n").await?;
            return Ok(fate_of(if sender_code == 250 {
                code
            } else {
                sender_code
            }));
        }
        if accepted == 0 {
            // RFC 2920 §3.1: 354 without recipients; an empty message ends it.
            session.ask(".\r\n").await?;
            return Ok(Fate::Over);
        }
        let content = letter::stuffed(&self.content());
        self.end(session, &content).await
    }

    async fn chunked(&mut self, session: &mut Session) -> Result<Fate, Lost> {
        let mut group = self.mail();
        for wanted in &self.draft.recipients {
            group.push_str(&self.rcpt(wanted));
        }
        session.send(group.as_bytes()).await?;
        let (code, _) = session.reply().await?;
        let mut accepted = 0;
        for place in 0..self.draft.recipients.len() {
            let (code, _) = session.reply().await?;
            self.draft.recipients[place].accepted = Some(code == 250);
            accepted += usize::from(code == 250);
        }
        if accepted == 0 {
            session.ask("RSET\r\n").await?;
            return Ok(fate_of(code));
        }
        // What is sent with BDAT has no line ends to mend.
        self.draft.form.bare_lf = false;
        let content = self.content();
        let cut = usize::try_from(session.chance.below(content.len() as u64)).unwrap_or(0);
        let (first, last) = content.split_at(cut);
        let mut octets = format!("BDAT {}\r\n", first.len()).into_bytes();
        octets.extend_from_slice(first);
        session.send(&octets).await?;
        let (code, _) = session.reply().await?;
        if code != 250 {
            session.ask("RSET\r\n").await?;
            return Ok(fate_of(code));
        }
        let mut octets = format!("BDAT {} LAST\r\n", last.len()).into_bytes();
        octets.extend_from_slice(last);
        self.end(session, &octets).await
    }

    /// The last octets of content: from here on the client does not know until it is told.
    async fn end(&mut self, session: &mut Session, octets: &[u8]) -> Result<Fate, Lost> {
        self.note_form();
        self.answer = Answer::Unknown;
        session.send(octets).await?;
        let (code, line) = session.reply().await?;
        if code != 250 {
            self.answer = Answer::Refused(line);
            return Ok(fate_of(code));
        }
        let queue_id = line.rsplit(' ').next().unwrap_or_default().to_owned();
        self.answer = Answer::Accepted(queue_id);
        Ok(Fate::Over)
    }

    /// The manner may have changed the form: the ledger must know what is really sent.
    fn note_form(&self) {
        if let Some(sent) = self.sender.ledger.pages().sent.get_mut(&self.number) {
            sent.form = self.draft.form;
            sent.recipients.clone_from(&self.draft.recipients);
        }
    }

    fn content(&self) -> Vec<u8> {
        letter::as_sent(self.number, &self.draft.header_from, self.draft.form)
    }

    fn mail(&self) -> String {
        let from = self.draft.from.as_deref().unwrap_or("");
        if self.sender.client.manner == Manner::Old {
            return format!("MAIL FROM: <{from}>\r\n");
        }
        let body = if self.draft.form.eight_bit {
            " BODY=8BITMIME"
        } else {
            ""
        };
        let ret = if self.draft.full_return {
            "FULL"
        } else {
            "HDRS"
        };
        let needs = self
            .draft
            .recipients
            .iter()
            .any(|one| !one.address.is_ascii());
        let utf8 = if needs { " SMTPUTF8" } else { "" };
        format!(
            "MAIL FROM:<{from}> RET={ret} ENVID=e{}{body}{utf8}\r\n",
            self.number
        )
    }

    fn rcpt(&self, wanted: &Wanted) -> String {
        let notify = match wanted.notify {
            NotifyWish::Default => "",
            NotifyWish::Never => " NOTIFY=NEVER",
            NotifyWish::SuccessAndFailure => " NOTIFY=SUCCESS,FAILURE",
            NotifyWish::DelayOnly => " NOTIFY=DELAY",
        };
        format!("RCPT TO:<{}>{notify}\r\n", wanted.address)
    }
}

fn fate_of(code: u16) -> Fate {
    if (400..500).contains(&code) {
        Fate::Later
    } else {
        Fate::Over
    }
}
