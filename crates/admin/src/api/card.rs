//! The device card of an inbound connector: `relais card`. Shown, sent by mail, given a code,
//! printed with a password by whoever knows it, revoked.

use std::net::IpAddr;

use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use relais_policy::document::{Credential, Document, Language};
use relais_policy::password::is_password;
use relais_policy::settings::{OwnedConnector, Settings};

use super::own_mail::{OwnMail, whose};
use super::people::reached_at;
use super::settings::{Intent, change};
use crate::card::issued::{self, DAYS_DEFAULT, DAYS_MAX, Issued};
use crate::card::letter::Letter;
use crate::card::{
    Asked, Beside, Card, Maker, Paper, Wish, advice, card, maker, makers, pdf, png, text,
};
use crate::compose::Named;
use crate::context::{AdminContext, Caller};
use crate::lang::Lang;
use crate::people::hexadecimal;
use crate::problem::{Input, Parameters, Problem};

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/connectors/inbound/card", get(show))
        .route("/connectors/inbound/card/issued", get(list))
        .route("/connectors/inbound/card/code", post(code))
        .route("/connectors/inbound/card/send", post(send))
        .route("/connectors/inbound/card/password", post(with_password))
        .route("/connectors/inbound/card/revoke", post(revoke))
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wanted {
    name: String,
    /// May be left out where only one organisation has a connector of that name.
    organisation: Option<String>,
    maker: Option<String>,
    /// Of the card; else that of the organisation.
    language: Option<String>,
    /// `text`, `pdf` or `png`: printed so, beside its parts.
    format: Option<String>,
    /// `a4` or `letter`.
    paper: Option<String>,
    server: Option<String>,
    ip: Option<String>,
    port: Option<String>,
    user: Option<String>,
    sender: Option<String>,
    site: Option<String>,
    contact: Option<String>,
    /// The beginning of a code's address, as devices' people reach us.
    origin: Option<String>,
    /// The one device that a code is about.
    device: Option<String>,
    /// How long a card counts.
    days: Option<u64>,
    /// To whom it is sent.
    to: Option<String>,
    /// Of the user, printed.
    password: Option<String>,
    /// Of a card that was issued.
    token: Option<String>,
}

/// A card that is asked for, with what it is made of.
struct Ground<'a> {
    owned: OwnedConnector<'a>,
    wish: Wish,
    asked: Asked<'a>,
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

    fn paper(&self) -> Result<Paper, Problem> {
        let name = self.paper.as_deref().unwrap_or_default();
        Paper::of(name).ok_or_else(|| {
            let detail = format!("A card is printed on \"a4\" or \"letter\", not on \"{name}\".");
            Problem::bad_request(detail)
        })
    }

    fn language(&self, of_organisation: Language) -> Result<Lang, Problem> {
        let code = match (self.language.as_deref(), of_organisation) {
            (Some(code @ ("en" | "fr")), _) => code,
            (Some(other), _) if !other.is_empty() => {
                return Err(Problem::bad_request(format!(
                    "A card has the language \"en\" or \"fr\", not \"{other}\"."
                )));
            }
            (_, Language::English) => "en",
            (_, Language::French) => "fr",
        };
        Ok(Lang::of(Some(code), None))
    }

    fn owned<'a>(&self, settings: &'a Settings) -> Result<OwnedConnector<'a>, Problem> {
        let named = (self.organisation.as_deref(), self.name.as_str());
        super::listen::connector(settings, named)
    }

    fn ground<'a>(
        &self,
        context: &'a AdminContext,
        settings: &'a Settings,
        owned: &'a OwnedConnector<'a>,
    ) -> Result<Ground<'a>, Problem> {
        let lang = self.language(owned.organisation.language)?;
        let asked = Asked {
            context,
            settings,
            owned,
        };
        let wish = asked.wish(|field| self.given(field), self.maker()?, lang);
        let wish = wish.on(self.paper()?);
        Ok(Ground {
            owned: *owned,
            wish,
            asked,
        })
    }

    /// What is kept of a card that somebody gets.
    fn issued(
        &self,
        context: &AdminContext,
        owned: &OwnedConnector<'_>,
    ) -> Result<Issued, Problem> {
        let days = self.days.unwrap_or(DAYS_DEFAULT);
        if !(1..=DAYS_MAX).contains(&days) {
            let detail = format!("A card counts for 1 to {DAYS_MAX} days, not {days}.");
            return Err(Problem::bad_request(detail));
        }
        let origin = match self.origin.as_deref().unwrap_or_default() {
            "" => reached_at(context).unwrap_or_default(),
            origin => origin.to_owned(),
        };
        if !origin.is_empty() && !issued::is_origin(&origin) {
            let detail = format!("\"{origin}\" is no address like https://relay.example.com.");
            return Err(Problem::bad_request(detail));
        }
        let device = self.device.as_deref().filter(|text| !text.is_empty());
        let device: Option<Result<IpAddr, _>> = device.map(str::parse);
        let device = device.transpose().map_err(|_| {
            let typed = self.device.as_deref().unwrap_or_default();
            Problem::bad_request(format!("\"{typed}\" is no IP address."))
        })?;
        let named = (&*owned.organisation.name, &*owned.connector.name);
        Ok(Issued {
            origin,
            device,
            ..Issued::new(named, days, context.clock.now())
        })
    }
}

