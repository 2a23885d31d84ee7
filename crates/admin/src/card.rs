//! The device card: what whoever stands at the panel types, per connector, maker and language, and
//! how it is printed, as PDF, as a picture, as text and as a message.
//!
//! A password is on it only where whoever makes the card knows it at that moment, and says so: it
//! was shown once, and cannot be read back. Not here: the page, and the page that its code leads
//! to (`web`).

pub(crate) mod letter;
pub(crate) mod issued;
mod pdf;
mod png;
mod text;
mod layout;
mod fonts;
mod data;

use relais_policy::document::InboundTls;
use relais_policy::settings::{OwnedConnector, Settings};

use relais_smtp::time::Timestamp;

use crate::context::AdminContext;
use crate::lang::Lang;
use crate::plain::{size, taille};
use crate::qr::{Code, code};
use crate::times;

pub(crate) use self::data::{Maker, maker, makers};
pub(crate) use self::pdf::write as pdf;
pub(crate) use self::png::write as png;
pub(crate) use self::text::write as text;

/// Names longer than this are hard to type.
const HOST_ADVISED: usize = 40;
/// Longer ones do not fit into the fields of many devices.
const HOST_MAX: usize = 63;
/// Characters of a password of ours.
const PASSWORD_CHARACTERS: usize = 20;
/// Characters of a text that a person gives for the card.
const TEXT_MAX: usize = 120;
/// Lines of what a panel says: a page is not longer.
const PANEL_MAX: usize = 7;

/// What a card is printed on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Paper {
    /// ISO 216.
    #[default]
    A4,
    /// ANSI Y14.1, as North America has it.
    Letter,
}

impl Paper {
    pub(crate) const ALL: [Self; 2] = [Self::A4, Self::Letter];

    /// By its name; without one, A4.
    pub(crate) fn of(name: &str) -> Option<Self> {
        match name {
            "" => Some(Self::default()),
            name => Self::ALL.into_iter().find(|one| one.name() == name),
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::A4 => "a4",
            Self::Letter => "letter",
        }
    }

    /// For people: the same in both languages.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::A4 => "A4",
            Self::Letter => "Letter",
        }
    }

    /// Width and height in points.
    const fn size(self) -> [f32; 2] {
        match self {
            Self::A4 => [595.0, 842.0],
            Self::Letter => [612.0, 792.0],
        }
    }
}

/// What is on the card. Words are in the card's language.
pub(crate) struct Card {
    pub(crate) lang: Lang,
    pub(crate) paper: Paper,
    pub(crate) title: String,
    pub(crate) site: String,
    /// Version of the data, day, whom to ask.
    pub(crate) edition: String,
    /// Above the two columns of rows.
    pub(crate) heads: [String; 2],
    pub(crate) rows: Vec<(String, String)>,
    pub(crate) also: String,
    pub(crate) leave: String,
    /// Above the three columns of what the panel says.
    pub(crate) panel_heads: [String; 3],
    pub(crate) panel: Vec<[String; 3]>,
    pub(crate) code: Option<Code>,
    /// What the code is good for, and how long.
    pub(crate) code_words: String,
}

/// What comes onto a card beside what its connector and its maker say.
#[derive(Clone, Copy, Default)]
pub(crate) struct Beside<'a> {
    /// Where its code leads, and until when; empty: it has none.
    pub(crate) link: &'a str,
    pub(crate) until: Option<Timestamp>,
    /// Printed; empty: it is given separately.
    pub(crate) password: &'a str,
}

/// The fields that shape a card, all in its address.
pub(crate) const FIELDS: [(&str, &str); 8] = [
    ("server", "card-ask-server"),
    ("ip", "card-ask-ip"),
    ("port", "card-ask-port"),
    ("user", "card-ask-user"),
    ("sender", "card-ask-sender"),
    ("site", "card-ask-site"),
    ("contact", "card-ask-contact"),
    ("device", "card-ask-device"),
];

/// What a person gave, or what is likely.
pub(crate) struct Wish {
    values: [String; 8],
    pub(crate) maker: Option<Maker>,
    pub(crate) lang: Lang,
    pub(crate) paper: Paper,
}

impl Wish {
    /// The same on this paper.
    #[must_use]
    pub(crate) fn on(self, paper: Paper) -> Self {
        Self { paper, ..self }
    }

    /// By the name of the field.
    pub(crate) fn value(&self, name: &str) -> &str {
        let at = FIELDS.iter().position(|(field, _)| *field == name);
        at.map_or("", |at| &self.values[at])
    }
}

/// What is asked for of a card.
pub(crate) struct Asked<'a> {
    pub(crate) context: &'a AdminContext,
    pub(crate) settings: &'a Settings,
    pub(crate) owned: &'a OwnedConnector<'a>,
}

