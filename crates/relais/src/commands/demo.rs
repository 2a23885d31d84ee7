//! `relais demo`: everything at work on loopback. A printer, a business application and a stranger
//! bring mail; a receiving server of our own takes it; the trace tells what happened.
//!
//! Nothing outside of loopback is touched, and the data folder is a temporary one.

mod scene;
mod mailbox;
mod visitor;
mod letters;
mod turn;

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use clap::Args;

use relais_smtp::refusal::CATALOGUE;
use relais_store::trace::{Event, EventKind, TraceQuery, TraceTerm};

use super::session::Session;
use super::signals::Signals;
use crate::failure::Failure;
use crate::output::{Output, Tone};
use crate::wiring::Server;
use crate::words::{self, Language};
use mailbox::Mailboxes;
use scene::{APPLICATION, KLARA, NOBODY, OWNER, PRINTER, Scene};
use visitor::Visitor;

/// Everything happens within a second or two; a machine under load gets this long.
const STORY_TIME_MAX: Duration = Duration::from_secs(25);
/// Between looks at the trace while something is awaited.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// End when the story is told: 0 if all came out as it must, else 1
    #[arg(long)]
    once: bool,
    /// Language of the story; by default that of the environment
    #[arg(long, value_parser = ["en", "fr"])]
    lang: Option<String>,
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    let language = match arguments.lang.as_deref() {
        Some("fr") => Language::French,
        Some(_) => Language::English,
        None => Language::of_environment(),
    };
    let scene = scene::build(language, !arguments.once)
        .await
        .map_err(Failure::Failed)?;
    let mut signals = Signals::listen()
        .map_err(|error| Failure::Failed(format!("signals cannot be heard: {error}")))?;
    let teller = Teller {
        output: session.output,
        language,
        stays: !arguments.once,
    };
    let ended = tokio::select! {
        ended = play(&scene, teller, &mut signals) => ended,
        never = keep_house(&scene) => match never {},
    };
    scene.end().await;
    ended
}

async fn keep_house(scene: &Scene) -> Infallible {
    loop {
        scene.server.keep_house().await;
    }
}

async fn play(scene: &Scene, teller: Teller, signals: &mut Signals) -> Result<(), Failure> {
    let well = tokio::select! {
        well = tell(scene, teller) => well?,
        () = signals.next_end() => return Err(Failure::Failed("stopped".to_owned())),
    };
    match (teller.stays, well) {
        (true, _) => turn::stay(scene, teller, signals).await,
        (false, true) => Ok(()),
        (false, false) => {
            let sentence = teller.language.pick(
                "something did not come out as it must",
                "tout ne s’est pas passé comme prévu",
            );
            Err(Failure::Failed(sentence.to_owned()))
        }
    }
}

/// Speaks to the person who looks on.
#[derive(Clone, Copy)]
struct Teller {
    output: Output,
    language: Language,
    /// The relay keeps running: commands for it can be named.
    stays: bool,
}

impl Teller {
    fn line(self, text: &str) -> Result<(), Failure> {
        self.output.line(text)
    }

    fn heading(self, english: &str, french: &str) -> Result<(), Failure> {
        self.line("")?;
        self.line(
            &self
                .output
                .paint(Tone::Heading, self.language.pick(english, french)),
        )
    }

    fn event(self, event: &Event) -> Result<(), Failure> {
        let time = event.time.to_rfc3339();
        let clock = time.get(11..23).unwrap_or(&time);
        let sentence = words::sentence(event, self.language);
        self.line(&format!(
            "  {clock}  {}",
            self.output.paint(words::tone(event), &sentence)
        ))
    }

    fn check(self, well: bool, english: &str, french: &str) -> Result<bool, Failure> {
        let (tone, mark) = if well {
            (Tone::Good, "ok  ")
        } else {
            (Tone::Bad, "FAIL")
        };
        let text = self.language.pick(english, french);
        self.line(&format!("  {}  {text}", self.output.paint(tone, mark)))?;
        Ok(well)
    }
}

