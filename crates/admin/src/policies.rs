//! Our domains' policies of MTA-STS, for whoever sends to them: one file for each, by the name that
//! the client asks for, and nothing else. RFC 8461 §3.3.
//!
//! Not here: what the policy says (`relais_policy::sts`), its record (`relais_policy::desk`).

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use relais_policy::settings::Settings;
use relais_policy::sts::own_policy;
use relais_smtp::domain::Domain;
use relais_store::store::Store;

/// What the host of the file is called. RFC 8461 §3.3.
const LABEL: &str = "mta-sts.";

/// Whose policies, and who we are.
#[derive(Clone)]
pub(crate) struct Shown {
    pub(crate) store: Store,
    pub(crate) hostname: String,
}

/// The only page.
pub(crate) fn router(shown: Shown) -> Router {
    Router::new()
        .route("/.well-known/mta-sts.txt", get(policy))
        .with_state(shown)
}

/// One connection, one file: strangers do not keep places.
async fn policy(State(shown): State<Shown>, headers: HeaderMap) -> Response {
    let host = headers.get(header::HOST).and_then(|one| one.to_str().ok());
    let file = host.and_then(|host| file(&shown.store.settings(), host, &shown.hostname));
    let close = (header::CONNECTION, "close");
    match file {
        Some(file) => ([(header::CONTENT_TYPE, "text/plain"), close], file).into_response(),
        None => (StatusCode::NOT_FOUND, [close]).into_response(),
    }
}

/// Only a verified domain speaks for itself.
fn file(settings: &Settings, host: &str, hostname: &str) -> Option<String> {
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    let host = host.to_ascii_lowercase();
    let domain = Domain::parse(host.strip_prefix(LABEL)?).ok()?;
    let owned = settings.verified_domain(&domain)?;
    own_policy(&owned.domain.mta_sts, hostname).map(|policy| policy.file())
}

#[cfg(test)]
mod tests {
    use relais_policy::document::Document;
    use relais_policy::settings::Mode;

    use super::*;

    #[test]
    fn each_host_has_the_policy_of_its_verified_domain() {
        let text = "[[organisation]]\nname = \"a\"\n[[organisation.domain]]\nname = \
                    \"contoso.test\"\nverification = \"assumed\"\nmta_sts = { mode = \
                    \"enforce\", max_age = \"30d\", mx = [\"*.mx.contoso.test\"] }\n\
                    [[organisation.domain]]\nname = \"testing.test\"\nverification = \
                    \"assumed\"\nmta_sts = { mode = \"testing\" }\n[[organisation.domain]]\nname = \
                    \"off.test\"\nverification = \"assumed\"\n[[organisation.domain]]\nname = \
                    \"pending.test\"\nmta_sts = { mode = \"enforce\" }\n";
        let document = Document::from_toml(text).expect("a document");
        let settings = Settings::build(Mode::Lan, 1, document).expect("settings");
        let shown = |host: &str| file(&settings, host, "relay.test");
        assert_eq!(
            shown("MTA-STS.contoso.test:443").as_deref(),
            Some("version: STSv1\nmode: enforce\nmx: *.mx.contoso.test\nmax_age: 2592000\n")
        );
        assert_eq!(
            shown("mta-sts.testing.test").as_deref(),
            Some("version: STSv1\nmode: testing\nmx: relay.test\nmax_age: 604800\n")
        );
        for host in [
            "contoso.test",
            "mta-sts.off.test",
            "mta-sts.pending.test",
            "mta-sts.example.org",
            "mta-sts.",
            "[::1]:443",
        ] {
            assert_eq!(shown(host), None, "{host}");
        }
    }
}
