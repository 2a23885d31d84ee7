//! The fourth step: how mail leaves.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use super::{Shell, Step, answer};
use crate::lang::Lang;
use crate::phrasebook::told_part;
use crate::plain::clean;
use crate::web::ask::{Centre, Refused, list, text};
use crate::web::door::{Change, Reader, Visit};
use crate::web::page::{self, Frame};
use crate::web::route_words;
use crate::web::trace::Status;

#[derive(Template)]
#[template(path = "setup/leave.html")]
struct Leave {
    frame: Frame,
    steps: Vec<Step>,
    mistake: String,
    ways: Vec<Way>,
    /// Typed before, or proposed for the first way.
    smart_host: String,
    user: String,
    /// The connector that was made, and where it leads.
    connector: String,
    hosts: String,
    walked: Vec<Line>,
    transcript: Vec<String>,
}

/// One way of the list.
struct Way {
    name: String,
    title: String,
    hindrance: String,
    smart_host: String,
    is_chosen: bool,
    is_recommended: bool,
    is_elsewhere: bool,
}

/// One step of the walk to a smart host.
struct Line {
    host: String,
    step: String,
    status: Status,
    words: String,
}

pub(super) async fn show(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    answer(&visit, compose(&centre, &visit, "", &Value::Null).await, "")
}

async fn compose(
    centre: &Centre,
    visit: &Visit,
    mistake: &str,
    walked: &Value,
) -> Result<Leave, Refused> {
    let lang = visit.lang;
    let shell = Shell::new(centre, visit, ("leave", "setup-leave"), mistake).await?;
    let known = centre.get(visit.caller(), "/first-steps/ways", &[]).await?;
    let chosen = text(&shell.state, "way");
    let (title, because) = lang
        .0
        .pick(("title", "because"), ("title_fr", "because_fr"));
    let ways = list(&known, "ways").iter().map(|one| Way {
        name: text(one, "name").to_owned(),
        title: text(one, title).to_owned(),
        hindrance: text(one, because).to_owned(),
        smart_host: text(one, "smart_host").to_owned(),
        is_chosen: text(one, "name") == chosen,
        is_recommended: one["recommended"] == true,
        is_elsewhere: one["elsewhere"] == true,
    });
    let connector = text(&shell.state, "connector");
    let made = hosts_of(centre, visit, connector).await?;
    let hosts = list(walked, "hosts");
    let lines = hosts.iter().flat_map(|host| {
        let steps = list(host, "steps").iter();
        steps.map(move |step| line(lang, text(host, "host"), step))
    });
    let said = hosts.iter().flat_map(|host| list(host, "transcript"));
    let said = said.filter_map(Value::as_str);
    Ok(Leave {
        ways: ways.collect(),
        smart_host: String::new(),
        user: String::new(),
        connector: connector.to_owned(),
        hosts: made,
        walked: lines.collect(),
        transcript: said.map(|line| clean(line).into_owned()).collect(),
        frame: shell.frame,
        steps: shell.steps,
        mistake: shell.mistake,
    })
}

/// Where the connector leads that the step made before.
async fn hosts_of(centre: &Centre, visit: &Visit, name: &str) -> Result<String, Refused> {
    if name.is_empty() {
        return Ok(String::new());
    }
    let path = "/connectors/outbound";
    let known = centre.get(visit.caller(), path, &[]).await?;
    let mut connectors = list(&known, "connectors").iter();
    let found = connectors.find(|one| text(one, "name") == name);
    let hosts = found
        .map(|one| list(one, "smart_hosts"))
        .unwrap_or_default();
    let hosts: Vec<_> = hosts.iter().filter_map(Value::as_str).collect();
    Ok(hosts.join(", "))
}

fn line(lang: Lang, host: &str, step: &Value) -> Line {
    let (tone, icon, key) = if step["ok"] == true {
        ("good", "✓", "check-ok")
    } else {
        ("bad", "✕", "check-wrong")
    };
    let code = lang.code();
    let more = ["cause", "fix"].map(|key| text(&step[key], code));
    let detail = told_part(lang.0, text(step, "detail"));
    let words = [&*detail, more[0], more[1]].join(" ");
    Line {
        host: host.to_owned(),
        step: route_words::step(lang, text(step, "step")),
        status: Status {
            tone,
            icon,
            word: lang.t(key),
        },
        words: clean(words.trim()).into_owned(),
    }
}

pub(super) async fn save(State(centre): State<Centre>, Change { visit, form }: Change) -> Response {
    let body = json!({
        "way": form.get("way"),
        "smart_host": form.get("smart_host"),
        "user": form.get("user"),
        "password": form.raw("password"),
        "language": visit.lang.code(),
    });
    match centre
        .post(visit.caller(), "/first-steps/ways", &body)
        .await
    {
        Ok(_) if form.get("way") == "direct" => page::go("/setup/senders"),
        Ok(_) => page::go("/setup/leave"),
        Err(refused) => {
            let mut page = compose(&centre, &visit, &refused.detail, &Value::Null).await;
            if let Ok(page) = &mut page {
                form.get("smart_host").clone_into(&mut page.smart_host);
                form.get("user").clone_into(&mut page.user);
                for way in &mut page.ways {
                    way.is_chosen = way.name == form.get("way");
                }
            }
            answer(&visit, page, &refused.detail)
        }
    }
}

/// Walks to the smart host now, as far as RCPT: nothing is delivered.
pub(super) async fn test(State(centre): State<Centre>, Change { visit, .. }: Change) -> Response {
    let walked = async {
        let known = super::state(&centre, &visit).await?;
        let organisation = &known["organisation"];
        let to = match text(organisation, "postmaster") {
            "" => format!("postmaster@{}", text(&known["domain"], "name")),
            postmaster => postmaster.to_owned(),
        };
        let body = json!({
            "organisation": organisation["name"],
            "name": known["connector"],
            "to": to,
        });
        centre
            .post(visit.caller(), "/connectors/outbound/test", &body)
            .await
    };
    let page = match walked.await {
        Ok(walked) => compose(&centre, &visit, "", &walked).await,
        Err(refused) => Err(refused),
    };
    answer(&visit, page, "")
}