/// The whole story; whether all came out as it must.
async fn tell(scene: &Scene, teller: Teller) -> Result<bool, Failure> {
    let relay = scene.relay();
    teller.line(&format!(
        "Relais {} {} {relay}{} {} {}",
        env!("CARGO_PKG_VERSION"),
        teller.language.pick("listens on", "écoute sur"),
        teller.language.pick(";", "\u{202f};"),
        teller.language.pick(
            "the receiving server stands at",
            "le serveur de réception est sur"
        ),
        scene.mailboxes.address(),
    ))?;
    let scan = letters::scan("scan@contoso.test", KLARA);
    let invoice = letters::invoice(
        "erp@contoso.test",
        &[KLARA, NOBODY],
        scene.server.clock.now(),
    );
    let broken = |who: &str| {
        let who = who.to_owned();
        move |error: io::Error| Failure::Failed(format!("{who}: {error}"))
    };
    let printed = printer(scene, (PRINTER, "printer-2"), &scan)
        .await
        .map_err(broken("printer"))?;
    let sent = application(scene, &invoice)
        .await
        .map_err(broken("application"))?;
    let refused = stranger(scene).await.map_err(broken("stranger"))?;

    teller.heading(
        "1. A printer scans to e-mail: HELO, a PDF of 1 MB (a third more in base64), no Date and no Message-ID",
        "1. Une imprimante numérise vers un e-mail\u{202f}: HELO, un PDF de 1 Mo (un tiers de plus en base64), sans Date ni Message-ID",
    )?;
    story(scene, teller, &printed, &[EventKind::RecipientDelivered]).await?;
    teller.heading(
        "2. A business application writes to two people at once, pipelined, in UTF-8; one of them is unknown there",
        "2. Une application écrit à deux personnes à la fois, en pipeline et en UTF-8\u{202f}; l’une d’elles est inconnue à destination",
    )?;
    let ends = [
        EventKind::RecipientDelivered,
        EventKind::RecipientFailed,
        EventKind::NoticeSent,
    ];
    story(scene, teller, &sent, &ends).await?;
    teller.heading(
        "   … and the notice about it, which goes to a person: the sender has no mailbox",
        "   … et l’avis à ce sujet, qui va à une personne\u{202f}: l’expéditeur n’a pas de boîte aux lettres",
    )?;
    let notice = notice_of(scene, &sent).await?;
    story(scene, teller, &notice, &[EventKind::RecipientDelivered]).await?;
    teller.heading(
        "3. A stranger tries to use us",
        "3. Un inconnu essaie de se servir de nous",
    )?;
    refusal_story(scene, teller, &refused).await?;

    teller.heading(
        "Did all come out as it must?",
        "Tout s’est-il passé comme prévu\u{202f}?",
    )?;
    judge(
        teller,
        &scene.mailboxes,
        &Sent {
            scan,
            invoice,
            sent,
            refused,
        },
    )
}

/// HELO and one command at a time, as old devices do, and no further than they are let. The reply
/// to the content, or to the command that was refused.
async fn printer(
    scene: &Scene,
    (stands, name): ([u8; 4], &str),
    scan: &[u8],
) -> io::Result<String> {
    let mut visitor = visit(scene, stands).await?;
    for line in [
        &format!("HELO {name}"),
        "MAIL FROM:<scan@contoso.test>",
        &format!("RCPT TO:<{KLARA}>"),
        "DATA",
    ] {
        let replies = visitor.say(&[line]).await?;
        if let Some(refused) = replies.into_iter().find(|one| !one.starts_with(['2', '3'])) {
            visitor.say(&["QUIT"]).await?;
            return Ok(refused);
        }
    }
    let reply = visitor.content(scan).await?;
    visitor.say(&["QUIT"]).await?;
    Ok(reply)
}

/// EHLO, then everything up to DATA in one piece. The reply to the content.
async fn application(scene: &Scene, invoice: &[u8]) -> io::Result<String> {
    let mut visitor = visit(scene, APPLICATION).await?;
    visitor.say(&["EHLO erp.contoso.test"]).await?;
    let (klara, nobody) = (format!("RCPT TO:<{KLARA}>"), format!("RCPT TO:<{NOBODY}>"));
    let sender = "MAIL FROM:<erp@contoso.test> BODY=8BITMIME SMTPUTF8";
    visitor.say(&[sender, &klara, &nobody, "DATA"]).await?;
    let reply = visitor.content(invoice).await?;
    visitor.say(&["QUIT"]).await?;
    Ok(reply)
}

