//! The DKIM keys of a domain on its page: which there are and where they stand, what to publish,
//! and their change: made, changed for new ones, looked for, taken out of use.

use axum::extract::{Path, State};
use axum::response::Response;
use serde_json::{Value, json};

use relais_policy::dkim::OVERLAP;
use relais_smtp::time::Timestamp;

use crate::lang::Lang;
use crate::phrasebook::told_part;
use crate::plain::clean;
use crate::times;
use crate::web::ask::{Centre, Refused, address, list, quoted, segment, text};
use crate::web::door::{Change, Visit};
use crate::web::page::{self, Frame};
use crate::web::records::{Sheet, Sure};
use crate::web::switching::gone;
use crate::web::trace::Status;

/// What can be done, as the API calls it, with the keys of its button, of its question (empty: it
/// is done at once), and of what is said then.
const ACTS: [(&str, [&str; 3]); 4] = [
    ("generate", ["keys-generate", "", "keys-done-generate"]),
    (
        "rotate",
        ["keys-rotate", "keys-rotate-question", "keys-done-rotate"],
    ),
    ("activate", ["keys-look", "", "keys-done-look"]),
    (
        "retire",
        ["keys-retire", "keys-retire-question", "keys-done-retire"],
    ),
];
/// All keys of a domain.
pub(super) struct Keys {
    pub(super) keys: Vec<Key>,
    /// What can be done with all of them: act and button.
    pub(super) acts: Vec<(&'static str, String)>,
    pub(super) action: String,
    /// Of the last look.
    pub(super) looked: String,
}

/// One key.
pub(super) struct Key {
    pub(super) selector: String,
    pub(super) algorithm: String,
    pub(super) status: Status,
    /// What it means, and what to do.
    pub(super) words: String,
    pub(super) seen: String,
    /// It can be taken out of use.
    pub(super) can_retire: bool,
}

/// The sentence of what was just done.
pub(super) fn done(visit: &Visit) -> String {
    let asked = visit.query.get("keys");
    let found = ACTS.iter().find(|(act, _)| *act == asked);
    found.map_or_else(String::new, |(_, [.., said])| visit.lang.t(said))
}

/// None where the domain has none and wants none.
pub(super) async fn of(
    centre: &Centre,
    visit: &Visit,
    (name, organisation): (&str, &str),
) -> Result<Option<Keys>, Refused> {
    let asked = [("domain", name), ("organisation", organisation)];
    let answer = centre.get(visit.caller(), "/dkim", &asked).await?;
    let Some(found) = list(&answer, "domains").first() else {
        return Ok(None);
    };
    let (lang, rows) = (visit.lang, list(found, "keys"));
    let is_off = text(found, "standing") == "off";
    if is_off && rows.is_empty() {
        return Ok(None);
    }
    let has = |state: &str| rows.iter().any(|key| text(key, "state") == state);
    let signing = rows.iter().filter(|key| text(key, "state") == "active");
    let signing = signing.count();
    let is_offered = |act: &str| match act {
        "generate" => !has("active") && !has("waiting"),
        "rotate" => has("active") && !has("waiting"),
        "activate" => has("waiting") || has("active"),
        _ => false,
    };
    let may = visit.may_change() && !is_off;
    let acts = ACTS.iter().filter(|(act, _)| may && is_offered(act));
    let looked = found["checked_at"].as_str();
    Ok(Some(Keys {
        keys: rows
            .iter()
            .map(|one| key(lang, one, may && signing > 1))
            .collect(),
        acts: acts.map(|(act, [word, ..])| (*act, lang.t(word))).collect(),
        action: action(name),
        looked: looked.map_or_else(String::new, |time| times::full(lang, Some(time))),
    }))
}

fn action(name: &str) -> String {
    format!("/domains/{}/keys", segment(name))
}

fn key(lang: Lang, one: &Value, can_retire: bool) -> Key {
    let state = text(one, "state");
    let since = Timestamp::parse_rfc3339(text(one, "since")).unwrap_or_default();
    let missing = one["missing_since"].as_str();
    let (tone, icon, word, words) = match (state, missing) {
        ("active", Some(time)) => {
            let time = times::full(lang, Some(time));
            (
                "bad",
                "✕",
                "keys-missing",
                lang.with("keys-missing-words", &time),
            )
        }
        ("active", None) => {
            let time = times::zoned(lang, since);
            (
                "good",
                "✓",
                "keys-active",
                lang.with("keys-active-words", &time),
            )
        }
        ("retiring", _) => {
            let end = times::zoned(lang, since.after(OVERLAP));
            (
                "waiting",
                "◷",
                "keys-retiring",
                lang.with("keys-retiring-words", &end),
            )
        }
        ("retired", _) => ("waiting", "–", "keys-retired", lang.t("keys-retired-words")),
        _ => ("waiting", "…", "keys-waiting", lang.t("keys-waiting-words")),
    };
    Key {
        selector: text(one, "selector").to_owned(),
        algorithm: match text(one, "algorithm") {
            "rsa2048" => "RSA 2048".to_owned(),
            "ed25519" => "Ed25519".to_owned(),
            other => other.to_owned(),
        },
        status: Status {
            tone,
            icon,
            word: lang.t(word),
        },
        words,
        seen: clean(&told_part(lang.0, text(one, "seen"))).into_owned(),
        can_retire: can_retire && state == "active",
    }
}

/// Does it, after a question where something stops.
pub(super) async fn act(
    State(centre): State<Centre>,
    Path((name, act)): Path<(String, String)>,
    Change { visit, form }: Change,
) -> Response {
    let Some((act, [button, question, _])) = ACTS.iter().find(|(one, _)| *one == act) else {
        return page::refused(&visit, &gone(&visit));
    };
    let (organisation, selector) = (form.get("organisation"), form.get("selector"));
    let whole = format!("/domains/{}", segment(&name));
    let back = address(&whole, &[("organisation", organisation)]);
    if !question.is_empty() && form.get("confirmed").is_empty() {
        let lang = visit.lang;
        let command = match selector {
            "" => format!("relais dkim {act} {}", quoted(&name)),
            selector => format!("relais dkim {act} {} {}", quoted(&name), quoted(selector)),
        };
        let sheet = Sheet::new("sure", format!("{}/{act}", action(&name)), lang.t(button))
            .hide("confirmed", "1")
            .hide("organisation", organisation)
            .hide("selector", selector);
        return page::send(&Sure {
            frame: Frame::new(&visit, "domains", &name)
                .command(command)
                .api(format!("POST /api/v1/dkim/{}/{act}", segment(&name))),
            notes: Vec::new(),
            question: match selector {
                "" => lang.with(question, &name),
                selector => lang.with(question, &clean(selector)),
            },
            lines: Vec::new(),
            sheet: if *act == "retire" {
                sheet.danger()
            } else {
                sheet
            },
            back,
        });
    }
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let mut body = json!({ "organisation": given(organisation) });
    if let Some(selector) = given(selector) {
        body["selector"] = json!(selector);
    }
    let path = format!("/dkim/{}/{act}", segment(&name));
    match centre.post(visit.caller(), &path, &body).await {
        Ok(_) => page::go(&address(
            &whole,
            &[("organisation", organisation), ("keys", *act)],
        )),
        Err(refused) => page::refused(&visit, &refused),
    }
}
