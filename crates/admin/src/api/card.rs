//! The device card of an inbound connector: `relais card`.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use relais_policy::document::Language;

use crate::card::{Asked, Maker, advice, card, maker, makers, pdf, text};
use crate::context::AdminContext;
use crate::lang::Lang;
use crate::problem::{Parameters, Problem};

pub(super) fn routes() -> Router<AdminContext> {
    Router::new().route("/connectors/inbound/card", get(show))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: String,
    /// May be left out where only one organisation has a connector of that name.
    organisation: Option<String>,
    maker: Option<String>,
    /// Of the card; else that of the organisation.
    language: Option<String>,
    /// `text` or `pdf`: printed so, beside its parts.
    format: Option<String>,
    server: Option<String>,
    ip: Option<String>,
    port: Option<String>,
    user: Option<String>,
    sender: Option<String>,
    site: Option<String>,
    contact: Option<String>,
}

impl Wanted {
    fn given(&self, field: &str) -> &str {
        let given = match field {
            "server" => &self.server,
            "ip" => &self.ip,
            "port" => &self.port,
            "user" => &self.user,
            "sender" => &self.sender,
            "site" => &self.site,
            "contact" => &self.contact,
            _ => &None,
        };
        given.as_deref().unwrap_or_default()
    }

    fn maker(&self) -> Result<Option<Maker>, Problem> {
        let Some(name) = self.maker.as_deref().filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        let known = || makers().into_iter().map(|one| one.name);
        maker(name).map(Some).ok_or_else(|| {
            Problem::bad_request(format!(
                "There is no card for \"{name}\": there are {}, and without a maker the general one.",
                known().collect::<Vec<_>>().join(", ")
            ))
        })
    }

    fn language(&self, of_organisation: Language) -> Result<Lang, Problem> {
        let code = match (self.language.as_deref(), of_organisation) {
            (Some(code @ ("en" | "fr")), _) => code,
            (Some(other), _) => {
                return Err(Problem::bad_request(format!(
                    "A card has the language \"en\" or \"fr\", not \"{other}\"."
                )));
            }
            (None, Language::English) => "en",
            (None, Language::French) => "fr",
        };
        Ok(Lang::of(Some(code), None))
    }
}

async fn show(
    State(context): State<AdminContext>,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Json<Value>, Problem> {
    let settings = context.store.settings();
    let named = (wanted.organisation.as_deref(), wanted.name.as_str());
    let owned = super::listen::connector(&settings, named)?;
    let maker = wanted.maker()?;
    let lang = wanted.language(owned.organisation.language)?;
    let asked = Asked {
        context: &context,
        settings: &settings,
        owned: &owned,
    };
    let wish = asked.wish(|field| wanted.given(field), maker, lang);
    let card = card(&asked, &wish, "");
    let rows = card.rows.iter();
    let rows = rows.map(|(label, value)| json!({ "label": label, "value": value }));
    let panel = card.panel.iter();
    let panel = panel.map(|[says, means, act]| json!({ "says": says, "means": means, "do": act }));
    let mut told = json!({
        "organisation": owned.organisation.name,
        "connector": owned.connector.name,
        "maker": wish.maker.as_ref().map(|maker| &maker.name),
        "language": lang.code(),
        "title": card.title,
        "site": card.site,
        "edition": card.edition,
        "rows": rows.collect::<Vec<_>>(),
        "also": card.also,
        "leave": card.leave,
        "panel": panel.collect::<Vec<_>>(),
        "advice": advice(lang, &wish),
    });
    match wanted.format.as_deref() {
        None => {}
        Some("text") => told["text"] = json!(text(&card)),
        Some("pdf") => told["pdf"] = json!(STANDARD.encode(pdf(&card))),
        Some(other) => {
            return Err(Problem::bad_request(format!(
                "A card is printed as \"text\" or \"pdf\", not as \"{other}\"."
            )));
        }
    }
    Ok(Json(told))
}
