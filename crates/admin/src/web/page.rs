//! The layout: navigation, search, language, and how pages are sent.

use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use super::ask::Refused;
use super::door::Visit;
use super::marked::marked;
use crate::lang::Lang;
use crate::permission::{Action, Rights};
use crate::phrasebook::told;
use crate::zone::Zone;

/// Section, address, key of its name, and what one must be allowed to do to see it.
type Section = (&'static str, &'static str, &'static str, Action);

/// Pages of the navigation.
const SECTIONS: &[Section] = &[
    ("home", "/", "nav-home", Action::SeeState),
    ("trace", "/trace", "nav-trace", Action::ReadMail),
    ("queue", "/queue", "nav-queue", Action::ReadMail),
    ("attempts", "/attempts", "nav-attempts", Action::ReadMail),
    ("reports", "/reports", "nav-reports", Action::ReadMail),
    (
        "inbound",
        "/connectors/inbound",
        "nav-inbound",
        Action::ReadCards,
    ),
    (
        "outbound",
        "/connectors/outbound",
        "nav-outbound",
        Action::ReadSettings,
    ),
    ("domains", "/domains", "nav-domains", Action::ReadSettings),
    ("devices", "/devices", "nav-devices", Action::ReadMail),
    ("limits", "/limits", "nav-limits", Action::ReadSettings),
    (
        "credentials",
        "/credentials",
        "nav-credentials",
        Action::ReadSettings,
    ),
    (
        "directory",
        "/directory",
        "nav-directory",
        Action::ReadSettings,
    ),
    (
        "licences",
        "/licences",
        "nav-licences",
        Action::ReadSettings,
    ),
    (
        "restricted",
        "/restricted",
        "nav-restricted",
        Action::ReadMail,
    ),
    (
        "triggers",
        "/triggers",
        "nav-triggers",
        Action::ReadSettings,
    ),
    (
        "suppression",
        "/suppression",
        "nav-suppression",
        Action::ReadMail,
    ),
    ("health", "/health", "nav-health", Action::SeeState),
    ("alerts", "/alerts", "nav-alerts", Action::SeeState),
    (
        "webhooks",
        "/webhooks",
        "nav-webhooks",
        Action::ReadSettings,
    ),
    ("api-keys", "/api-keys", "nav-api-keys", Action::ReadPeople),
    ("people", "/people", "nav-people", Action::ReadPeople),
    ("sso", "/sso", "nav-sso", Action::ReadPeople),
    (
        "organisations",
        "/organisations",
        "nav-organisations",
        Action::SeeState,
    ),
    (
        "settings",
        "/settings",
        "nav-settings",
        Action::ReadSettings,
    ),
    (
        "retention",
        "/settings/retention",
        "nav-retention",
        Action::ReadSettings,
    ),
    (
        "settings-file",
        "/settings/file",
        "nav-settings-file",
        Action::ChangeSettings,
    ),
    ("audit", "/audit", "nav-audit", Action::ReadAudit),
];

/// Where a group of sections begins, with the key of its name.
const GROUPS: [(&str, &str); 3] = [
    ("home", "nav-group-mail"),
    ("inbound", "nav-group-who"),
    ("health", "nav-group-house"),
];

/// Sections that tell of the machine: who sees one organisation has them not.
const OF_INSTALLATION: [&str; 5] = ["alerts", "health", "webhooks", "api-keys", "sso"];
/// The section that makes sense only where there may be several organisations.
const OF_HOSTED: &str = "organisations";

fn is_shown(rights: &Rights, (section, .., action): &Section) -> bool {
    let is_in_reach = rights.organisation().is_none() || !OF_INSTALLATION.contains(section);
    rights.may(*action) && is_in_reach
}

/// Where whoever may not see Home begins.
pub(super) fn first_page(visit: &Visit) -> &'static str {
    let mut sections = SECTIONS.iter();
    let found = sections.find(|one| is_shown(&visit.caller().rights, one));
    found.map_or("/account", |(_, address, ..)| address)
}

