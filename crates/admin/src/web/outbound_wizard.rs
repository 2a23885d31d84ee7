//! *Add a way out*: the matrix of routes, those that fit first. The choice becomes an outbound
//! connector as a draft, with what its preset knows; its sections follow (`outbound_edit`).

use std::time::Duration;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};

use relais_policy::preset::outbound_presets;
use relais_policy::way_out::{Fit, FixedAddress, Known, Senders, WayOut, ways_out};
use relais_smtp::domain::Domain;

use super::ask::{Centre, Refused, list};
use super::door::{Change, Reader, Visit};
use super::page::{self, Frame};
use super::switching::{Side, gone};
use crate::lang::Lang;

/// For the exchangers of our own domain; a page waits for it.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);
/// Names tried before the one that is taken.
const NUMBERS_MAX: u32 = 1_000;

/// Where DNS does not show the tenant's exchanger: to be replaced.
const TENANT_HOST: &str = "CONTOSO-COM.mail.protection.outlook.com";

pub(super) fn routes() -> Router<Centre> {
    Router::new().route("/add-route", get(show).post(act))
}

#[derive(Template)]
#[template(path = "outbound_begin.html")]
struct Begin {
    frame: Frame,
    organisations: Vec<String>,
    rows: Vec<Row>,
}

struct Row {
    name: &'static str,
    title: String,
    /// Who may send, port, address.
    cells: [String; 3],
    remark: String,
    can_be_chosen: bool,
}

async fn show(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    let lang = visit.lang;
    let exchangers = exchangers(&centre, &visit).await;
    let known = Known {
        port_25: port_25(&centre, &visit).await,
        fixed_address: None,
        exchangers: &exchangers,
    };
    let ways = ways_out(&known).into_iter();
    let rows = ways.map(|(way, fit)| row(lang, lang.t(title(way.name)), way, fit));
    let settings = centre.settings(visit.caller());
    let organisations = settings.document.organisation.iter();
    page::send(&Begin {
        rows: rows.collect(),
        organisations: organisations.map(|one| one.name.clone()).collect(),
        frame: Frame::new(&visit, "outbound", &lang.t("route-add"))
            .command("relais connector outbound add NAME --preset PRESET"),
    })
}

/// The key of a way's name; a preset without one is seen by a test.
fn title(way: &str) -> &'static str {
    match way {
        "direct" => "route-direct",
        "microsoft-365-certificate" => "route-microsoft-365-certificate",
        "microsoft-365-address" => "route-microsoft-365-address",
        "microsoft-365-oauth" => "route-microsoft-365-oauth",
        "google-relay" => "route-google-relay",
        "amazon-ses" => "route-amazon-ses",
        "smtp2go" => "route-smtp2go",
        _ => "route-plain",
    }
}

fn row(lang: Lang, title: String, way: WayOut, fit: Fit) -> Row {
    let senders = match way.senders {
        Senders::Any => lang.t("route-senders-any"),
        Senders::Mailbox => lang.t("route-senders-mailbox"),
        Senders::Verified => lang.t("route-senders-verified"),
    };
    let port = if way.needs_port_25 {
        lang.t("route-yes")
    } else {
        lang.t("route-no")
    };
    let address = match way.fixed_address {
        FixedAddress::No => lang.t("route-no"),
        FixedAddress::Better => lang.t("route-better"),
        FixedAddress::Needed => lang.t("route-yes"),
    };
    let remark = match fit {
        Fit::Best => lang.t("route-best"),
        Fit::Possible if way.name == "direct" => lang.t("route-direct-hint"),
        Fit::Possible => String::new(),
        Fit::PortClosed => lang.t("route-port-closed"),
        Fit::AddressChanges => lang.t("route-address-changes"),
    };
    Row {
        name: way.name,
        title,
        cells: [senders, port, address],
        remark,
        can_be_chosen: way.name != "direct" && matches!(fit, Fit::Best | Fit::Possible),
    }
}

