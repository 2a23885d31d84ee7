//! What a device and we said, for a person who stands beside it: line by line, how it ended, why,
//! and the one change that would help. Made from what a room has kept.
//!
//! Not here: hearing (`rooms`), making the change (`listening`).

use std::collections::HashMap;
use std::net::IpAddr;

use serde_json::Value;

use relais_policy::remedy::{Refused, Remedy, remedies};
use relais_policy::settings::{OwnedConnector, Settings};
use relais_smtp::address::Mailbox;
use relais_smtp::time::Timestamp;
use relais_store::trace::{Event, EventKind};

use super::ask::{segment, text};
use super::old_tls::OldDoor;
use crate::lang::Lang;
use crate::plain::{clean, size, taille};
use crate::words::{advice, sentence, token};

/// How a reply to accepted content begins.
const QUEUED: &str = "250 2.0.0 Queued as ";

/// All that a page shows.
pub(super) struct Conversation {
    pub(super) lines: Vec<Line>,
    pub(super) outcome: Option<Outcome>,
}

/// One line.
pub(super) struct Line {
    /// `client`, `server`, `note`.
    pub(super) class: &'static str,
    pub(super) text: String,
}

/// How the newest session ended.
pub(super) struct Outcome {
    pub(super) is_good: bool,
    pub(super) words: String,
    pub(super) reply: String,
    pub(super) cause: String,
    pub(super) fix: String,
    /// Where the message, or the refusal, is told.
    pub(super) story: String,
    /// What became of the message since.
    pub(super) fates: Vec<String>,
    /// The device, where it knows old TLS only, or was turned away by the listener for it.
    pub(super) old_client: Option<IpAddr>,
    pub(super) offers: Vec<Offer>,
}

/// A change that would help, as a form.
pub(super) struct Offer {
    pub(super) words: String,
    pub(super) fields: Vec<(&'static str, String)>,
}

/// The settings, the connector, and the listener for old TLS if it can be offered.
pub(super) type With<'a> = (&'a Settings, &'a OwnedConnector<'a>, Option<&'a OldDoor>);

/// Who reads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reader {
    /// Of the admin centre: sees strangers, who may be the device, and may change things.
    Person,
    /// Whoever has the card: of this connector's devices only, and of this one of them where the
    /// card is one device's.
    Anybody(Option<IpAddr>),
}

/// What is known of one session.
#[derive(Default)]
struct Told {
    from: String,
    to: String,
    /// The last reply that says how it went.
    result: String,
    /// When it was said.
    at: Option<Timestamp>,
}

/// From what a room has kept.
pub(super) fn compose(
    lang: Lang,
    with: With<'_>,
    (lines, fates): &(Vec<Value>, Vec<Event>),
    reader: Reader,
) -> Conversation {
    let mut sessions: HashMap<u64, Told> = HashMap::new();
    let mut shown = Vec::new();
    let mut last = None;
    for line in lines {
        let said = text(line, "said");
        if !may_see(reader, line) {
            continue;
        }
        let told = sessions
            .entry(line["session"].as_u64().unwrap_or_default())
            .or_default();
        let words = text(line, "line");
        match said {
            "client" => told.hear(words),
            "server" | "note" if !is_result(words) => {}
            "server" | "stranger" | "note" => {
                words.clone_into(&mut told.result);
                told.at = Timestamp::parse_rfc3339(text(line, "time"));
            }
            _ => {}
        }
        shown.extend(shown_line(lang, line));
        let is_said = matches!(said, "server" | "stranger" | "note") && !told.result.is_empty();
        if is_said {
            let client: Option<IpAddr> = text(line, "client").parse().ok();
            last = client.map(|client| (line["session"].as_u64().unwrap_or_default(), client));
        }
    }
    let outcome = last.and_then(|(session, client)| {
        let told = sessions.get(&session)?;
        Some(outcome(lang, with, told, client, fates))
    });
    Conversation {
        lines: shown,
        outcome,
    }
}

/// Whether this reader is shown this line.
fn may_see(reader: Reader, line: &Value) -> bool {
    let Reader::Anybody(only) = reader else {
        return true;
    };
    let client = text(line, "client").parse().ok();
    text(line, "said") != "stranger" && (only.is_none() || only == client)
}

impl Told {
    fn hear(&mut self, line: &str) {
        for (verb, place) in [("MAIL FROM:", &mut self.from), ("RCPT TO:", &mut self.to)] {
            let Some(start) = line.get(..verb.len()) else {
                continue;
            };
            if start.eq_ignore_ascii_case(verb) {
                let path = line[verb.len()..].trim_start();
                let path = path.trim_start_matches('<');
                let end = path.find(['>', ' ']).unwrap_or(path.len());
                path[..end].clone_into(place);
            }
        }
    }
}