impl Asked<'_> {
    /// What was given by the name of its field, and what is likely for what was not.
    pub(crate) fn wish<'g>(
        &self,
        given: impl Fn(&str) -> &'g str,
        maker: Option<Maker>,
        lang: Lang,
    ) -> Wish {
        let owned = self.owned;
        let owner = owned.organisation;
        let user = owner.credential.iter();
        let mut user = user.filter(|one| one.inbound_connector == owned.connector.name);
        let user = user.next().map(|one| one.user.clone()).unwrap_or_default();
        let mut domains = self.settings.domains();
        let domain = domains
            .find(|(key, one)| *key.organisation == *owner.name && one.is_verified())
            .map(|(key, _)| key.domain.to_string());
        let sender = domain.map(|domain| format!("scan@{domain}"));
        let port = if user.is_empty() { "25" } else { "587" };
        let likely = |name: &str| match name {
            "server" => self.context.hostname.clone(),
            "port" => port.to_owned(),
            "user" => user.clone(),
            "sender" => sender.clone().unwrap_or_default(),
            "contact" => owner.postmaster.clone(),
            "device" => only_address(owned),
            _ => String::new(),
        };
        let values = FIELDS.map(|(name, _)| match given(name) {
            "" => likely(name),
            given => given.chars().take(TEXT_MAX).collect(),
        });
        Wish {
            values,
            maker,
            lang,
            paper: Paper::default(),
        }
    }
}

/// The device's address, where a connector is one device's.
fn only_address(owned: &OwnedConnector<'_>) -> String {
    match owned.connector.sender_ip_addresses.as_slice() {
        [one] if one.prefix_len() == one.max_prefix_len() => one.addr().to_string(),
        _ => String::new(),
    }
}

/// The card itself.
pub(crate) fn card(asked: &Asked<'_>, wish: &Wish, beside: Beside<'_>) -> Card {
    let lang = wish.lang;
    let maker = wish.maker.as_ref();
    let scan = lang.t("card-title");
    let title = maker.map_or_else(|| scan.clone(), |maker| format!("{scan} – {}", maker.name));
    let today = times::date(lang, asked.context.clock.now());
    let version = maker.map_or(1, |maker| maker.version).to_string();
    let edition = [
        ("version", version.as_str()),
        ("day", today.as_str()),
        ("contact", wish.value("contact")),
    ];
    let general = [
        ["card-reach-says", "card-reach-means", "card-reach-do"],
        ["card-login-says", "card-login-means", "card-login-do"],
        ["card-refused-says", "card-refused-means", "card-refused-do"],
    ];
    let general = general.map(|keys| keys.map(|key| lang.t(key)));
    let own = maker.into_iter().flat_map(|maker| maker.panel(lang.0));
    let until = beside.until.map(|until| times::date(lang, until));
    let texts = |keys: [&str; 3]| keys.map(|key| lang.t(key));
    Card {
        lang,
        paper: wish.paper,
        title,
        site: wish.value("site").to_owned(),
        edition: lang.fill("card-edition", &edition),
        heads: ["card-head-device", "card-head-type"].map(|key| lang.t(key)),
        rows: rows(asked, wish, beside.password),
        also: lang.t("card-also"),
        leave: lang.t("card-leave"),
        panel_heads: texts(["card-panel-says", "card-panel-means", "card-panel-do"]),
        panel: own.chain(general).take(PANEL_MAX).collect(),
        code: Some(beside.link)
            .filter(|link| !link.is_empty())
            .and_then(code),
        code_words: lang.with("card-code-caption", &until.unwrap_or_default()),
    }
}

/// What to set for encryption: what the connector takes, as our listener at this port has it. Of a
/// port that is none of ours, before a machine that passes it on, the usual is believed: 465 is
/// implicit TLS (RFC 8314 §3.3), any other is STARTTLS.
fn encryption(asked: &Asked<'_>, wish: &Wish) -> String {
    let port = wish.value("port");
    let doors = asked.context.premises.iter().flat_map(|it| &it.doors);
    let ours: Vec<_> = doors
        .filter(|door| door.takes_mail && door.address.port().to_string() == port)
        .collect();
    let is_clear = !ours.is_empty() && ours.iter().all(|door| door.origin.is_none());
    match asked.owned.connector.tls {
        InboundTls::Off => wish.lang.t("card-off"),
        InboundTls::Required | InboundTls::Offered if is_clear => wish.lang.t("card-off"),
        InboundTls::Required | InboundTls::Offered => {
            let is_implicit = port == "465" || ours.iter().any(|door| door.implicit_tls);
            let name = if is_implicit { "SSL/TLS" } else { "STARTTLS" };
            name.to_owned()
        }
    }
}

