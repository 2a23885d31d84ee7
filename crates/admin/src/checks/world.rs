//! How the world sees us: DNS about our addresses and our domains.

use std::net::IpAddr;

use futures_util::future::join_all;

use relais_net::resolver::{DnsError, Resolver};
use relais_policy::check::{self, Check, Needs, ReverseFact};
use relais_policy::document::Verification;
use relais_policy::source::{Listed, blocklist_name};
use relais_smtp::domain::Domain;

use super::CHECK_BUDGET;
use crate::context::{AdminContext, Dns};

/// Addresses of ours that are asked about.
const ADDRESSES_MAX: usize = 8;
/// Domains that are asked about.
const DOMAINS_MAX: usize = 200;
/// Records of a domain that have a check of their own.
const RECORDS: [&str; 3] = ["spf", "dkim", "dmarc"];

/// The names of the addresses that servers see, or that are configured; and blocklists.
pub(super) async fn addresses(context: &AdminContext, needs: Needs, told: &[IpAddr]) -> Vec<Check> {
    let Some(dns) = &context.dns else {
        return Vec::new();
    };
    let mut ours: Vec<_> = told.iter().copied().chain(context.site.egress()).collect();
    ours.sort_unstable();
    ours.dedup();
    ours.truncate(ADDRESSES_MAX);
    let each = ours.into_iter().map(|address| async move {
        let lists = dns.blocklists.iter();
        let listed = join_all(lists.map(async |list| {
            let listed = listed(&dns.resolver, address, list).await;
            check::blocklist(address, list.as_str(), &listed, needs.by_mx)
        }));
        let (fact, mut found) = tokio::join!(reverse(context, dns, address), listed);
        found.push(check::reverse_name(&fact, needs.by_mx));
        found
    });
    join_all(each).await.into_iter().flatten().collect()
}

async fn reverse(context: &AdminContext, dns: &Dns, address: IpAddr) -> ReverseFact {
    let names = match dns.resolver.reverse_names(address).await {
        Ok(answer) => Ok(answer.records),
        Err(DnsError::NoSuchDomain(_) | DnsError::NoRecords(_)) => Ok(Vec::new()),
        Err(error @ DnsError::Temporary { .. }) => Err(error.to_string()),
    };
    let all = names
        .iter()
        .flatten()
        .map(|name| dns.resolver.addresses(name));
    let back = join_all(all).await;
    let is_confirmed = back
        .into_iter()
        .flatten()
        .any(|found| found.records.contains(&address));
    ReverseFact {
        address,
        names: names.map(|names| names.iter().map(ToString::to_string).collect()),
        is_confirmed,
        hostname: context.hostname.clone(),
    }
}

/// What a list says of an address.
pub(crate) async fn listed(resolver: &Resolver, address: IpAddr, list: &Domain) -> Listed {
    let Some(name) = blocklist_name(address, list) else {
        return Listed::Unknown("its name is too long to be asked".to_owned());
    };
    match resolver.addresses(&name).await {
        Ok(answer) => Listed::of_codes(answer.records),
        Err(DnsError::NoSuchDomain(_) | DnsError::NoRecords(_)) => Listed::No,
        Err(error @ DnsError::Temporary { .. }) => Listed::Unknown(error.to_string()),
    }
}

/// What domains publish, as the DNS desk found it last, and whether bounces to them arrive.
pub(super) async fn domains(context: &AdminContext) -> Vec<Check> {
    let settings = context.store.settings();
    let public = settings
        .domains()
        .filter(|(_, owned)| owned.domain.verification != Verification::Assumed);
    let keys = public.map(|(key, _)| key).take(DOMAINS_MAX);
    let each = keys.map(|key| async move {
        let finding = context
            .findings
            .get(&context.store, &key)
            .await
            .ok()
            .flatten();
        let name = key.domain.as_str();
        let mut found: Vec<_> = RECORDS
            .iter()
            .filter_map(|record| {
                let known = finding.as_ref().and_then(|finding| finding.of(record));
                check::record(record, name, known.as_ref())
            })
            .collect();
        if let Some(dns) = &context.dns {
            let until = context.clock.moment() + CHECK_BUDGET;
            let asked = dns.resolver.mx(&key.domain);
            let records = match context.clock.within(until, asked).await {
                Ok(Ok(answer)) => Ok(answer.records.len()),
                Ok(Err(DnsError::NoSuchDomain(_) | DnsError::NoRecords(_))) => Ok(0),
                Ok(Err(error @ DnsError::Temporary { .. })) => Err(error.to_string()),
                Err(_) => Err(format!("no answer within {} s", CHECK_BUDGET.as_secs())),
            };
            found.push(check::mail_exchanger(name, &records));
        }
        found
    });
    join_all(each).await.into_iter().flatten().collect()
}
