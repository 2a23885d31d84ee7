//! The queue in groups, by destination or by reason: how many, how old, when next, until when, and
//! what a person does about all of a group at once.

use axum::response::Response;
use serde_json::{Value, json};

use relais_smtp::time::Timestamp;
use relais_store::grouping::By;

use super::{ACTS, FILTERS, acts, filled, suspended};
use crate::permission::Action;
use crate::phrasebook::told_detail;
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

/// Which of the ways to look at the queue is here.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Here {
    Messages,
    Groups(By),
    Suspended,
}

/// By what the page groups, if it does.
pub(super) fn asked(visit: &Visit) -> Option<By> {
    By::parse(visit.query.get("by"))
}

/// The keys of the way to look, and of what a group has in common.
fn keys(by: By) -> (&'static str, &'static str) {
    match by {
        By::Destination => ("queue-by-destination", "filter-destination"),
        By::Reason => ("queue-by-reason", "queue-why"),
    }
}

/// The ways to look at what these filters leave, and to what is suspended.
pub(super) fn views(
    visit: &Visit,
    filters: &[(&str, &str)],
    (here, suspended): (Here, u64),
) -> Vec<View> {
    let lang = visit.lang;
    let view = |name: String, way: Here| {
        let asked = match way {
            Here::Groups(by) => [("by", by.name())],
            Here::Messages | Here::Suspended => [("by", "")],
        };
        let address = match way {
            Here::Suspended => "/queue/suspended".to_owned(),
            _ => address("/queue", &[&asked, filters].concat()),
        };
        View {
            name,
            address,
            is_here: way == here,
        }
    };
    let messages = view(lang.t("queue-messages"), Here::Messages);
    let groups = By::ALL.map(|by| view(lang.t(keys(by).0), Here::Groups(by)));
    let suspended = view(lang.n("queue-suspended", suspended), Here::Suspended);
    let ways = std::iter::once(messages).chain(groups);
    ways.chain(std::iter::once(suspended)).collect()
}

async fn ask(centre: &Centre, visit: &Visit, by: By) -> Result<Value, Refused> {
    let asked = [("by", by.name())];
    let asked = [&asked[..], &filled(&visit.query)].concat();
    centre.get(visit.caller(), "/queue/groups", &asked).await
}

pub(super) async fn show(centre: &Centre, visit: &Visit, by: By) -> Response {
    let found = match ask(centre, visit, by).await {
        Ok(answer) => suspended::all(centre, visit).await.map(|all| (answer, all)),
        Err(refused) => Err(refused),
    };
    match found {
        Ok((answer, suspended)) => page::send(&compose(centre, visit, by, (&answer, &suspended))),
        Err(refused) => page::refused(visit, &refused),
    }
}

fn compose(
    centre: &Centre,
    visit: &Visit,
    by: By,
    (answer, suspended): (&Value, &[Value]),
) -> Records {
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
            lang.t(keys(by).1),
            lang.t("queue-messages"),
            zoned("queue-oldest"),
            zoned("column-next"),
            zoned("queue-expires"),
            lang.t("column-reply"),
        ],
        rows: groups
            .map(|group| row(visit, now, by, (group, suspended)))
            .collect(),
        empty: match filters.is_empty() {
            true => lang.t("queue-empty"),
            false => lang.t("queue-nothing-fits"),
        },
    };
    let count = u64::try_from(suspended.len()).unwrap_or(u64::MAX);
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
        views: views(visit, &filters, (Here::Groups(by), count)),
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

/// Stops all mail to the destination of a group, unless that is so already.
fn suspend(visit: &Visit, group: &Value, suspended: &[Value]) -> Result<Act, String> {
    let destination = text(&group["selection"], "destination");
    let is_stopped = |one: &&Value| {
        let covers = |key: &str, own: &str| one[key].as_str().is_none_or(|it| it == own);
        covers("destination", destination)
            && covers("organisation", visit.query.get("organisation"))
    };
    if suspended.iter().any(|one| is_stopped(&one)) {
        return Err(visit.lang.t("queue-is-suspended"));
    }
    let act = Act::new(
        suspended::PATH,
        visit.lang.t("suspended-suspend"),
        destination,
    );
    let act = act.hide("act", "suspend").hide("destination", destination);
    Ok(act.hide("organisation", visit.query.get("organisation")))
}

fn row(visit: &Visit, now: Timestamp, by: By, (group, suspended): (&Value, &[Value])) -> Row {
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
    let mut acts: Vec<_> = acts.map(act).collect();
    let mut first = Cell::new(&name).leads_to(address("/queue", &pairs));
    if by == By::Destination {
        match suspend(visit, group, suspended) {
            Ok(act) if visit.may(Action::ActOnMail) => acts.push(act),
            Ok(_) => {}
            Err(words) => first = first.line(&words),
        }
    }
    Row {
        cells: vec![
            first,
            Cell::number(&messages).line(&more),
            time("oldest"),
            time("next_attempt"),
            time("expires_at"),
            Cell::new(&told_detail(lang.0, text(group, "last_reply"))),
        ],
        acts,
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
