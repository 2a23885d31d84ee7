//! Who comes in: the session of a cookie, and the form that only our page can send.
//!
//! A change needs all of: a request that our own page made (`Sec-Fetch-Site`, `Origin`), a live
//! session, the form token of that session, and a role that may change things.

use std::net::{IpAddr, Ipv4Addr};

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use hyper::header::HeaderName;

use relais_policy::settings::Mode;

use super::ask::{Centre, Refused, address};
use super::cookies::Cookie;
use super::form::{Form, PartsFault};
use super::page;
use super::view::chosen_by;
use crate::context::{Caller, Peer};
use crate::lang::Lang;
use crate::people::Session;
use crate::permission::Action;
use crate::zone::Zone;

/// Where a person sets a second factor up.
const ENROL: &str = "/account?must=factor";
/// Paths that are open to whoever still lacks a second factor that is demanded.
const WITHOUT_FACTOR: [&str; 5] = [
    "/account",
    "/account/factor",
    "/account/passkeys",
    "/sign-out",
    "/language",
];

/// Sent by the script of a page that renews itself.
const LISTENING: &str = "x-relais-listening";
/// The query of a page that comes again without script.
const LISTENING_MARK: &str = "listening";

/// One request for a page, of anybody.
#[derive(Clone)]
pub(super) struct Visit {
    pub(super) lang: Lang,
    /// Who it is, if signed in.
    pub(super) session: Option<Session>,
    /// The same, as the API meets them.
    pub(super) caller: Caller,
    /// The session's token, to end it.
    pub(super) token: Option<String>,
    /// Signed in, where a second factor is demanded, without one: only the way to it is open.
    pub(super) must_enrol: bool,
    /// Path and query, to come back to.
    pub(super) path: String,
    /// What was asked for.
    pub(super) query: Form,
    pub(super) peer: IpAddr,
    /// `User-Agent`.
    pub(super) browser: String,
    /// Whether there may be several organisations.
    pub(super) is_hosted: bool,
    /// State of a sign-in with an issuer.
    pub(super) sso: Option<String>,
    /// The admin centre's address, as this browser knows it.
    pub(super) origin: String,
}

impl Visit {
    async fn of(parts: &Parts, centre: &Centre) -> Self {
        let context = &centre.context;
        let is_encrypted = context.certificates.is_centre_encrypted();
        let of = |one: Cookie| one.read(&parts.headers, is_encrypted);
        let token = of(Cookie::Session);
        let session = match &token {
            Some(token) => {
                let (people, now) = (&context.people, context.clock.now());
                match only_listens(parts) {
                    true => people.look(&context.store, token, now).await,
                    false => people.session(&context.store, token, now).await,
                }
            }
            None => None,
        };
        let zone = match &session {
            Some(session) => chosen_by(&context.store, &session.name).await,
            None => Zone::default(),
        };
        let chosen = session.as_ref().and_then(|one| one.language.clone());
        let chosen = chosen.or_else(|| of(Cookie::Language));
        let lacks = session
            .as_ref()
            .is_some_and(|one| context.people.lacks_factor(one));
        let must_enrol = lacks && !WITHOUT_FACTOR.contains(&parts.uri.path());
        let session = session.filter(|_| !must_enrol);
        let accepted = parts.headers.get(header::ACCEPT_LANGUAGE);
        let accepted = accepted.and_then(|value| value.to_str().ok());
        // What a form answered has no address to come back to.
        let path = match parts.method {
            Method::GET => parts.uri.path_and_query().map_or("/", |it| it.as_str()),
            _ => "/",
        };
        let browser = parts.headers.get(header::USER_AGENT);
        let browser = browser.and_then(|name| name.to_str().ok());
        let peer = parts.extensions.get::<Peer>().map(|peer| peer.0);
        // Only tests come without one.
        let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let lang = Lang::of(chosen.as_deref(), accepted).within(zone);
        let caller = session.as_ref().map_or_else(Caller::listener, |session| {
            Caller::web(&session.name, session.rights.clone())
        });
        Self {
            lang,
            caller: caller.coming_from(peer).reading(lang.0),
            session,
            token,
            must_enrol,
            path: path.to_owned(),
            query: Form::parse(parts.uri.query().unwrap_or_default().as_bytes()),
            is_hosted: centre.context.store.settings().mode == Mode::Hosted,
            peer,
            browser: browser.unwrap_or_default().to_owned(),
            sso: of(Cookie::SignIn),
            origin: origin(&parts.headers, centre),
        }
    }