/// Whether a handshake failed because the device knows old TLS only.
fn is_old(reply: &str) -> bool {
    token(reply) == Some("TLS-OLD")
        && ["TLS 1.0 at most", "TLS 1.1 at most"]
            .iter()
            .any(|one| reply.contains(one))
}

/// A message accepted, or anything refused: unknown commands and the like are no result.
fn is_result(reply: &str) -> bool {
    let is_refused = reply.starts_with(['4', '5']) && token(reply).is_some_and(|it| it != "SYNTAX");
    reply.starts_with(QUEUED) || is_refused
}

fn shown_line(lang: Lang, line: &Value) -> Option<Line> {
    let words = clean(text(line, "line")).into_owned();
    let client = clean(text(line, "client")).into_owned();
    let (class, text) = match text(line, "said") {
        "began" => ("note", lang.with("heard-began", &client)),
        "client" => ("client", words),
        "server" => ("server", words),
        "note" => ("note", words),
        "ended" => ("note", lang.with("heard-ended", &client)),
        "stranger" => (
            "note",
            lang.fill("heard-stranger", &[("client", &client), ("reply", &words)]),
        ),
        _ => {
            let missed = line["missed"].as_u64()?;
            ("note", lang.n("heard-missed", missed))
        }
    };
    Some(Line { class, text })
}

fn outcome(
    lang: Lang,
    (settings, owned, door): With<'_>,
    told: &Told,
    client: IpAddr,
    fates: &[Event],
) -> Outcome {
    let shown = client.to_string();
    if let Some(id) = told.result.strip_prefix(QUEUED) {
        let id = id.trim();
        let of_it = fates
            .iter()
            .filter(|event| event.queue_id.is_some_and(|one| one.to_string() == id));
        let delivered = of_it
            .clone()
            .find_map(|event| delivered(lang, &shown, told, event));
        return Outcome {
            is_good: true,
            words: delivered.unwrap_or_else(|| lang.with("heard-accepted", &shown)),
            reply: clean(&told.result).into_owned(),
            cause: String::new(),
            fix: String::new(),
            story: format!("/trace/{}", segment(id)),
            old_client: None,
            fates: of_it.map(|event| sentence(event, lang.0)).collect(),
            offers: Vec::new(),
        };
    }
    let (cause, fix) = advice(&told.result, lang.0).unwrap_or_default();
    let reference = crate::words::reference(&told.result).unwrap_or_default();
    let (from, to) = (
        Mailbox::parse(&told.from).ok(),
        Mailbox::parse(&told.to).ok(),
    );
    let token = token(&told.result).unwrap_or_default();
    let needs_old = is_old(&told.result) || matches!(token, "LISTENER-SRC" | "LISTENER-DAY");
    let door = door.filter(|door| needs_old && !door.admits(settings, client));
    let refused = Refused {
        token,
        from: from.as_ref(),
        to: to.as_ref(),
        client,
        old_tls: door.map(|door| &*door.review),
    };
    let all = remedies(settings, owned, &refused);
    let offers = all.iter().map(|remedy| Offer {
        words: offered(lang, remedy),
        fields: vec![
            ("remedy", remedy.name().to_owned()),
            ("value", remedy.value()),
            ("token", token.to_owned()),
            ("from", told.from.clone()),
            ("to", told.to.clone()),
            ("client", shown.clone()),
        ],
    });
    Outcome {
        is_good: false,
        words: lang.with("heard-refused", &shown),
        reply: clean(&told.result).into_owned(),
        cause: cause.to_owned(),
        fix: fix.to_owned(),
        story: format!("/trace/{}", segment(reference)),
        old_client: needs_old.then_some(client),
        fates: Vec::new(),
        offers: offers.collect(),
    }
}

/// `Received from 10.1.2.9, 1.5 MB, delivered to mx.example.org in 2.1 s.`
fn delivered(lang: Lang, client: &str, told: &Told, event: &Event) -> Option<String> {
    if event.kind != EventKind::RecipientDelivered {
        return None;
    }
    let hop = event.next_hop.as_deref()?;
    let host = hop.split(['[', ':']).next().filter(|host| !host.is_empty());
    let tenths = event.time.since(told.at?).as_millis() / 100;
    let comma = lang.0.pick(".", ",");
    let seconds = format!("{}{comma}{}", tenths / 10, tenths % 10);
    let octets: fn(u64) -> String = lang.0.pick(size, taille);
    let values = [
        ("client", client),
        ("size", &octets(event.size?)),
        ("host", &clean(host.unwrap_or(hop))),
        ("seconds", &seconds),
    ];
    Some(lang.fill("heard-delivered", &values))
}

