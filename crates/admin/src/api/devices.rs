//! The inventory of devices: what the store counted of each, what people wrote about it, and a
//! guess at its maker by the name that it greets with.

use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use relais_policy::adopt::SELF_TEST_HELO;
use relais_store::shelf::{Shelf, ShelfAudit, ShelfChange};
use relais_store::trace::parse_since;
use relais_store::trace::tally::Device;

use crate::context::{AdminContext, Caller};
use crate::problem::{Input, Parameters, Problem};

/// How far back devices are looked for where nothing else is asked for.
const SINCE_DEFAULT: &str = "90d";
/// Devices that somebody wrote something about: a large organisation has some thousands.
const NOTES_MAX: usize = 20_000;
/// Characters of owner and place.
const WORDS_MAX: usize = 120;
/// Characters of a note.
const NOTE_MAX: usize = 1_000;
/// Tags of one device, and characters of a tag.
const TAGS_MAX: usize = 10;
const TAG_MAX: usize = 32;

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/devices", get(list))
        .route("/devices/set", post(set))
}

/// What a person wrote about a device.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
struct About {
    tags: Vec<String>,
    owner: String,
    place: String,
    note: String,
}

impl About {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Bounds, and no control characters.
    fn checked(mut self) -> Result<Self, Problem> {
        let words = [&mut self.owner, &mut self.place, &mut self.note];
        for (text, most) in words.into_iter().zip([WORDS_MAX, WORDS_MAX, NOTE_MAX]) {
            *text = text.trim().to_owned();
            if text.chars().count() > most || text.chars().any(is_odd) {
                let detail = format!("\"{text}\" is longer than {most} characters, or no text.");
                return Err(Problem::bad_request(detail));
            }
        }
        let tags = self.tags.iter().map(|tag| tag.trim().to_lowercase());
        self.tags = tags.filter(|tag| !tag.is_empty()).collect();
        self.tags.sort();
        self.tags.dedup();
        let is_long = |tag: &String| tag.chars().count() > TAG_MAX || tag.chars().any(is_odd);
        if self.tags.len() > TAGS_MAX || self.tags.iter().any(is_long) {
            let detail =
                format!("A device has at most {TAGS_MAX} tags of {TAG_MAX} characters each.");
            return Err(Problem::bad_request(detail));
        }
        Ok(self)
    }
}

/// No text of a person: a line may end within a note.
fn is_odd(one: char) -> bool {
    one.is_control() && !matches!(one, '\n' | '\r' | '\t')
}

/// A device is told apart by whose it is and its address.
fn key_of(organisation: &str, address: &str) -> String {
    format!("{organisation}/{address}")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    since: Option<String>,
    organisation: Option<String>,
}

async fn list(
    State(context): State<AdminContext>,
    Parameters(range): Parameters<Range>,
) -> Result<Json<Value>, Problem> {
    let now = context.clock.now();
    let since = range.since.as_deref().unwrap_or(SINCE_DEFAULT);
    let found = context.store.devices(parse_since(since, now)?).await?;
    let entries = context.store.shelf(Shelf::Device).await?;
    let about = entries.into_iter().filter_map(|entry| {
        let about: About = serde_json::from_str(&entry.value).ok()?;
        Some((entry.key, about))
    });
    let about: std::collections::HashMap<_, _> = about.collect();
    let asked = |device: &&Device| {
        let organisation = range.organisation.as_deref();
        organisation.is_none_or(|one| one == &*device.organisation)
    };
    // Our own test for open relaying is nobody's device.
    let is_device = |one: &&Device| one.accepted > 0 || one.helo.as_deref() != Some(SELF_TEST_HELO);
    let devices = found.iter().filter(asked).filter(is_device).map(|one| {
        let about = about.get(&key_of(&one.organisation, &one.address));
        device(one, &about.cloned().unwrap_or_default())
    });
    Ok(Json(json!({ "devices": devices.collect::<Vec<_>>() })))
}

fn device(device: &Device, about: &About) -> Value {
    json!({
        "address": &*device.address,
        "organisation": &*device.organisation,
        "inbound_connector": &*device.connector,
        "first_seen": device.first.to_rfc3339(),
        "last_seen": device.last.to_rfc3339(),
        "accepted": device.accepted,
        "refused": device.refused,
        "octets": device.octets,
        "helo": device.helo.as_deref(),
        "maker_guess": device.helo.as_deref().and_then(maker_by),
        "credential": device.credential.as_deref(),
        "certificate": device.certificate.as_deref(),
        "from": device.sender.as_deref(),
        "tls": device.tls.as_deref(),
        "tags": about.tags,
        "owner": about.owner,
        "place": about.place,
        "note": about.note,
    })
}

