//! Our cookies: what they are called, what they carry along, and how they are read.
//!
//! Where the listener speaks TLS each is `Secure` and bears `__Host-`: no other port and no name
//! above or below this host can put one in its place, and none goes in clear (RFC 6265bis
//! §4.1.3.2). In clear text, which is on loopback only, browsers would not take such names.

use axum::http::{HeaderMap, header};

use super::ask::Centre;
use crate::people::issuer::SIGN_IN_LIFE;

const YEAR_SECONDS: u64 = 365 * 24 * 60 * 60;

/// Each of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Cookie {
    /// The session's; it ends with the browser, and on our side before.
    Session,
    /// The language's, for who is not signed in.
    Language,
    /// A sign-in with an issuer that is under way: it must come back with the person, from a page
    /// of the issuer.
    SignIn,
}

impl Cookie {
    const fn plain_name(self) -> &'static str {
        match self {
            Self::Session => "relais_session",
            Self::Language => "relais_language",
            Self::SignIn => "relais_sso",
        }
    }

    fn name(self, is_encrypted: bool) -> String {
        let prefix = if is_encrypted { "__Host-" } else { "" };
        format!("{prefix}{}", self.plain_name())
    }

    /// What came with the request.
    pub(super) fn read(self, headers: &HeaderMap, is_encrypted: bool) -> Option<String> {
        let name = self.name(is_encrypted);
        let all = headers.get_all(header::COOKIE).iter();
        let pairs = all.filter_map(|value| value.to_str().ok());
        let mut pairs = pairs.flat_map(|line| line.split(';'));
        pairs.find_map(|pair| {
            let (found, value) = pair.trim().split_once('=')?;
            (found == name).then(|| value.to_owned())
        })
    }

    /// `Set-Cookie` with this value.
    pub(super) fn set(self, centre: &Centre, value: &str) -> String {
        let (site, life) = match self {
            Self::Session => ("Strict", None),
            Self::Language => ("Strict", Some(YEAR_SECONDS)),
            Self::SignIn => ("Lax", Some(SIGN_IN_LIFE.as_secs())),
        };
        let life = life.map_or_else(String::new, |seconds| format!("; Max-Age={seconds}"));
        self.written(centre, value, &format!("; SameSite={site}{life}"))
    }

    /// `Set-Cookie` that takes it back.
    pub(super) fn forget(self, centre: &Centre) -> String {
        self.written(centre, "", "; SameSite=Strict; Max-Age=0")
    }

    fn written(self, centre: &Centre, value: &str, more: &str) -> String {
        let is_encrypted = centre.context.certificates.is_centre_encrypted();
        let secure = if is_encrypted { "; Secure" } else { "" };
        let name = self.name(is_encrypted);
        format!("{name}={value}; Path=/; HttpOnly{more}{secure}")
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn with_tls_only_the_name_that_nobody_else_can_set_counts() {
        let mut headers = HeaderMap::new();
        let line = "relais_session=planted; __Host-relais_session=ours; other=1";
        headers.append(header::COOKIE, HeaderValue::from_static(line));
        let by_tls = Cookie::Session.read(&headers, true);
        let in_clear = Cookie::Session.read(&headers, false);
        assert_eq!(by_tls.as_deref(), Some("ours"));
        assert_eq!(in_clear.as_deref(), Some("planted"));
        assert_eq!(Cookie::Language.read(&headers, true), None);
    }
}