    /// The name of who is signed in; empty where nobody is.
    pub(super) fn name(&self) -> &str {
        self.session.as_ref().map_or("", |session| &session.name)
    }

    /// Who is signed in, as the API meets them; nobody who may anything where nobody is.
    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Whether who is signed in may do this, within their reach.
    pub(super) fn may(&self, action: Action) -> bool {
        self.caller.rights.may(action)
    }

    /// Whether it is the whole installation that they see, and not one organisation of it.
    pub(super) fn sees_installation(&self) -> bool {
        self.caller.rights.organisation().is_none()
    }

    /// Refuses whoever sees one organisation, or may not do this.
    pub(super) fn must_see_installation(&self, action: Action) -> Result<(), Refused> {
        if self.may(action) && self.sees_installation() {
            return Ok(());
        }
        Err(Refused {
            status: StatusCode::FORBIDDEN,
            detail: self.lang.t("error-read-only"),
        })
    }

    /// Whether who is signed in may change how mail goes: what most forms do.
    pub(super) fn may_change(&self) -> bool {
        self.may(Action::ChangeSettings)
    }
}

impl FromRequestParts<Centre> for Visit {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        centre: &Centre,
    ) -> Result<Self, Self::Rejection> {
        Ok(Self::of(parts, centre).await)
    }
}

/// Whether a page asks by itself, and no person: what its stream brings is fetched with a header of
/// ours; without script the page comes again with a mark in its address.
fn only_listens(parts: &Parts) -> bool {
    let accepted = parts.headers.get(header::ACCEPT);
    let is_stream = accepted.is_some_and(|value| value.as_bytes() == b"text/event-stream");
    is_stream || parts.headers.contains_key(LISTENING) || parts.uri.query() == Some(LISTENING_MARK)
}

/// A request for a page, of a person who is signed in; others are led to the sign-in page.
pub(super) struct Reader(pub(super) Visit);

impl FromRequestParts<Centre> for Reader {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, centre: &Centre) -> Result<Self, Response> {
        let visit = Visit::of(parts, centre).await;
        if visit.session.is_some() {
            return Ok(Self(visit));
        }
        if visit.must_enrol {
            return Err(Redirect::to(ENROL).into_response());
        }
        Err(Redirect::to(&address("/sign-in", &[("next", &visit.path)])).into_response())
    }
}

/// A form from one of our own pages, of anybody: sign-in and set-up.
pub(super) struct OwnForm {
    pub(super) visit: Visit,
    pub(super) form: Form,
}

impl FromRequest<Centre> for OwnForm {
    type Rejection = Response;

    async fn from_request(request: Request, centre: &Centre) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let visit = from_our_page(&parts, centre).await?;
        let form = read(&visit, Request::from_parts(parts, body), centre).await?;
        Ok(Self { visit, form })
    }
}

/// Who sends a form that one of our own pages made. Nothing of the form is read yet.
async fn from_our_page(parts: &Parts, centre: &Centre) -> Result<Visit, Response> {
    let visit = Visit::of(parts, centre).await;
    if is_from_our_page(&parts.headers) {
        return Ok(visit);
    }
    let words = visit.lang.t("error-foreign");
    Err(page::failed(&visit, StatusCode::FORBIDDEN, &words))
}

/// The same, who is signed in: what a stranger sends is not read, however long it is.
async fn signed_in(parts: &Parts, centre: &Centre) -> Result<Visit, Response> {
    let visit = from_our_page(parts, centre).await?;
    if visit.session.is_some() {
        return Ok(visit);
    }
    let next = if visit.must_enrol { ENROL } else { "/sign-in" };
    Err(Redirect::to(next).into_response())
}

