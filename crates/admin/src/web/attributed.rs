//! By what a client was given its inbound connector, in words: the one that won, and why each other
//! one did not.

use serde_json::Value;

use super::ask::{list, segment, text};
use crate::lang::Lang;
use crate::plain::clean;

/// One connector that fits.
pub(super) struct Fitting {
    pub(super) name: String,
    pub(super) page: String,
    pub(super) has_won: bool,
    /// By what it fits.
    pub(super) by: String,
    /// What became of it.
    pub(super) fate: String,
}

/// All of them, and what is to be said beside.
#[derive(Default)]
pub(super) struct Attributed {
    pub(super) fitting: Vec<Fitting>,
    pub(super) notes: Vec<String>,
}

/// Of the answer to `why`.
pub(super) fn of(lang: Lang, told: &Value, has_organisations: bool) -> Attributed {
    let fitting: Vec<_> = list(told, "candidates")
        .iter()
        .map(|one| fitting(lang, one, has_organisations))
        .collect();
    let mut notes = Vec::new();
    if !fitting.is_empty() && told["settings_of_then"] != true {
        notes.push(lang.t("story-by-now"));
    }
    let recorded = clean(text(told, "inbound_connector")).into_owned();
    let won = list(told, "candidates")
        .iter()
        .find(|one| text(one, "fate") == "won");
    let is_other = won.is_some_and(|won| text(won, "inbound_connector") != recorded);
    if is_other && !recorded.is_empty() {
        notes.push(lang.with("story-by-other", &recorded));
    }
    Attributed { fitting, notes }
}

fn fitting(lang: Lang, one: &Value, has_organisations: bool) -> Fitting {
    let (owner, name) = (text(one, "organisation"), text(one, "inbound_connector"));
    let value = clean(text(one, "value"));
    let by = match text(one, "by") {
        "credential" => lang.with("fits-credential", &value),
        "certificate" => lang.with("fits-certificate", &value),
        "dns-name" => lang.with("fits-dns-name", &value),
        _ => lang.with("fits-network", &value),
    };
    let than = text(one, "than");
    let fate = match text(one, "fate") {
        "won" => lang.t("fate-won"),
        "lacks" => lang.with("fate-lacks", &factor(lang, than)),
        "wider" => lang.with("fate-wider", than),
        "draft" => lang.t("fate-draft"),
        "disabled" => lang.t("fate-disabled"),
        _ => lang.t("fate-later"),
    };
    Fitting {
        name: match has_organisations {
            true => format!("{owner} / {name}"),
            false => name.to_owned(),
        },
        page: format!("/connectors/inbound/{}/{}", segment(owner), segment(name)),
        has_won: text(one, "fate") == "won",
        by,
        fate,
    }
}

fn factor(lang: Lang, name: &str) -> String {
    match name {
        "address" => lang.t("factor-address"),
        "certificate" => lang.t("factor-certificate"),
        "credential" => lang.t("factor-credential"),
        "DNS name" => lang.t("factor-dns-name"),
        other => other.to_owned(),
    }
}
