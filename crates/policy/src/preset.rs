//! Presets of outbound connectors: data (`presets.toml`), not code.

use serde::Deserialize;

/// What an outbound connector of a provider begins with.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutboundPreset {
    /// As `--preset` names it.
    pub name: String,
    /// For people.
    pub title: String,
    /// What is left to be done: flags to give, and the provider's side.
    pub fix: Vec<String>,
    /// Keys of the connector.
    pub keys: toml::Table,
}

#[derive(Deserialize)]
struct Presets {
    preset: Vec<OutboundPreset>,
}

/// All of them, in order.
pub fn outbound_presets() -> Vec<OutboundPreset> {
    toml::from_str::<Presets>(include_str!("presets.toml"))
        .map(|presets| presets.preset)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::document::{AuthMethod, OutboundConnector};

    use super::*;

    #[test]
    fn each_preset_is_a_connector_whose_certificate_is_checked_where_it_logs_in() {
        let presets = outbound_presets();
        assert_eq!(presets.len(), 7);
        for preset in presets {
            let mut keys = preset.keys.clone();
            keys.insert("name".to_owned(), preset.title.clone().into());
            let connector: OutboundConnector = keys.try_into().expect(&preset.name);
            let logs_in = connector.auth.method != AuthMethod::None;
            assert!(
                !logs_in || !connector.tls_domain.is_empty(),
                "{}",
                preset.name
            );
            assert!(!preset.fix.is_empty());
        }
    }
}