/// From an address that no connector covers. The reply to RCPT.
async fn stranger(scene: &Scene) -> io::Result<String> {
    let mut visitor = visit(scene, scene::STRANGER).await?;
    visitor.say(&["EHLO mail.elsewhere.example"]).await?;
    visitor
        .say(&["MAIL FROM:<offers@elsewhere.example>"])
        .await?;
    let replies = visitor.say(&[&format!("RCPT TO:<{KLARA}>")]).await?;
    visitor.say(&["QUIT"]).await?;
    Ok(replies.into_iter().next().unwrap_or_default())
}

async fn visit(scene: &Scene, from: [u8; 4]) -> io::Result<Visitor> {
    let clock = &scene.server.clock;
    Visitor::connect(&scene.network, clock, scene.relay(), IpAddr::from(from)).await
}

/// The queue id in `250 2.0.0 Queued as …`.
fn queue_id(reply: &str) -> &str {
    reply
        .strip_prefix("250 2.0.0 Queued as ")
        .unwrap_or_default()
        .trim()
}

/// The reference in `… (TOKEN REFERENCE)`.
fn reference(reply: &str) -> &str {
    let inside = reply
        .rsplit_once('(')
        .map(|(_, rest)| rest.trim_end_matches(')'));
    inside
        .and_then(|inside| inside.split_once(' '))
        .map(|(_, reference)| reference)
        .unwrap_or_default()
}

/// What the trace tells of one message, once all these ends are in it.
async fn story(
    scene: &Scene,
    teller: Teller,
    reply: &str,
    ends: &[EventKind],
) -> Result<(), Failure> {
    let id = queue_id(reply);
    if id.is_empty() {
        return teller.line(&format!(
            "  {}: {reply}",
            teller.language.pick("not accepted", "non accepté")
        ));
    }
    let complete = |events: &[Event]| {
        ends.iter()
            .all(|end| events.iter().any(|event| event.kind == *end))
    };
    for event in await_events(&scene.server, "id", id, complete).await? {
        teller.event(&event)?;
    }
    Ok(())
}

async fn refusal_story(scene: &Scene, teller: Teller, reply: &str) -> Result<(), Failure> {
    let reference = reference(reply);
    if reference.is_empty() {
        return teller.line(&format!(
            "  {}: {reply}",
            teller.language.pick("not refused", "non refusé")
        ));
    }
    for event in await_events(&scene.server, "ref", reference, |events| !events.is_empty()).await? {
        teller.event(&event)?;
    }
    let explained = CATALOGUE
        .iter()
        .find(|entry| reply.contains(&format!("({} ", entry.token())));
    if let Some(entry) = explained {
        let language = teller.language;
        teller.line(&format!(
            "  {} {}",
            language.pick("Cause:", "Cause\u{202f}:"),
            language.pick(entry.cause_en, entry.cause_fr)
        ))?;
        teller.line(&format!(
            "  {} {}",
            language.pick("What to do:", "Que faire\u{202f}:"),
            language.pick(entry.fix_en, entry.fix_fr)
        ))?;
    }
    if teller.stays {
        let more = teller
            .language
            .pick("The same later:", "Plus tard\u{202f}:");
        teller.line(&format!("  {more} {} why {reference}", program(scene)))?;
    }
    Ok(())
}

/// This program, as it was called, on the demo's data.
fn program(scene: &Scene) -> String {
    let called = std::env::args().next();
    let called = called.unwrap_or_else(|| "relais".to_owned());
    format!("{called} --data-dir {}", scene.folder().display())
}

