//! Posts to addresses that administrators name: webhooks and channels of alerts. The name is looked
//! up by our own resolver, and the connection goes to what was found there and then, so that an
//! answer that changes leads nowhere else. Private addresses, and HTTP in clear, only where the
//! address itself says so.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};

use super::{WebError, WebOptions, careful, error_of};
use crate::reach::is_private_literal;
use crate::resolver::Resolver;

/// A whole request: what a receiver does, it does after its answer. Standard Webhooks suggests 15
/// to 30 seconds.
pub const HOOK_TIMEOUT: Duration = Duration::from_secs(20);
/// Octets of an answer that are kept for people.
const ANSWER_OCTETS_MAX: usize = 1_024;

/// One post.
#[derive(Clone, Debug)]
pub struct HookRequest {
    /// Where.
    pub address: String,
    /// `application/json` …
    pub media_type: &'static str,
    /// More fields; names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// What.
    pub body: Vec<u8>,
    /// Private addresses are reached, and HTTP in clear is spoken.
    pub allow_private: bool,
}

/// What the server said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HookAnswer {
    /// HTTP's.
    pub status: u16,
    /// The beginning of it.
    pub text: String,
}

/// A client for such posts. Cheap to clone.
#[derive(Clone)]
pub struct Hooks {
    public: reqwest::Client,
    private: reqwest::Client,
}

impl Hooks {
    /// A client that asks the real network.
    ///
    /// # Errors
    /// If the library refuses; a sentence.
    pub fn new(resolver: &Resolver, options: &WebOptions) -> Result<Self, String> {
        let client = |allow_private: bool| {
            let options = WebOptions {
                // The address's own, else its scheme's.
                port: 0,
                allow_private,
                ..options.clone()
            };
            careful(resolver, &options)?
                .timeout(HOOK_TIMEOUT)
                .https_only(!allow_private)
                .build()
                .map_err(|error| error.to_string())
        };
        Ok(Self {
            public: client(options.allow_private)?,
            private: client(true)?,
        })
    }

    /// Posts.
    ///
    /// # Errors
    /// See [`WebError`]; a status is an answer.
    pub async fn post(&self, request: HookRequest) -> Result<HookAnswer, WebError> {
        let url = checked(&request.address, request.allow_private)?;
        let client = match request.allow_private {
            true => &self.private,
            false => &self.public,
        };
        let form = HeaderValue::from_static(request.media_type);
        let mut post = client.post(url).header(CONTENT_TYPE, form);
        for (name, value) in &request.headers {
            let value = HeaderValue::from_str(value).map_err(|_| WebError::Address)?;
            post = post.header(HeaderName::from_static(name), value);
        }
        let answer = post.body(request.body).send().await;
        let mut answer = answer.map_err(|error| error_of(&error))?;
        let status = answer.status().as_u16();
        let mut octets = Vec::new();
        while let Ok(Some(piece)) = answer.chunk().await {
            octets.extend_from_slice(&piece);
            if octets.len() >= ANSWER_OCTETS_MAX {
                break;
            }
        }
        octets.truncate(ANSWER_OCTETS_MAX);
        let text = String::from_utf8_lossy(&octets).into_owned();
        Ok(HookAnswer { status, text })
    }
}

/// Whether we would go there at all: `https`, and `http` among private addresses.
///
/// # Errors
/// [`WebError::Address`].
pub fn check_address(address: &str, allow_private: bool) -> Result<(), WebError> {
    checked(address, allow_private).map(|_| ())
}

fn checked(address: &str, allow_private: bool) -> Result<reqwest::Url, WebError> {
    let url = reqwest::Url::parse(address).map_err(|_| WebError::Address)?;
    let scheme_fits = url.scheme() == "https" || (allow_private && url.scheme() == "http");
    let host = url.host_str().unwrap_or_default();
    let has_user = !url.username().is_empty() || url.password().is_some();
    let is_private = is_private_literal(host) && !allow_private;
    if !scheme_fits || host.is_empty() || has_user || is_private {
        return Err(WebError::Address);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_to_an_address_of_our_own_network() {
        for address in [
            "https://127.0.0.1/x",
            "https://[::1]/x",
            "https://10.0.0.1/",
            "https://169.254.169.254/latest/meta-data",
            "https://[::ffff:10.0.0.1]/",
            "https://2130706433/",
            "https://0x7f.1/",
            "http://hooks.example.org/",
            "https://user:secret@hooks.example.org/",
            "ftp://hooks.example.org/",
            "file:///etc/passwd",
            "nothing",
        ] {
            assert!(check_address(address, false).is_err(), "{address}");
        }
        assert!(check_address("https://hooks.example.org:8443/x?y=z", false).is_ok());
        assert!(check_address("http://127.0.0.1:9000/x", true).is_ok());
        assert!(check_address("file:///etc/passwd", true).is_err());
    }
}