/// The beginning of names that devices of a maker give themselves, and how many hexadecimal digits
/// follow; none: anything.
const MAKERS: [(&str, usize, &str); 18] = [
    ("brn", 12, "Brother"),
    ("brw", 12, "Brother"),
    ("npi", 6, "HP"),
    ("hp", 6, "HP"),
    ("rnp", 12, "Ricoh"),
    ("et", 12, "Lexmark"),
    ("lxk", 0, "Lexmark"),
    ("epson", 6, "Epson"),
    ("xrx", 12, "Xerox"),
    ("xerox", 0, "Xerox"),
    ("kmbt", 6, "Konica Minolta"),
    ("bizhub", 0, "Konica Minolta"),
    ("km", 6, "Kyocera"),
    ("canon", 6, "Canon"),
    ("sharp", 0, "Sharp"),
    ("diskstation", 0, "Synology"),
    ("synology", 0, "Synology"),
    ("qnap", 0, "QNAP"),
];

/// Who may have made a device that greets so: a guess, and shown as one.
fn maker_by(helo: &str) -> Option<&'static str> {
    let name = helo.trim().to_ascii_lowercase();
    let label = name.split('.').next().unwrap_or_default();
    let fits = |(start, digits, _): &&(&str, usize, &str)| {
        let Some(rest) = label.strip_prefix(start) else {
            return false;
        };
        let rest = rest.trim_start_matches(['-', '_']);
        let is_hexadecimal = rest.bytes().all(|octet| octet.is_ascii_hexdigit());
        *digits == 0 || (rest.len() == *digits && is_hexadecimal)
    };
    let found = MAKERS.iter().find(fits);
    found.map(|(_, _, maker)| *maker)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Set {
    organisation: String,
    address: String,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    owner: String,
    #[serde(default)]
    place: String,
    #[serde(default)]
    note: String,
}

/// Writes about a device; nothing said: what was written goes.
async fn set(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(wanted): Input<Set>,
) -> Result<Json<Value>, Problem> {
    let Set {
        organisation,
        address,
        tags,
        owner,
        place,
        note,
    } = wanted;
    let about = About {
        tags,
        owner,
        place,
        note,
    };
    let about = about.checked()?;
    let now = context.clock.now();
    let known = context.store.devices(parse_since(SINCE_DEFAULT, now)?);
    let known = known.await?;
    let is_it = |one: &Device| *one.organisation == *organisation && *one.address == *address;
    let found = known.iter().find(|one| is_it(one));
    let found = found.ok_or_else(|| {
        let detail = format!("No device {address} of {organisation} was seen.");
        Problem::not_found(detail)
    })?;
    let key = key_of(&organisation, &address);
    let written = context.store.shelf(Shelf::Device).await?;
    if written.len() >= NOTES_MAX && !written.iter().any(|one| one.key == key) {
        let detail = format!("Something is written about {NOTES_MAX} devices already.");
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    let value = serde_json::to_string(&about)
        .map_err(|error| Problem::bad_request(format!("It cannot be written: {error}.")))?;
    let audit = ShelfAudit {
        actor: caller.actor.to_string(),
        via: caller.via,
        act: "device.described",
        detail: vec![format!(
            "organisation {organisation}, device {address}: {value}"
        )],
    };
    let change = ShelfChange::new(Shelf::Device, now).audited(audit);
    let change = match about.is_empty() {
        true => change.take(key),
        false => change.put(key, value),
    };
    context.store.change_shelf(change).await?;
    Ok(Json(device(found, &about)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_maker_is_guessed_by_the_name_that_its_devices_come_with() {
        for (helo, maker) in [
            ("BRN001BA9C0FFEE", Some("Brother")),
            ("npi12ab3c.office.test", Some("HP")),
            ("EPSON12AB34", Some("Epson")),
            ("KMBT9A0B1C", Some("Konica Minolta")),
            ("km-12ab34", Some("Kyocera")),
            ("DiskStation", Some("Synology")),
            ("hpux.contoso.test", None),
            ("kmiller-laptop", None),
            ("et-phone-home", None),
            ("[10.1.2.9]", None),
            ("", None),
        ] {
            assert_eq!(maker_by(helo), maker, "{helo}");
        }
    }

    #[test]
    fn what_is_written_about_a_device_has_bounds() {
        let about = |tags: &[&str], note: &str| About {
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            note: note.to_owned(),
            ..About::default()
        };
        let good = about(&[" Lyon ", "lyon", ""], "two\nlines").checked();
        assert_eq!(good.map(|one| one.tags).ok(), Some(vec!["lyon".to_owned()]));
        assert!(about(&[], &"x".repeat(NOTE_MAX + 1)).checked().is_err());
        assert!(about(&["\u{1b}[2J"], "").checked().is_err());
        let many: Vec<_> = (0..=TAGS_MAX).map(|one| one.to_string()).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert!(about(&many, "").checked().is_err());
    }
}
