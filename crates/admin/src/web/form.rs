//! Fields of a form or a query: names may come more than once.

/// Fields of one form at most; more are not looked at.
const FIELDS_MAX: usize = 500;

/// What was sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// `application/x-www-form-urlencoded`. WHATWG URL §5.1.
    pub(super) fn parse(octets: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(octets).into_owned();
        Self(pairs.take(FIELDS_MAX).collect())
    }

    /// As if these had been sent.
    pub(super) fn of(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    /// The first of that name, without spaces around it; empty where there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// The same as it was typed: passwords.
    pub(super) fn raw(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(one, _)| one == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// All of that name.
    pub(super) fn all<'a, 'n: 'a>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(one, _)| one == name);
        named.map(|(_, value)| value.as_str())
    }
}
