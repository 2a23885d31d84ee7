//! What stands in the delegated zone of our own, so that customers change their DNS once: our
//! addresses for their SPF records, where bounces go, and the DKIM keys of all domains.

use std::net::IpAddr;

use relais_smtp::domain::Domain;

use super::Site;
use super::receiving::MX_PREFERENCE;
use crate::dkim::Key;

/// A record of our zone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ZoneEntry {
    /// TXT
    Text(String),
    /// MX
    Mx(u16, String),
    /// A or AAAA
    Address(IpAddr),
}

/// Everything in the zone but its authority, by name: without a zone nothing. `hosts` are names of
/// ours (name servers) that lead to `addresses` where they lie in the zone, as the hostname does.
pub fn zone_entries(
    site: &Site,
    hosts: &[Domain],
    addresses: &[IpAddr],
    keys: &[(Domain, Vec<Key>)],
) -> Vec<(String, ZoneEntry)> {
    let (Some(zone), Some(spf)) = (&site.zone, site.spf_name()) else {
        return Vec::new();
    };
    let mut entries = vec![(spf, ZoneEntry::Text(site.spf_text()))];
    if let Some(bounce) = site.bounce_name() {
        let mx = ZoneEntry::Mx(MX_PREFERENCE, site.hostname.clone());
        entries.push((bounce.clone(), mx));
        entries.push((bounce, ZoneEntry::Text(site.spf_text())));
    }
    let hostname = Domain::parse(&site.hostname).ok();
    let mut own: Vec<_> = hosts.iter().chain(&hostname).collect();
    own.sort_by_key(|host| host.as_str());
    own.dedup();
    for host in own
        .into_iter()
        .filter(|host| *host == zone || host.is_subdomain_of(zone))
    {
        let addresses = addresses.iter();
        entries.extend(addresses.map(|it| (host.to_string(), ZoneEntry::Address(*it))));
    }
    for (domain, keys) in keys {
        for key in keys {
            let name = site.dkim_name(&key.selector, domain);
            entries.extend(name.map(|name| (name, ZoneEntry::Text(key.record()))));
        }
    }
    entries
}