async fn show(
    State(context): State<AdminContext>,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Json<Value>, Problem> {
    if wanted.password.is_some() {
        // It would stand in logs of what is between us.
        let detail = "A password is never part of an address: use POST.";
        return Err(Problem::bad_request(detail));
    }
    let settings = context.store.settings();
    let owned = wanted.owned(&settings)?;
    let ground = wanted.ground(&context, &settings, &owned)?;
    let card = card(&ground.asked, &ground.wish, Beside::default());
    told(&ground, &card, wanted.format.as_deref()).map(Json)
}

/// The card in words, and printed in the form that was asked for.
fn told(ground: &Ground<'_>, card: &Card, format: Option<&str>) -> Result<Value, Problem> {
    let rows = card.rows.iter();
    let rows = rows.map(|(label, value)| json!({ "label": label, "value": value }));
    let panel = card.panel.iter();
    let panel = panel.map(|[says, means, act]| json!({ "says": says, "means": means, "do": act }));
    let mut told = json!({
        "organisation": ground.owned.organisation.name,
        "connector": ground.owned.connector.name,
        "maker": ground.wish.maker.as_ref().map(|maker| &maker.name),
        "language": card.lang.code(),
        "title": card.title,
        "site": card.site,
        "edition": card.edition,
        "rows": rows.collect::<Vec<_>>(),
        "also": card.also,
        "leave": card.leave,
        "panel": panel.collect::<Vec<_>>(),
        "advice": advice(card.lang, &ground.wish),
    });
    match format {
        None | Some("") => {}
        Some("text") => told["text"] = json!(text(card)),
        Some("pdf") => told["pdf"] = json!(STANDARD.encode(pdf(card))),
        Some("png") => told["png"] = json!(png(card).map(|octets| STANDARD.encode(octets))),
        Some(other) => {
            return Err(Problem::bad_request(format!(
                "A card is printed as \"text\", \"pdf\" or \"png\", not as \"{other}\"."
            )));
        }
    }
    Ok(told)
}

/// `{"cards":[{"id","made","until","by",…}]}`, the newest first.
async fn list(
    State(context): State<AdminContext>,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Json<Value>, Problem> {
    let settings = context.store.settings();
    let owned = wanted.owned(&settings)?;
    let named = (&*owned.organisation.name, &*owned.connector.name);
    let now = context.clock.now();
    let all = issued::all_of(&context, named).await?;
    let cards = all.iter().map(|(id, made, card)| {
        let counts = issued::password_counts(card, &settings);
        json!({
            "id": id,
            "made": made.to_rfc3339(),
            "until": card.ends().to_rfc3339(),
            "by": card.by,
            "device": card.device.map(|device| device.to_string()),
            "has_ended": card.ends() <= now,
            "has_code": !card.origin.is_empty(),
            "sent_to": text_or_null(&card.sent_to),
            "password_of": text_or_null(&card.password_of),
            "password_counts": counts,
        })
    });
    Ok(Json(json!({ "cards": cards.collect::<Vec<_>>() })))
}

fn text_or_null(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// `{"token","address","until"}` of a code that leads to the page that waits: told this once; with
/// a format, the card with the code on it too.
async fn code(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(wanted): Input<Wanted>,
) -> Result<Json<Value>, Problem> {
    let settings = context.store.settings();
    let owned = wanted.owned(&settings)?;
    let made = wanted.issued(&context, &owned)?;
    if made.origin.is_empty() {
        let detail = "\"origin\" is missing: https://relay.example.com, as the code begins. The admin \
                      centre listens on this machine only.";
        return Err(Problem::bad_request(detail));
    }
    // What is wrong with the card is said before it is anybody's.
    let ground = wanted.ground(&context, &settings, &owned)?;
    let (kept, ends) = (made.clone(), made.ends());
    let token = issued::issue(&context, &caller, kept, "card.link-made").await?;
    let address = made.address(&token);
    let mut answer = json!({});
    if let Some(format) = wanted.format.as_deref().filter(|format| !format.is_empty()) {
        let beside = Beside {
            link: &address,
            until: Some(ends),
            password: "",
        };
        let card = card(&ground.asked, &ground.wish, beside);
        answer = told(&ground, &card, Some(format))?;
    }
    answer["token"] = json!(token);
    answer["address"] = json!(address);
    answer["until"] = json!(ends.to_rfc3339());
    Ok(Json(answer))
}

/// The card for somebody, with its code. Written down first: no card is anywhere without a name.
async fn given(
    context: &AdminContext,
    caller: &Caller,
    ground: &Ground<'_>,
    made: Issued,
    (act, password): (&'static str, &str),
) -> Result<Card, Problem> {
    let token = issued::issue(context, caller, made.clone(), act).await?;
    let link = match made.origin.as_str() {
        "" => String::new(),
        _ => made.address(&token),
    };
    let beside = Beside {
        link: &link,
        until: Some(made.ends()),
        password,
    };
    Ok(card(&ground.asked, &ground.wish, beside))
}

/// `{"queue_id","from","to","until"}`, once the message is on stable storage.
async fn send(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(wanted): Input<Wanted>,
) -> Result<Json<Value>, Problem> {
    if wanted.password.is_some() {
        let detail = "A card that is sent never has the password on it.";
        return Err(Problem::bad_request(detail));
    }
    let settings = context.store.settings();
    let owned = wanted.owned(&settings)?;
    let ground = wanted.ground(&context, &settings, &owned)?;
    let to = Named::parse(wanted.to.as_deref().unwrap_or_default())?;
    let from = Named::parse(&owned.organisation.postmaster).map_err(|_| {
        let name = &owned.organisation.name;
        let detail = format!("{name} has no postmaster, from whom the card is sent; set one.");
        Problem::bad_request(detail)
    })?;
    if whose(&settings, &from.mailbox)?.name != owned.organisation.name {
        let detail = "The postmaster must be of a verified domain of this organisation.";
        return Err(Problem::bad_request(detail));
    }
    let mut made = wanted.issued(&context, &owned)?;
    made.sent_to = to.mailbox.to_string();
    let ends = made.ends();
    let card = given(&context, &caller, &ground, made, ("card.sent", "")).await?;
    let now = context.clock.now();
    let queue_id = context.store.next_queue_id(now);
    let message_id = format!("{queue_id}@{}", context.hostname);
    let letter = Letter {
        card: &card,
        name: &owned.connector.name,
        from: from.clone(),
        to: to.clone(),
        message_id: &message_id,
        now,
        boundary: &hexadecimal(&context.chance.octets::<16>()),
    };
    let mail = OwnMail {
        organisation: owned.organisation,
        from: &from.mailbox,
        to: &to.mailbox,
        queue_id,
        now,
        subject: &letter.subject(),
        message_id: &message_id,
        octets: letter.octets()?,
        why: format!("device card, sent by {}", caller.actor),
    };
    let queue_id = mail.queue(&context).await?;
    Ok(Json(json!({
        "queue_id": queue_id.to_string(),
        "from": from.mailbox.to_string(),
        "to": to.mailbox.to_string(),
        "until": ends.to_rfc3339(),
    })))
}

/// The card with a password that whoever asks has just seen: it must be the one that counts. What
/// is kept is that the card exists.
async fn with_password(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(wanted): Input<Wanted>,
) -> Result<Json<Value>, Problem> {
    let settings = context.store.settings();
    let owned = wanted.owned(&settings)?;
    let password = wanted.password.clone().unwrap_or_default();
    let user = wanted.user.as_deref().unwrap_or_default();
    let named = settings
        .credential(user)
        .filter(|(of, _)| of.is_same(&owned));
    let Some((_, credential)) = named else {
        let detail = format!("The connector has no credential \"{user}\".");
        return Err(Problem::not_found(detail));
    };
    must_be_its_password(&context, credential, password.clone()).await?;
    let ground = wanted.ground(&context, &settings, &owned)?;
    let mut made = wanted.issued(&context, &owned)?;
    made.password_of.clone_from(&credential.user);
    made.password_mark = issued::mark_of(&credential.password_hash);
    let as_what = ("card.password-printed", &*password);
    let card = given(&context, &caller, &ground, made, as_what).await?;
    told(&ground, &card, wanted.format.as_deref()).map(Json)
}

/// Slow on purpose, so beside the requests, and few at a time with those who sign in.
async fn must_be_its_password(
    context: &AdminContext,
    credential: &Credential,
    password: String,
) -> Result<(), Problem> {
    let hash = credential.password_hash.clone();
    let look = move || is_password(password.as_bytes(), &hash);
    if context.people.work(look).await.unwrap_or(false) {
        return Ok(());
    }
    let detail = format!(
        "This is not the password of {0}. A password can be printed only when it is made: give {0} \
         a new one.",
        credential.user
    );
    Err(Problem::new(StatusCode::FORBIDDEN, detail))
}

/// Ends a card: its code leads nowhere any more, and a password on it is no password any more.
async fn revoke(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(wanted): Input<Wanted>,
) -> Result<Json<Value>, Problem> {
    let settings = context.store.settings();
    let owned = wanted.owned(&settings)?;
    let named = (&*owned.organisation.name, &*owned.connector.name);
    let id = wanted.token.as_deref().unwrap_or_default();
    let all = issued::all_of(&context, named).await?;
    let Some((_, _, card)) = all.iter().find(|(one, ..)| one == id) else {
        return Err(Problem::not_found(
            "There is no such card; it may have ended.",
        ));
    };
    let counts = issued::password_counts(card, &settings);
    if counts {
        let make = |current: &Document| Ok(without_password(current, card));
        change(&context, &caller, Intent::Store, None, make).await?;
    }
    issued::revoke(&context, &caller, (id, card)).await?;
    Ok(Json(json!({
        "password_of": text_or_null(&card.password_of),
        "password_ended": counts,
    })))
}

/// The credential stays, and has no password until it gets a new one.
fn without_password(current: &Document, card: &Issued) -> Document {
    let mut document = current.clone();
    let owners = document.organisation.iter_mut();
    let all = owners.flat_map(|owner| owner.credential.iter_mut());
    for one in all.filter(|one| one.user == card.password_of) {
        if issued::mark_of(&one.password_hash) == card.password_mark {
            one.password_hash.clear();
            one.scram_sha_256.clear();
        }
        // One that counts beside it may be the card's, and is nobody's for long.
        one.previous_password_hash.clear();
        one.previous_scram_sha_256.clear();
        one.previous_until.clear();
    }
    document
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use relais_policy::password::{SALT_OCTETS, store};

    use super::*;
    use crate::people::tests::{all_places, is_done};
    use crate::proving::tests::World;

    #[tokio::test]
    async fn the_password_of_a_card_is_looked_at_among_those_of_sign_ins() {
        const PASSWORD: &str = "correct-horse-battery";
        let world = World::new(&["contoso"]).await;
        let hash = store(PASSWORD, [[7; SALT_OCTETS]; 2]).password_hash;
        let credential = Credential {
            password_hash: hash.clone(),
            ..Credential::new("scan", "Printers")
        };
        let places = all_places(&world.context.people).await;
        let asked = must_be_its_password(&world.context, &credential, PASSWORD.to_owned());
        let mut asked = pin!(asked);
        assert!(!is_done(&mut asked).await);
        // Beside them it would be done before these three are, one after the other.
        for _ in 0..3 {
            let hash = hash.clone();
            let look = move || is_password(PASSWORD.as_bytes(), &hash);
            assert!(tokio::task::spawn_blocking(look).await.expect("a look"));
        }
        assert!(!is_done(&mut asked).await);
        drop(places);
        assert!(asked.await.is_ok());
    }
}
