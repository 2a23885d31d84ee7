//! The queue in groups, by destination or by reason: how many, how old, when next, until when, and
//! what a person does about all of a group at once.

use axum::response::Response;
use serde_json::{Value, json};

use relais_smtp::time::Timestamp;

use super::{ACTS, FILTERS, acts, filled};
use crate::times;
use crate::web::ask::{Centre, Refused, address, list, quoted, text};
use crate::web::door::Visit;
use crate::web::files;
use crate::web::page::{self, Frame};
use crate::web::records::{self, Act, Cell, Input, Note, Records, Row, Sheet, Table, View};
use crate::web::story::done;

/// Columns of the file.
const COLUMNS: [&str; 8] = [
    "group",
    "messages",
    "recipients",
    "held",
    "oldest",
    "next_attempt",
    "expires_at",
    "last_reply",
];

/// By what.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum By {
    Destination,
    Reason,
}

impl By {
    const ALL: [Self; 2] = [Self::Destination, Self::Reason];

    pub(super) fn asked(visit: &Visit) -> Option<Self> {
        let asked = visit.query.get("by");
        Self::ALL.into_iter().find(|by| by.name() == asked)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Destination => "destination",
            Self::Reason => "reason",
        }
    }

    /// The keys of the way to look, and of what a group has in common.
    fn keys(self) -> (&'static str, &'static str) {
        match self {
            Self::Destination => ("queue-by-destination", "filter-destination"),
            Self::Reason => ("queue-by-reason", "queue-why"),
        }
    }
}

/// The ways to look at what these filters leave.
pub(super) fn views(visit: &Visit, filters: &[(&str, &str)]) -> Vec<View> {
    let here = By::asked(visit);
    let view = |key: &str, by: Option<By>| {
        let asked = [("by", by.map_or("", By::name))];
        View {
            name: visit.lang.t(key),
            address: address("/queue", &[&asked, filters].concat()),
            is_here: by == here,
        }
    };
    let groups = By::ALL.map(|by| view(by.keys().0, Some(by)));
    let messages = view("queue-messages", None);
    std::iter::once(messages).chain(groups).collect()
}

async fn ask(centre: &Centre, visit: &Visit, by: By) -> Result<Value, Refused> {
    let asked = [("by", by.name())];
    let asked = [&asked[..], &filled(&visit.query)].concat();
    centre.get(visit.caller(), "/queue/groups", &asked).await
}

pub(super) async fn show(centre: &Centre, visit: &Visit, by: By) -> Response {
    match ask(centre, visit, by).await {
        Ok(answer) => page::send(&compose(centre, visit, by, &answer)),
        Err(refused) => page::refused(visit, &refused),
    }
}

fn compose(centre: &Centre, visit: &Visit, by: By, answer: &Value) -> Records {
    let (lang, filters) = (visit.lang, filled(&visit.query));
    let asked = [&[("by", by.name())][..], &filters].concat();
    let command = asked
        .iter()
        .map(|(name, value)| format!(" --{name} {}", quoted(value)));
    let command: String = std::iter::once("relais queue groups".to_owned())
        .chain(command)
        .collect();
    let frame = Frame::new(visit, "queue", &lang.t("nav-queue"))
        .command(command)
        .done(done(visit));
    let zoned = |key: &str| format!("{} ({})", lang.t(key), frame.zone());
    let now = centre.context.clock.now();
    let groups = list(answer, "groups").iter();
    let table = Table {
        headings: vec![
            lang.t(by.keys().1),
            lang.t("queue-messages"),
            zoned("queue-oldest"),
            zoned("column-next"),
            zoned("queue-expires"),
            lang.t("column-reply"),
        ],
        rows: groups.map(|group| row(visit, now, by, group)).collect(),
        empty: match filters.is_empty() {
            true => lang.t("queue-empty"),
            false => lang.t("queue-nothing-fits"),
        },
    };
    let read = answer["messages_read"].as_u64().unwrap_or(0);
    let partly = || Note::plain(lang.n("queue-partly-read", read));
    let sheet = Sheet::new("filter", "/queue", lang.t("filter-button")).hide("by", by.name());
    let inputs = [
        ("destination", "filter-destination"),
        ("sender", "filter-sender"),
        ("organisation", "filter-organisation"),
        ("older", "filter-older"),
    ];
    let sheet = inputs.into_iter().fold(sheet, |sheet, (name, key)| {
        sheet.input(Input::text(name, lang.t(key), visit.query.get(name)))
    });
    Records {
        notes: (answer["is_whole"] == false)
            .then(partly)
            .into_iter()
            .collect(),
        views: views(visit, &filters),
        filter: Some(sheet),
        files: records::files("/queue", &asked),
        ..Records::new(frame, table, address("GET /api/v1/queue/groups", &asked))
    }
}

