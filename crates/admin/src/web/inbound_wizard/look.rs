//! Live checks: what is to be known of the values of a step before it is left. Pure where the
//! settings suffice (`relais_policy::coverage`); DNS and the trace are asked where they know more.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;

use relais_net::facts::GLANCE_TIMEOUT;
use relais_policy::coverage::{self, Wanted, Weight};
use relais_policy::desk::{Prediction, Words, ways};
use relais_policy::document::{AuthMethod, InboundConnector, SenderReplaced, Verification};
use relais_policy::proof::ProofKey;
use relais_policy::settings::{Mode, Scope};
use relais_smtp::address::Host;
use relais_smtp::time::Timestamp;
use relais_store::trace::tally::{Measure, TallyQuery};

use super::status;
use crate::desk;
use crate::lang::Lang;
use crate::times;
use crate::web::ask::{Centre, list, text};
use crate::web::door::Visit;
use crate::web::drafts::Draft;
use crate::web::inbound_form::Section;
use crate::web::trace::Status;

/// Addresses that are asked about one by one.
const ADDRESSES_MAX: usize = 5;
/// How far back the busiest hour is looked for: a week has every kind of day.
const BUSIEST_SINCE: Duration = Duration::from_secs(7 * 86_400);
/// Events of one address in which names are looked for.
const EVENTS_ASKED: &str = "100";
/// So many names from one address are several devices.
const NAMES_OF_MANY: usize = 3;
/// Domains that are looked at.
const DOMAINS_MAX: usize = 5;

/// One thing to know.
pub(in crate::web) struct Finding {
    pub(in crate::web) status: Status,
    pub(in crate::web) words: String,
}

fn found(lang: Lang, tone: &'static str, words: String) -> Finding {
    Finding {
        status: status(lang, tone),
        words,
    }
}

pub(in crate::web) fn in_language(lang: Lang, words: &Words) -> String {
    lang.0.pick(&words.english, &words.french).clone()
}

/// Of one section's values.
pub(super) async fn at(
    centre: &Centre,
    visit: &Visit,
    section: Section,
    draft: &Draft<InboundConnector>,
) -> Vec<Finding> {
    match section {
        Section::Identify => identify(centre, visit, draft).await,
        Section::Senders => senders(centre, visit.lang, draft).await,
        Section::Recipients => busiest(centre, visit.lang, draft).await,
        Section::Delivery => delivery(centre, visit.lang, draft),
        Section::Security | Section::State => Vec::new(),
    }
}

/// By the settings alone.
pub(super) fn networks(
    centre: &Centre,
    lang: Lang,
    draft: &Draft<InboundConnector>,
) -> Vec<Finding> {
    let settings = centre.context.store.settings();
    let wanted = Wanted {
        organisation: &draft.organisation,
        name: &draft.connector.name,
        networks: &draft.connector.sender_ip_addresses,
    };
    let all = coverage::look(&settings, &wanted).into_iter();
    all.map(|one| {
        let tone = match one.weight {
            Weight::Good => "good",
            Weight::Note => "waiting",
            Weight::Bad => "bad",
        };
        found(lang, tone, in_language(lang, &one.words))
    })
    .collect()
}

async fn identify(centre: &Centre, visit: &Visit, draft: &Draft<InboundConnector>) -> Vec<Finding> {
    let mut all = networks(centre, visit.lang, draft);
    let networks = draft.connector.sender_ip_addresses.iter();
    let single = networks.filter(|it| it.prefix_len() == it.max_prefix_len());
    let single = single.take(ADDRESSES_MAX).map(|network| network.addr());
    let looks = single.map(|address| address_of(centre, visit, draft, address));
    all.extend(join_all(looks).await.into_iter().flatten());
    all
}

/// Whether it was here today, and what DNS says of it.
async fn address_of(
    centre: &Centre,
    visit: &Visit,
    draft: &Draft<InboundConnector>,
    address: IpAddr,
) -> Vec<Finding> {
    let (lang, who, shown) = (visit.lang, visit.caller(), address.to_string());
    let asked = format!("client:{shown}");
    let query = [
        ("q", asked.as_str()),
        ("since", "24h"),
        ("limit", EVENTS_ASKED),
    ];
    let path = format!("/connectors/inbound/check/{shown}");
    let whose = [("organisation", draft.organisation.as_str())];
    let (seen, report) = tokio::join!(
        centre.get(who, "/trace", &query),
        centre.get(who, &path, &whose)
    );
    let mut all = Vec::new();
    if let Ok(seen) = seen {
        all.push(if list(&seen, "events").is_empty() {
            found(lang, "waiting", lang.with("look-not-seen", &shown))
        } else {
            found(lang, "good", lang.with("look-seen", &shown))
        });
        all.extend(many_behind(lang, &shown, &seen));
    }
    for check in report.iter().flat_map(|report| list(report, "checks")) {
        let key = match (text(check, "check"), text(check, "verdict")) {
            ("dynamic", "bad") => "look-dynamic",
            ("blocklist", "bad") => "look-blocklist",
            _ => continue,
        };
        all.push(found(lang, "bad", lang.with(key, &shown)));
    }
    all
}

/// A gateway or a container host shows its own address for all that is behind it.
fn many_behind(lang: Lang, shown: &str, seen: &Value) -> Option<Finding> {
    let events = list(seen, "events").iter();
    let names: BTreeSet<_> = events
        .map(|event| text(&event["client"], "helo"))
        .filter(|name| !name.is_empty())
        .collect();
    (names.len() >= NAMES_OF_MANY).then(|| {
        let count = lang.number(names.len() as u64);
        let words = lang.fill("look-many", &[("value", shown), ("count", &count)]);
        found(lang, "bad", words)
    })
}

