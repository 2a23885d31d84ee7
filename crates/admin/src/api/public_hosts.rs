//! Who may lead mail and logins into closed networks: whoever acts for the whole installation. What
//! a person or key of one organisation names is marked (`public_hosts_only`), and reached at public
//! addresses only, whatever its name leads to later; a private address as such is refused at once.
//!
//! Not here: that it is not dialled (`relais-deliver`, `relais_net::oauth`, [`crate::walk`]).

use std::net::IpAddr;

use axum::http::StatusCode;

use relais_net::reach::leads_to_private_literal;
use relais_policy::document::{AcceptedDomain, Document, Organisation, OutboundConnector};
use relais_policy::route::is_public_destination;
use relais_policy::settings::{HostPort, MailboxHost, SMTP_PORT, Scope};
use relais_smtp::address::Host;

use crate::context::{AdminContext, Caller};
use crate::problem::Problem;

/// Marks what a caller of one organisation names, unless the operator lets everybody name private
/// hosts.
pub(super) fn hold(
    context: &AdminContext,
    caller: &Caller,
    before: &Document,
    after: &mut Document,
) -> Result<(), Problem> {
    let everybody_may = context
        .outbound
        .as_ref()
        .is_some_and(|one| one.allow_private);
    let Some(own) = caller.rights.organisation().filter(|_| !everybody_may) else {
        return Ok(());
    };
    let old = before.organisation.iter().find(|one| one.name == own);
    let mut ours = after.organisation.iter_mut().filter(|one| one.name == own);
    ours.try_for_each(|one| hold_organisation(old, one))
}

fn hold_organisation(old: Option<&Organisation>, new: &mut Organisation) -> Result<(), Problem> {
    for connector in &mut new.outbound_connector {
        let was = old.and_then(|old| {
            let mut all = old.outbound_connector.iter();
            all.find(|one| one.name == connector.name)
        });
        hold_connector(was, connector)?;
    }
    for domain in &mut new.domain {
        let was = old.and_then(|old| old.domain.iter().find(|one| one.name == domain.name));
        hold_domain(was, domain)?;
    }
    literals_stay(old, new)
}

fn hold_connector(
    was: Option<&OutboundConnector>,
    connector: &mut OutboundConnector,
) -> Result<(), Problem> {
    let is_known = was.is_some_and(|was| {
        let mut hosts = connector.smart_hosts.iter();
        hosts.all(|host| was.smart_hosts.contains(host)) && issuer(was) == issuer(connector)
    });
    if is_known {
        // Nobody takes the mark away from what they may not have named.
        connector.public_hosts_only |= was.is_some_and(|was| was.public_hosts_only);
        return Ok(());
    }
    let hosts = connector.smart_hosts.iter();
    let private = hosts.filter(|text| {
        let host = HostPort::parse(text, SMTP_PORT);
        host.is_some_and(|one| is_private(&one.host))
    });
    let issuers = issuer(connector).into_iter().flatten();
    let private = private
        .chain(issuers.filter(|url| leads_to_private_literal(url)))
        .next();
    if let Some(one) = private {
        return Err(refused(one));
    }
    connector.public_hosts_only = true;
    Ok(())
}

/// Where its tokens are had, as typed.
fn issuer(connector: &OutboundConnector) -> [Option<&String>; 2] {
    let parameters = &connector.auth.parameters;
    [parameters.get("token_url"), parameters.get("device_url")]
}

fn hold_domain(was: Option<&AcceptedDomain>, domain: &mut AcceptedDomain) -> Result<(), Problem> {
    if was.is_some_and(|was| was.mailbox_host == domain.mailbox_host) {
        domain.public_hosts_only |= was.is_some_and(|was| was.public_hosts_only);
        return Ok(());
    }
    let host = MailboxHost::parse(&domain.mailbox_host);
    if host.is_some_and(|one| is_private(&one.host.host)) {
        return Err(refused(&domain.mailbox_host));
    }
    domain.public_hosts_only |= !domain.mailbox_host.is_empty();
    Ok(())
}

/// Mail to an address literal leaves where an inbound connector names it.
fn literals_stay(old: Option<&Organisation>, new: &Organisation) -> Result<(), Problem> {
    let scopes = |owner: &Organisation| -> Vec<String> {
        let all = owner.inbound_connector.iter();
        all.flat_map(|one| one.recipient_domains.clone()).collect()
    };
    let known = old.map(scopes).unwrap_or_default();
    for text in scopes(new).iter().filter(|text| !known.contains(text)) {
        let is_private = match Scope::parse(text) {
            Ok(Scope::Literal(address)) => !is_public_destination(address),
            Ok(Scope::Any | Scope::Own | Scope::Exact(_) | Scope::Below(_)) | Err(_) => false,
        };
        if is_private {
            return Err(refused(text));
        }
    }
    Ok(())
}

fn is_private(host: &Host) -> bool {
    let literal: Option<IpAddr> = match host {
        Host::Literal(address) => Some(*address),
        Host::Domain(_) => None,
    };
    literal.is_some_and(|address| !is_public_destination(address))
}

fn refused(what: &str) -> Problem {
    let detail = format!(
        "{what} is a private address: such hosts are named by whoever runs the installation."
    );
    Problem::new(StatusCode::FORBIDDEN, detail)
}
