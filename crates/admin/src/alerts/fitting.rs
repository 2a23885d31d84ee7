//! Whether something is of the mail that a rule is for: by the tests of the trace, so that a search
//! for the rule's tokens shows what the rule saw.

use relais_policy::alert::{Scope, ScopePart};
use relais_store::trace::{Event, TraceQuery, TraceQueryError, TraceTerm};

/// A scope, ready to be held against events.
#[derive(Clone, Debug)]
pub(crate) struct Fitting {
    /// Of the inbound connector only: the trace's token takes the outbound one too.
    connector: String,
    rest: TraceQuery,
}

impl Fitting {
    /// Or the sentence on what cannot be read.
    pub(crate) fn of(scope: &Scope) -> Result<Self, TraceQueryError> {
        let mut rest = TraceQuery::default();
        for (part, value) in scope.parts() {
            let term = TraceTerm::new(part.name(), value)?;
            if part != ScopePart::Connector {
                rest.terms.push(term);
            }
        }
        Ok(Self {
            connector: scope.connector.clone(),
            rest,
        })
    }

    pub(crate) fn has(&self, event: &Event) -> bool {
        let connector = event.inbound_connector.as_deref().unwrap_or_default();
        let is_its = self.connector.is_empty() || connector.eq_ignore_ascii_case(&self.connector);
        is_its && self.rest.matches(event)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use relais_smtp::time::Timestamp;
    use relais_store::trace::{ClientSummary, EventKind, To};

    use super::*;

    fn event() -> Event {
        Event {
            organisation: Some("contoso".into()),
            inbound_connector: Some("Printers".into()),
            outbound_connector: Some("Direct".into()),
            client: Some(Arc::new(ClientSummary {
                address: [10, 1, 0, 42].into(),
                helo: Some("scanner-2".into()),
                credential: None,
                certificate: None,
            })),
            from: Some("scan@contoso.test".into()),
            to: Some(To::One("anna@fabrikam.example".into())),
            ..Event::new(Timestamp::from_millis(0), EventKind::RecipientFailed)
        }
    }

    fn scope(parts: [&str; 4]) -> Scope {
        let [connector, from, client, to] = parts.map(str::to_owned);
        Scope {
            connector,
            from,
            client,
            to,
            ..Scope::ALL
        }
    }

    #[test]
    fn a_rule_sees_its_mail_and_not_the_neighbours() {
        for (parts, fits) in [
            (["", "", "", ""], true),
            (["printers", "", "", ""], true),
            (["Servers", "", "", ""], false),
            (["Direct", "", "", ""], false),
            (["", "scan@contoso.test", "", ""], true),
            (["", "contoso.test", "", ""], true),
            (["", "other@contoso.test", "", ""], false),
            (["", "", "10.1.0.42", ""], true),
            (["", "", "10.1.0.0/24", ""], true),
            (["", "", "10.1.0.43", ""], false),
            (["", "", "scanner-2", ""], true),
            (["", "", "", "fabrikam.example"], true),
            (["", "", "", "contoso.test"], false),
            (["Printers", "contoso.test", "10.1.0.43", ""], false),
        ] {
            let fitting = Fitting::of(&scope(parts)).expect("a scope");
            assert_eq!(fitting.has(&event()), fits, "{parts:?}");
        }
    }

    #[test]
    fn a_value_that_is_none_is_told_in_a_sentence() {
        let wrong = Fitting::of(&scope(["", "", "10.1.0.0/99", ""]));
        assert!(wrong.is_err_and(|error| error.to_string().contains("client")));
    }
}