/// The form, within the bound of its route.
async fn read(visit: &Visit, request: Request, centre: &Centre) -> Result<Form, Response> {
    let form = request.headers().get(header::CONTENT_TYPE).cloned();
    let octets = Bytes::from_request(request, centre).await;
    let octets = octets.map_err(IntoResponse::into_response)?;
    let boundary = form.as_ref().and_then(|value| value.to_str().ok());
    let Some(boundary) = boundary.and_then(Form::boundary_of) else {
        return Ok(Form::parse(&octets));
    };
    let parts = Form::parse_parts(octets, boundary).await;
    parts.map_err(|fault| {
        let words = visit.lang.t(match fault {
            PartsFault::Form => "error-form",
            PartsFault::Text => "error-file-text",
        });
        page::failed(visit, StatusCode::BAD_REQUEST, &words)
    })
}

/// A form of a person who is signed in, made by us for this session.
pub(super) struct SessionForm {
    pub(super) visit: Visit,
    pub(super) form: Form,
}

impl SessionForm {
    async fn read(visit: Visit, request: Request, centre: &Centre) -> Result<Self, Response> {
        let form = read(&visit, request, centre).await?;
        let session = visit.session.as_ref();
        if session.is_some_and(|session| session.is_form_token(form.raw("form_token"))) {
            return Ok(Self { visit, form });
        }
        let words = visit.lang.t("error-foreign");
        Err(page::failed(&visit, StatusCode::FORBIDDEN, &words))
    }
}

impl FromRequest<Centre> for SessionForm {
    type Rejection = Response;

    async fn from_request(request: Request, centre: &Centre) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let visit = signed_in(&parts, centre).await?;
        Self::read(visit, Request::from_parts(parts, body), centre).await
    }
}

/// The same, of a person who may change things; of anybody else it is not read either.
pub(super) struct Change {
    pub(super) visit: Visit,
    pub(super) form: Form,
}

impl FromRequest<Centre> for Change {
    type Rejection = Response;

    async fn from_request(request: Request, centre: &Centre) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let visit = signed_in(&parts, centre).await?;
        if !visit.may_change() {
            let words = visit.lang.t("error-read-only");
            return Err(page::failed(&visit, StatusCode::FORBIDDEN, &words));
        }
        let request = Request::from_parts(parts, body);
        let SessionForm { visit, form } = SessionForm::read(visit, request, centre).await?;
        Ok(Self { visit, form })
    }
}

/// Browsers say which page sends a form; who says nothing is no browser of ours.
pub(super) fn is_from_our_page(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let site = text(HeaderName::from_static("sec-fetch-site"));
    let (origin, host) = (text(header::ORIGIN), text(header::HOST));
    if site.is_some_and(|site| site != "same-origin") {
        return false;
    }
    match (origin, host) {
        (Some(origin), Some(host)) => {
            let address = origin.strip_prefix("http://");
            address.or_else(|| origin.strip_prefix("https://")) == Some(host)
        }
        (None, _) => site.is_some(),
        (Some(_), None) => false,
    }
}

fn origin(headers: &HeaderMap, centre: &Centre) -> String {
    let host = headers.get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    let scheme = match centre.context.certificates.is_centre_encrypted() {
        true => "https",
        false => "http",
    };
    format!("{scheme}://{host}")
}

/// A path of ours to go on to: nobody is led elsewhere by a link.
pub(super) fn local_path(path: &str) -> &str {
    let is_plain = path
        .bytes()
        .all(|one| one.is_ascii_graphic() && one != b'\\');
    if path.starts_with('/') && !path.starts_with("//") && is_plain {
        path
    } else {
        "/"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_page_asks_by_itself_is_no_sign_of_a_person() {
        let listens = |address: &str, name: &str, value: &str| {
            let request = Request::builder().uri(address).header(name, value);
            let request = request.body(()).expect("a request");
            only_listens(&request.into_parts().0)
        };
        assert!(listens("/trace/live", "accept", "text/event-stream"));
        assert!(listens("/attempts", "x-relais-listening", "1"));
        assert!(listens("/x/listen?listening", "accept", "text/html"));
        for (address, accepted) in [
            ("/trace/live", "*/*"),
            ("/attempts", "text/html,application/xhtml+xml"),
            ("/trace?q=listening", "text/html"),
        ] {
            assert!(!listens(address, "accept", accepted), "{address}");
        }
    }
}
