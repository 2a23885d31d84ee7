//! Where our clients of HTTP may go: names by our own resolver, and private addresses only where
//! that is allowed.
//!
//! Not here: the clients ([`crate::web`], [`crate::oauth`]).

use std::net::{IpAddr, SocketAddr};

use relais_policy::route::is_public_destination;
use relais_smtp::domain::Domain;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::resolver::Resolver;

/// Finds the addresses of a name.
pub(crate) struct Names {
    resolver: Resolver,
    port: u16,
    allow_private: bool,
}

impl Names {
    /// `port`: the one that is dialled; 0: that of the address, else of its scheme.
    pub(crate) fn new(resolver: Resolver, port: u16, allow_private: bool) -> Self {
        Self {
            resolver,
            port,
            allow_private,
        }
    }
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.resolver.clone();
        let (port, allow_private) = (self.port, self.allow_private);
        Box::pin(async move {
            let host = Domain::parse(name.as_str())?;
            let found = resolver.addresses(&host).await?;
            let usable = found
                .records
                .into_iter()
                .filter(move |address| allow_private || is_public_destination(*address))
                .map(move |address| SocketAddr::new(address, port));
            Ok(Box::new(usable) as Addrs)
        })
    }
}

/// Whether a host is a private address: it is never looked up, so that it is judged where it is
/// read.
pub(crate) fn is_private_literal(host: &str) -> bool {
    let literal: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    literal.is_some_and(|one| !is_public_destination(one))
}

/// Whether an address of the web names its host so.
pub fn leads_to_private_literal(address: &str) -> bool {
    let url = reqwest::Url::parse(address);
    url.is_ok_and(|url| url.host_str().is_some_and(is_private_literal))
}