/// Of the first domain that is ours.
async fn exchangers(centre: &Centre, visit: &Visit) -> Vec<Domain> {
    let settings = centre.settings(visit.caller());
    let mut domains = settings.domains();
    let Some((key, _)) = domains.find(|(_, owned)| owned.is_verified()) else {
        return Vec::new();
    };
    let Some(dns) = &centre.context.dns else {
        return Vec::new();
    };
    let clock = &centre.context.clock;
    let asked = dns.resolver.mx(&key.domain);
    match clock.within(clock.moment() + LOOK_TIMEOUT, asked).await {
        Ok(Ok(answer)) => {
            let records = answer.records.into_iter();
            records.filter_map(|one| one.exchange).collect()
        }
        Ok(Err(_)) | Err(_) => Vec::new(),
    }
}

/// Whether others were reached on port 25 of late: mail that was delivered shows it.
async fn port_25(centre: &Centre, visit: &Visit) -> Option<bool> {
    let query = [
        ("q", "event:recipient.delivered"),
        ("since", "7d"),
        ("limit", "100"),
    ];
    let found = centre.get(visit.caller(), "/trace", &query).await.ok()?;
    let mut hops = list(&found, "events")
        .iter()
        .filter_map(|one| one["next_hop"].as_str());
    hops.any(|hop| hop.ends_with(":25")).then_some(true)
}

async fn act(State(centre): State<Centre>, Change { visit, form }: Change) -> Response {
    let settings = centre.settings(visit.caller());
    let organisation = match form.get("organisation") {
        "" => settings
            .document
            .organisation
            .first()
            .map(|one| one.name.clone()),
        name => Some(name.to_owned()),
    };
    let Some(organisation) = organisation else {
        let words = visit.lang.t("wizard-no-organisation");
        return page::failed(&visit, StatusCode::CONFLICT, &words);
    };
    match begin(&centre, &visit, &organisation, form.get("way")).await {
        Ok(address) => page::go(&address),
        Err(refused) => page::refused(&visit, &refused),
    }
}

/// A draft of the settings with what the preset knows.
async fn begin(
    centre: &Centre,
    visit: &Visit,
    organisation: &str,
    way: &str,
) -> Result<String, Refused> {
    let presets = outbound_presets();
    let preset = presets
        .iter()
        .find(|one| one.name == way)
        .ok_or_else(|| gone(visit))?;
    let settings = centre.settings(visit.caller());
    let is_taken = |name: &str| settings.outbound_connector(organisation, name).is_some();
    let first = preset.title.split(',').next().unwrap_or_default();
    let mut names = (1..NUMBERS_MAX).map(|number| match number {
        1 => first.to_owned(),
        number => format!("{first} {number}"),
    });
    let name = names
        .find(|name| !is_taken(name))
        .ok_or_else(|| gone(visit))?;
    let mut connector: Value = serde_json::to_value(&preset.keys).unwrap_or_default();
    connector["name"] = json!(name);
    connector["state"] = json!("draft");
    for (table, key, word) in to_be_replaced(way) {
        connector["auth"][table][key] = json!(word);
    }
    if matches!(way, "microsoft-365-oauth" | "amazon-ses" | "smtp2go") {
        connector["auth"]["user"] = json!("USER");
    }
    if way.starts_with("microsoft-365") && way != "microsoft-365-oauth" {
        // The tenant's own exchanger, where DNS shows it.
        let home = exchangers(centre, visit).await.into_iter().next();
        let home = home.filter(|one| one.as_str().ends_with(".protection.outlook.com"));
        let home = home.map_or_else(|| TENANT_HOST.to_owned(), |one| one.to_string());
        connector["smart_hosts"] = json!([format!("{home}:25")]);
    }
    let put = json!({ "organisation": organisation, "connector": connector });
    let path = "/connectors/outbound/put";
    centre.post(visit.caller(), path, &put).await?;
    Ok(format!(
        "{}/edit/connect",
        Side::Outbound.base(organisation, &name)
    ))
}

/// What the settings demand and only the person knows: words that they see, and replace.
fn to_be_replaced(way: &str) -> &'static [(&'static str, &'static str, &'static str)] {
    match way {
        "microsoft-365-certificate" => &[("parameters", "certificate", "/etc/relais/m365.pem")],
        "microsoft-365-oauth" => &[
            ("parameters", "tenant", "TENANT-ID"),
            ("parameters", "client_id", "APPLICATION-ID"),
        ],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_preset_has_a_name_of_its_own_for_people() {
        let presets = outbound_presets();
        let mut keys: Vec<_> = presets.iter().map(|one| title(&one.name)).collect();
        keys.push(title("direct"));
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), presets.len() + 1);
    }
}