/// What a group has in common, in words.
fn name(visit: &Visit, group: &Value) -> String {
    let selection = &group["selection"];
    let key = match (text(selection, "state"), text(selection, "reason")) {
        (_, reason) if !reason.is_empty() => return reason.to_owned(),
        ("queued", _) => "queue-never-tried",
        ("active", _) => "status-active",
        ("held", _) => "status-held",
        ("deferred", _) => "status-deferred",
        _ => return text(selection, "destination").to_owned(),
    };
    visit.lang.t(key)
}

fn row(visit: &Visit, now: Timestamp, by: By, group: &Value) -> Row {
    let lang = visit.lang;
    let name = name(visit, group);
    // What the page was filtered by goes on to count.
    let selection = selection(visit, group);
    let pairs: Vec<_> = selection
        .iter()
        .map(|(key, value)| (*key, value.as_str()))
        .collect();
    let count = |key: &str| group[key].as_u64().unwrap_or(0);
    let (held, recipients) = (count("held"), count("recipients"));
    let time = |key: &str| {
        let found = group[key].as_str();
        let relative = times::relative(lang, now, found);
        let absolute = found.map_or_else(String::new, |_| times::shown(lang, found));
        Cell::whole(&relative).line(&absolute)
    };
    let may = |act: &str| match act {
        "release" => held > 0,
        "hold" => held < recipients,
        "retry" => !group["next_attempt"].is_null(),
        _ => true,
    };
    let acts = acts(visit).into_iter();
    let acts = acts.filter(|(act, _)| visit.may_change() && may(act));
    let act = |(act, word): (&'static str, String)| {
        let one = Act::new("/queue/act", word, &name)
            .hide("act", act)
            .hide("scope", "all")
            .hide("by", by.name());
        let one = pairs
            .iter()
            .fold(one, |one, (key, value)| one.hide(key, value));
        if ACTS[3..].contains(&act) {
            one.danger()
        } else {
            one
        }
    };
    let messages = lang.number(count("messages"));
    let more = match recipients == count("messages") {
        true => String::new(),
        false => lang.n("queue-recipients", recipients),
    };
    Row {
        cells: vec![
            Cell::new(&name).leads_to(address("/queue", &pairs)),
            Cell::number(&messages).line(&more),
            time("oldest"),
            time("next_attempt"),
            time("expires_at"),
            Cell::new(text(group, "last_reply")),
        ],
        acts: acts.map(act).collect(),
    }
}

/// The filters of the page, and those that mean the group.
fn selection(visit: &Visit, group: &Value) -> Vec<(&'static str, String)> {
    let own = |name: &'static str| {
        let own = text(&group["selection"], name);
        let value = match own {
            "" => visit.query.get(name),
            own => own,
        };
        (!value.is_empty()).then(|| (name, value.to_owned()))
    };
    FILTERS.into_iter().filter_map(own).collect()
}

/// The same as a file.
pub(super) async fn file(centre: &Centre, visit: &Visit, by: By) -> Response {
    let answer = match ask(centre, visit, by).await {
        Ok(answer) => answer,
        Err(refused) => return page::refused(visit, &refused),
    };
    let line = |group: &Value| {
        let keys = ["destination", "reason", "state"];
        let name = keys.map(|key| text(&group["selection"], key));
        let name = name.into_iter().find(|name| !name.is_empty());
        let mut line = group.clone();
        line["group"] = json!(name);
        line
    };
    let lines: Vec<_> = list(&answer, "groups").iter().map(line).collect();
    files::of(visit, "queue-groups", &COLUMNS, &lines)
}