/// The reply that the notice about a message would have got: its accepted event names it.
async fn notice_of(scene: &Scene, reply: &str) -> Result<String, Failure> {
    let about = format!("notice about {}", queue_id(reply));
    let is_it = |event: &Event| {
        event.kind == EventKind::MessageAccepted && event.detail.as_deref() == Some(about.as_str())
    };
    let complete = |events: &[Event]| events.iter().any(is_it);
    let events = await_events(&scene.server, "event", "message.accepted", complete).await?;
    let id = events
        .iter()
        .find(|event| is_it(event))
        .and_then(|event| event.queue_id);
    Ok(id
        .map(|id| format!("250 2.0.0 Queued as {id}"))
        .unwrap_or_default())
}

/// Events that fit a token, oldest first, as soon as they are complete or the time is up.
async fn await_events(
    server: &Server,
    field: &str,
    value: &str,
    complete: impl Fn(&[Event]) -> bool,
) -> Result<Vec<Event>, Failure> {
    let term = TraceTerm::new(field, value).map_err(|error| Failure::Failed(error.to_string()))?;
    let query = TraceQuery {
        terms: vec![term],
        ..TraceQuery::default()
    };
    let until = server.clock.moment() + STORY_TIME_MAX;
    loop {
        let rows = server.store.trace(&query).await;
        let rows = rows.map_err(|error| Failure::Failed(error.to_string()))?;
        let events: Vec<Event> = rows
            .iter()
            .rev()
            .filter_map(|row| Event::from_json(&row.json).ok())
            .collect();
        if complete(&events) || server.clock.moment() >= until {
            return Ok(events);
        }
        server.clock.sleep(LOOK_INTERVAL).await;
    }
}

/// What was sent, and the replies.
struct Sent {
    scan: Vec<u8>,
    invoice: Vec<u8>,
    sent: String,
    refused: String,
}

/// Compares what was sent with what arrived, octet by octet.
fn judge(teller: Teller, mailboxes: &Mailboxes, sent: &Sent) -> Result<bool, Failure> {
    let arrived = mailboxes.deliveries();
    let to_klara: Vec<_> = arrived.iter().filter(|one| one.to == [KLARA]).collect();
    let scan = to_klara.iter().filter(|one| {
        one.from == "scan@contoso.test" && letters::body(&one.content) == letters::body(&sent.scan)
    });
    // Nothing was missing in it: only trace fields stand on top of the very same octets.
    let invoice = to_klara
        .iter()
        .filter(|one| one.from == "erp@contoso.test" && one.content.ends_with(&sent.invoice));
    let notice = arrived.iter().filter(|one| {
        let text = String::from_utf8_lossy(&one.content);
        one.from.is_empty()
            && one.to == [OWNER]
            && text.contains(NOBODY)
            && text.contains("message/delivery-status")
            && text.contains("No such mailbox here")
    });
    let results = [
        teller.check(
            scan.count() == 1,
            "the scan arrived once, its body the same to the octet",
            "la numérisation est arrivée une fois, corps identique à l’octet près",
        )?,
        teller.check(
            invoice.count() == 1,
            "the invoice arrived once, all of it the same to the octet",
            "la facture est arrivée une fois, identique à l’octet près",
        )?,
        teller.check(
            notice.count() == 1 && !queue_id(&sent.sent).is_empty(),
            "the notice about the unknown recipient reached a person",
            "l’avis sur le destinataire inconnu est parvenu à une personne",
        )?,
        teller.check(
            sent.refused.starts_with("550 5.7.1 ") && sent.refused.contains("(SRC-UNKNOWN "),
            "the stranger was refused, and told why",
            "l’inconnu a été refusé, et sait pourquoi",
        )?,
        teller.check(
            arrived.len() == 3,
            "nothing else was delivered",
            "rien d’autre n’a été remis",
        )?,
    ];
    Ok(results.iter().all(|well| *well))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_id_and_reference_are_found_in_replies() {
        assert_eq!(
            queue_id("250 2.0.0 Queued as 0123456789ABC"),
            "0123456789ABC"
        );
        assert_eq!(queue_id("451 4.3.0 Local error"), "");
        assert_eq!(
            reference("550 5.7.1 Not registered for relay: 127.0.0.66 (SRC-UNKNOWN 7F3K2)"),
            "7F3K2"
        );
        assert_eq!(reference("250 2.1.5 ok"), "");
    }
}