/// What stands around a page.
pub(super) struct Frame {
    pub(super) lang: Lang,
    /// Empty: nobody is signed in.
    pub(super) person: String,
    pub(super) may_change: bool,
    pub(super) form_token: String,
    rights: Rights,
    is_hosted: bool,
    /// To come back to after a change of language.
    pub(super) path: String,
    pub(super) title: String,
    section: &'static str,
    /// "Show as command".
    pub(super) command: String,
    /// "Show as API call".
    pub(super) api: String,
    /// What was just done.
    pub(super) done: String,
}

/// Entries of the navigation that belong together.
pub(super) struct Group {
    pub(super) name: String,
    pub(super) links: Vec<Link>,
}

/// An entry of the navigation.
pub(super) struct Link {
    pub(super) address: &'static str,
    pub(super) name: String,
    pub(super) is_here: bool,
}

impl Frame {
    /// For a page of this section with this title.
    pub(super) fn new(visit: &Visit, section: &'static str, title: &str) -> Self {
        let session = visit.session.as_ref();
        Self {
            lang: visit.lang,
            person: visit.name().to_owned(),
            may_change: visit.may_change(),
            rights: visit.caller().rights.clone(),
            is_hosted: visit.is_hosted,
            form_token: session
                .map(|one| one.form_token.clone())
                .unwrap_or_default(),
            path: visit.path.clone(),
            title: title.to_owned(),
            section,
            command: String::new(),
            api: String::new(),
            done: String::new(),
        }
    }

    /// With the command that shows the same.
    pub(super) fn command(mut self, command: impl Into<String>) -> Self {
        self.command = command.into();
        self
    }

    /// With the call of the API that answers the same.
    pub(super) fn api(mut self, api: impl Into<String>) -> Self {
        self.api = api.into();
        self
    }

    /// With a sentence of what was done.
    pub(super) fn done(mut self, words: String) -> Self {
        self.done = words;
        self
    }

    /// The zone of the times on the page, for templates.
    pub(super) const fn zone(&self) -> &'static str {
        self.lang.1.name()
    }

    /// All zones, and which one it is.
    pub(super) fn zones(&self) -> Vec<(&'static str, bool)> {
        let one = |zone: Zone| (zone.name(), zone == self.lang.1);
        Zone::all().map(one).collect()
    }

    /// A text with times in it, ready for the page.
    pub(super) fn marked(&self, text: &str) -> String {
        marked(self.lang, text)
    }

    /// The text of a key, for templates.
    pub(super) fn t(&self, key: &str) -> String {
        self.lang.t(key)
    }

    /// The navigation.
    pub(super) fn groups(&self) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        for section @ (name, address, key, _) in SECTIONS {
            if let Some((_, key)) = GROUPS.iter().find(|(first, _)| first == name) {
                groups.push(Group {
                    name: self.lang.t(key),
                    links: Vec::new(),
                });
            }
            let is_here = *name == self.section;
            let is_apart = *name == OF_HOSTED && !self.is_hosted && !is_here;
            if let Some(group) = groups.last_mut()
                && is_shown(&self.rights, section)
                && !is_apart
            {
                group.links.push(Link {
                    address,
                    name: self.lang.t(key),
                    is_here,
                });
            }
        }
        groups.retain(|group| !group.links.is_empty());
        groups
    }
}

/// Sends a page.
pub(super) fn send(page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[derive(Template)]
#[template(path = "failed.html")]
struct Failed {
    frame: Frame,
    words: String,
}

/// A page that says why not.
pub(super) fn failed(visit: &Visit, status: StatusCode, words: &str) -> Response {
    let title = visit.lang.t("error-title");
    let page = Failed {
        frame: Frame::new(visit, "", &title),
        words: words.to_owned(),
    };
    (status, send(&page)).into_response()
}

/// The API's no, as a page.
pub(super) fn refused(visit: &Visit, refused: &Refused) -> Response {
    failed(visit, refused.status, &told(visit.lang.0, &refused.detail))
}

/// A redirect after a change: reloading does not repeat it.
pub(super) fn go(address: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, address)]).into_response()
}
