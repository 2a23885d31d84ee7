//! What two organisations have beside mail, and everything that may not change behind their backs.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use relais_admin::context::Caller;

use crate::access::Hosted;

/// Of the other organisation, once it is furnished.
pub(crate) const MORE_OF_OTHERS: [&str; 4] = [
    "Secret-Host",
    "fabrikam-partner",
    "hush-hush",
    "Fabrikam-Limited",
];

impl Hosted {
    /// Gives the other organisation of everything that there is; the numbers of it.
    pub(crate) async fn furnish(&self) -> Vec<(&'static str, String)> {
        let more = json!({ "document": { "organisation": [{
            "name": "fabrikam", "display_name": "Fabrikam-Limited",
            "outbound_connector": [{
                "name": "Secret-Host", "smart_hosts": ["192.0.2.9:25"], "tls": "none",
            }],
        }] } });
        let suppressed = json!({
            "organisation": "fabrikam", "address": "b@example.org", "reason": "hush-hush",
        });
        let restricted = json!({
            "kind": "address", "value": "paula@fabrikam.test", "reason": "hush-hush",
        });
        let suspended = json!({
            "organisation": "fabrikam", "destination": "fabrikam-partner.example",
            "suspended": true,
        });
        for (path, body) in [
            ("/apply", &more),
            ("/suppression/add", &suppressed),
            ("/restricted/block", &restricted),
            ("/queue/suspended", &suspended),
        ] {
            self.root(Method::POST, path, body).await;
        }
        let hook = json!({
            "name": "Secret-Host", "address": "https://fabrikam-partner.example/h",
            "organisation": "fabrikam", "events": ["message.accepted"],
        });
        let key = json!({
            "name": "Secret-Host", "organisation": "fabrikam", "scopes": ["trace:read"],
        });
        let report = json!({
            "organisation": "fabrikam", "every": "week", "to": ["chief@fabrikam.test"],
        });
        let report = self.root(Method::POST, "/reports/schedules", &report).await;
        let hook = self.root(Method::POST, "/webhooks", &hook).await;
        let key = self.root(Method::POST, "/api-keys", &key).await;
        let hold = json!({
            "organisation": "fabrikam", "address": "ceo@fabrikam.test", "reason": "hush-hush",
        });
        let hold = self.root(Method::POST, "/retention/holds", &hold).await;
        vec![
            ("{queue}", self.queue_id.clone()),
            ("{reference}", self.reference.clone()),
            ("{hook}", texts(&hook["id"])),
            ("{report}", texts(&report["id"])),
            ("{key}", texts(&key["id"])),
            ("{hold}", texts(&hold["id"])),
        ]
    }

    /// Over the API, as who may do everything.
    pub(crate) async fn root(&self, method: Method, path: &str, body: &Value) -> Value {
        let caller = Caller::socket(Some(0));
        let told = self.ask(&caller, method, path, body).await;
        assert_eq!(told.0, StatusCode::OK, "{path}: {}", told.1);
        serde_json::from_str(&told.1).expect("JSON")
    }

    /// Everything that requests could change, as who may see everything is told.
    pub(crate) async fn state(&self) -> Value {
        let mut state = json!({});
        for path in [
            "/settings",
            "/queue",
            "/queue/suspended",
            "/suppression",
            "/reports/schedules",
            "/restricted",
            "/admins",
            "/triggers",
            "/licences",
            "/secrets",
            "/dkim",
            "/api-keys",
            "/webhooks",
            "/alerts",
            "/retention/holds",
        ] {
            state[path] = self.root(Method::GET, path, &Value::Null).await;
        }
        let sessions = self.root(Method::GET, "/sessions", &Value::Null).await;
        let sessions = sessions["sessions"].as_array().expect("a list").iter();
        let sessions = sessions.map(|one| json!([one["name"], one["session"]]));
        state["/sessions"] = sessions.collect();
        state
    }
}

/// The text of a value.
pub(crate) fn texts(value: &Value) -> String {
    let text = value.as_str();
    text.unwrap_or_else(|| panic!("no text: {value}"))
        .to_owned()
}