/// The hour in which most came from these addresses, taken or refused: what a limit has to let
/// through. An hour is the finest step in which addresses are counted.
async fn busiest(centre: &Centre, lang: Lang, draft: &Draft<InboundConnector>) -> Vec<Finding> {
    let networks = &draft.connector.sender_ip_addresses;
    if networks.is_empty() {
        return Vec::new();
    }
    let settings = centre.context.store.settings();
    let query = TallyQuery {
        by_step: true,
        // Strangers have no organisation: where there is one only, they are its own.
        organisation: match settings.mode {
            Mode::Lan => None,
            Mode::Hosted => Some(draft.organisation.as_str().into()),
        },
        ..TallyQuery::new(
            Measure::Client,
            centre.context.clock.now().before(BUSIEST_SINCE),
        )
    };
    let Ok(told) = centre.context.store.tallies(vec![query]).await else {
        return Vec::new();
    };
    let mut hours = BTreeMap::<i64, u64>::new();
    for tally in told.iter().flatten() {
        let is_ours = |client: IpAddr| networks.iter().any(|one| one.contains(&client));
        if tally.name.parse().is_ok_and(is_ours) {
            *hours.entry(tally.time.as_millis()).or_default() += tally.count;
        }
    }
    let most = hours
        .into_iter()
        .max_by_key(|(time, count)| (*count, *time));
    let Some((time, count)) = most else {
        return vec![found(lang, "waiting", lang.t("look-quiet"))];
    };
    let time = times::zoned(lang, Timestamp::from_millis(time));
    let count = lang.number(count);
    let words = lang.fill("look-busiest", &[("count", &count), ("time", &time)]);
    vec![found(lang, "good", words)]
}

/// What receivers will make of each domain's mail.
async fn senders(centre: &Centre, lang: Lang, draft: &Draft<InboundConnector>) -> Vec<Finding> {
    let settings = centre.context.store.settings();
    let scopes = draft.connector.sender_domains.iter();
    let scopes: Vec<_> = scopes.filter_map(|text| Scope::parse(text).ok()).collect();
    let own = settings
        .domains()
        .filter(|(key, owned)| *key.organisation == *draft.organisation && owned.is_verified());
    let in_scope = own.filter(|(key, _)| {
        let host = Host::Domain(key.domain.clone());
        scopes.iter().any(|scope| scope.covers(&host, true))
    });
    let keys: Vec<(ProofKey, bool)> = in_scope
        .map(|(key, owned)| (key, owned.domain.verification == Verification::Assumed))
        .take(DOMAINS_MAX)
        .collect();
    if keys.is_empty() {
        return vec![found(lang, "bad", lang.t("look-no-domain"))];
    }
    let looks = keys.iter().map(|key| domain(centre, lang, draft, key));
    let looks = join_all(looks).await.into_iter().flatten();
    // Which addresses may send, and by which way it leaves, are one decision.
    let ways = delivery(centre, lang, draft).into_iter();
    looks
        .chain(ways.filter(|one| one.status.tone == "bad"))
        .collect()
}

async fn domain(
    centre: &Centre,
    lang: Lang,
    draft: &Draft<InboundConnector>,
    (key, is_private): &(ProofKey, bool),
) -> Vec<Finding> {
    let name = key.domain.to_string();
    if *is_private {
        return vec![found(lang, "good", lang.with("look-private-domain", &name))];
    }
    let Some(dns) = &centre.context.dns else {
        return vec![found(lang, "waiting", lang.with("look-no-dns", &name))];
    };
    let subject = (key, draft.connector.name.as_str());
    let seen = desk::look_for(&centre.context, dns, subject, GLANCE_TIMEOUT).await;
    let Some(seen) = seen else {
        return vec![found(lang, "waiting", lang.with("look-no-dns", &name))];
    };
    let predictions = seen.assessment.predictions.iter();
    predictions.map(|one| predicted(lang, &name, one)).collect()
}

fn predicted(lang: Lang, name: &str, one: &Prediction) -> Finding {
    let tone = match (one.dmarc, one.dkim, one.spf) {
        ("pass", ..) | ("none", "pass", _) => "good",
        ("fail", ..) => "bad",
        _ => "waiting",
    };
    let words = in_language(lang, &one.words);
    found(lang, tone, format!("{name}{} {words}", lang.t("colon")))
}

/// How mail of the organisation leaves, and where that does not fit its senders.
pub(super) fn delivery(
    centre: &Centre,
    lang: Lang,
    draft: &Draft<InboundConnector>,
) -> Vec<Finding> {
    let settings = centre.context.store.settings();
    let wanted = &draft.connector;
    let any_sender = wanted.sender_domains.iter().any(|one| one == "*")
        && wanted.sender_addresses.is_empty()
        && wanted.sender_replaced == SenderReplaced::Local;
    let pinned = wanted.outbound_connector.as_str();
    let all = ways(&settings, &draft.organisation).into_iter();
    let all = all.filter(|way| pinned.is_empty() || way.connector.as_deref() == Some(pinned));
    let all = all.map(|way| {
        let Some(name) = &way.connector else {
            return found(lang, "good", lang.t("look-by-mx"));
        };
        let connector = settings.outbound_connector(&draft.organisation, name);
        let domains = connector.map(|it| it.recipient_domains.join(", "));
        let is_own = connector.is_some_and(|it| it.auth.method == AuthMethod::Xoauth2);
        if is_own && any_sender {
            // The mailbox may send as itself only.
            return found(lang, "bad", lang.with("look-oauth", name));
        }
        let shown = format!("{name} ({})", domains.unwrap_or_default());
        found(lang, "good", lang.with("look-by-connector", &shown))
    });
    all.collect()
}