fn rows(asked: &Asked<'_>, wish: &Wish, password: &str) -> Vec<(String, String)> {
    let lang = wish.lang;
    let connector = asked.owned.connector;
    let general = |field: &str| match field {
        "server" => lang.t("card-server"),
        "port" => lang.t("card-port"),
        "encryption" => lang.t("card-encryption"),
        "authentication" => lang.t("card-authentication"),
        "user" => lang.t("card-user"),
        "password" => lang.t("card-password"),
        "sender" => lang.t("card-sender"),
        "size" => lang.t("card-size"),
        _ => lang.t("card-pop"),
    };
    let label = |field: &str| {
        let own = wish.maker.as_ref().and_then(|it| it.label(field, lang.0));
        own.map_or_else(|| general(field), ToOwned::to_owned)
    };
    let server = match wish.value("ip") {
        "" => wish.value("server").to_owned(),
        ip => lang.fill(
            "card-or-ip",
            &[("server", wish.value("server")), ("ip", ip)],
        ),
    };
    let encryption = encryption(asked, wish);
    let octets = connector.limits.message_size_max.map(|it| it.0);
    let octets = octets.unwrap_or(asked.context.message_size_max);
    let mut rows = vec![
        (label("server"), server),
        (label("port"), wish.value("port").to_owned()),
        (label("encryption"), encryption),
    ];
    match wish.value("user") {
        "" => rows.push((label("authentication"), lang.t("card-off"))),
        user => rows.extend([
            (label("authentication"), lang.t("card-on")),
            (label("user"), user.to_owned()),
            (label("password"), password_shown(lang, password)),
        ]),
    }
    rows.push((label("sender"), wish.value("sender").to_owned()));
    let shown: fn(u64) -> String = lang.0.pick(size, taille);
    rows.push((label("size"), shown(octets)));
    rows.push((label("pop"), lang.t("card-off")));
    rows
}

/// The letters themselves, or that they are given separately.
fn password_shown(lang: Lang, password: &str) -> String {
    match password {
        "" => lang.t("card-separately"),
        password => password.to_owned(),
    }
}

/// What a person should know before printing it.
pub(crate) fn advice(lang: Lang, wish: &Wish) -> Vec<String> {
    let mut all = Vec::new();
    let host = wish.value("server").chars().count();
    let limits = wish.maker.as_ref().map(|maker| maker.limits.clone());
    let limits = limits.unwrap_or_default();
    if host > limits.host.unwrap_or(HOST_MAX) {
        all.push(lang.n("card-host-too-long", limits.host.unwrap_or(HOST_MAX) as u64));
    } else if host > HOST_ADVISED {
        all.push(lang.n("card-host-long", HOST_ADVISED as u64));
    }
    if wish.value("ip").is_empty() {
        all.push(lang.t("card-no-ip"));
    }
    let fields = [
        (limits.user, wish.value("user").chars().count()),
        (limits.password, PASSWORD_CHARACTERS),
        (limits.sender, wish.value("sender").chars().count()),
    ];
    let too_long = fields.iter().filter_map(|(limit, length)| {
        let limit = (*limit)?;
        (*length > limit).then_some(limit as u64)
    });
    all.extend(too_long.map(|limit| lang.n("card-field-short", limit)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A card with so many lines of what the panel says.
    pub(super) fn imagined(count: usize) -> Card {
        let pair = |label: &str, value: &str| (label.to_owned(), value.to_owned());
        let long =
            "L’appareil n’a pas atteint le serveur\u{202f}: vérifiez DNS, passerelle et port.";
        Card {
            lang: Lang::of(Some("fr"), None),
            paper: Paper::default(),
            title: "Numérisation (vers) e-mail – Konica Minolta".to_owned(),
            site: "Lyon, 2e étage".to_owned(),
            edition: "Fiche v3 · 24 nov. 2026 · questions\u{202f}: it@contoso.test".to_owned(),
            heads: ["Nom sur l’appareil".to_owned(), "À saisir".to_owned()],
            rows: vec![
                pair("Serveur SMTP", "relay.contoso.test"),
                pair(
                    "Adresse de l’expéditeur (From)",
                    &format!("{}@contoso.test", "n".repeat(60)),
                ),
                pair("Port", "587"),
                pair("Chiffrement (TLS/SSL)", "STARTTLS"),
                pair("Authentification SMTP", "activée"),
                pair("Utilisateur", "scan-lyon-2"),
                pair("Mot de passe", "communiqué séparément"),
                pair("Taille maximale", "25 Mio"),
                pair("POP avant SMTP", "désactivé"),
            ],
            also: long.to_owned(),
            leave: long.to_owned(),
            panel_heads: ["Le panneau affiche", "Cela veut dire", "Que faire"].map(str::to_owned),
            panel: vec![[long, long, long].map(str::to_owned); count],
            code: code("http://relay.contoso.test/wait/0123456789abcdef0123456789abcdef"),
            code_words: long.to_owned(),
        }
    }
}
