//! Names of clients (`sender_dns_names`) followed by itself: what they lead to goes into the
//! settings' snapshot, so that a decision never waits for DNS.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use relais_policy::settings::ResolvedNames;

use crate::context::{AdminContext, Dns};

/// Between two looks at what is wanted and what counts.
const ROUND: Duration = Duration::from_secs(1);

/// Follows the names until `closing`.
pub(crate) async fn follow(context: AdminContext, dns: Dns, closing: CancellationToken) {
    let mut told = ResolvedNames::new();
    loop {
        let settings = context.store.settings();
        let wanted = settings.client_names().cloned().collect::<Vec<_>>();
        let refreshed = dns.names.refresh(&dns.resolver, &context.clock, wanted);
        tokio::select! {
            () = refreshed => {}
            () = closing.cancelled() => return,
        }
        let resolved = dns.names.resolved(context.clock.moment());
        if resolved != told {
            match context.store.set_client_names(resolved.clone()).await {
                Ok(()) => told = resolved,
                Err(error) => tracing::debug!(%error, "names of clients are told later"),
            }
        }
        tokio::select! {
            () = context.clock.sleep(ROUND) => {}
            () = closing.cancelled() => return,
        }
    }
}