fn offered(lang: Lang, remedy: &Remedy) -> String {
    match remedy {
        Remedy::Enable => lang.t("remedy-enable"),
        Remedy::TestRecipient(to) => lang.with("remedy-test-recipient", to),
        Remedy::Tolerant => lang.t("remedy-tolerant"),
        Remedy::OfferTls => lang.t("remedy-offer-tls"),
        Remedy::ClearTextAuth => lang.t("remedy-cleartext-auth"),
        Remedy::SenderDomain(domain) => lang.with("remedy-sender-domain", domain),
        Remedy::RecipientDomain(domain) => lang.with("remedy-recipient-domain", domain),
        Remedy::RepairFrom => lang.t("remedy-repair-from"),
        Remedy::Address(address) => lang.with("remedy-address", &address.to_string()),
        Remedy::OldTls(day) => lang.with("remedy-old-tls", day),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_are_read_as_devices_write_them() {
        for (line, from) in [
            ("MAIL FROM:<scan@a.test>", "scan@a.test"),
            ("mail from: <scan@a.test> SIZE=10", "scan@a.test"),
            ("MAIL FROM:scan@a.test", "scan@a.test"),
            ("MAIL FROM:<>", ""),
            ("NOOP", ""),
            ("é", ""),
        ] {
            let mut told = Told::default();
            told.hear(line);
            assert_eq!(told.from, from, "{line}");
        }
    }

    #[test]
    fn a_delivered_scan_is_told_with_its_size_where_it_went_and_how_long_it_took() {
        let said = Timestamp::from_millis(1_795_514_400_000);
        let told = Told {
            at: Some(said),
            ..Told::default()
        };
        let after = |seconds| said.after(std::time::Duration::from_millis(seconds));
        let mut event = Event::new(after(2_140), EventKind::RecipientDelivered);
        event.next_hop = Some("outlook.example[192.0.2.1]:25".into());
        event.size = Some(1_500_000);
        for (language, words) in [
            (
                "en",
                "Received from 10.1.2.9, 1.5 MB, delivered to outlook.example in 2.1 s.",
            ),
            (
                "fr",
                "Reçu de 10.1.2.9, 1,5\u{202f}Mo, remis à outlook.example en 2,1\u{202f}s.",
            ),
        ] {
            let lang = Lang::of(Some(language), None);
            let told = delivered(lang, "10.1.2.9", &told, &event);
            assert_eq!(told.as_deref(), Some(words));
        }
        let deferred = Event::new(after(1), EventKind::RecipientDeferred);
        let lang = Lang::of(Some("en"), None);
        assert_eq!(delivered(lang, "10.1.2.9", &told, &deferred), None);
    }

    #[test]
    fn strangers_are_shown_to_people_only() {
        let document = "[[organisation]]\nname = \"contoso\"\n\
                        [[organisation.inbound_connector]]\nname = \"Printers\"\n\
                        sender_ip_addresses = [\"10.1.2.0/24\"]\n";
        let document = relais_policy::document::Document::from_toml(document).expect("valid");
        let mode = relais_policy::settings::Mode::Lan;
        let settings = Settings::build_stored(mode, 1, document).expect("valid");
        let owned = settings
            .inbound_connector("contoso", "Printers")
            .expect("it");
        let refusal = "550 5.7.1 Client not registered: 10.1.3.7 (SRC-UNKNOWN 7F3K2)";
        let line =
            json!({ "session": 1, "client": "10.1.3.7", "said": "stranger", "line": refusal });
        let kept = (vec![line], Vec::new());
        let lang = Lang::of(Some("en"), None);
        let seen = |reader| compose(lang, (&settings, &owned, None), &kept, reader);
        let person = seen(Reader::Person).outcome.expect("told");
        assert_eq!(person.offers[0].fields[0].1, "address");
        assert_eq!(person.offers[0].fields[1].1, "10.1.3.7");
        let anybody = seen(Reader::Anybody(None));
        assert!(anybody.outcome.is_none() && anybody.lines.is_empty());
    }

    #[test]
    fn the_card_of_one_device_shows_nothing_of_the_others() {
        let line = |client: &str| {
            let helo = format!("EHLO of-{client}");
            json!({ "session": 1, "client": client, "said": "client", "line": helo })
        };
        let own = "10.1.2.9".parse().ok();
        for (client, of_all, of_one) in [("10.1.2.9", true, true), ("10.1.2.10", true, false)] {
            assert_eq!(may_see(Reader::Anybody(None), &line(client)), of_all);
            assert_eq!(may_see(Reader::Anybody(own), &line(client)), of_one);
            assert!(may_see(Reader::Person, &line(client)));
        }
        let missed = json!({ "said": "missed", "count": 3 });
        assert!(!may_see(Reader::Anybody(own), &missed));
    }
}
