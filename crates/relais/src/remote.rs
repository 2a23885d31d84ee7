//! `--server URL`: the API of a server elsewhere, over HTTPS with a key. In clear only on this
//! machine: whoever listens in between would have the key.

use std::env;
use std::fs;
use std::net::IpAddr;

use relais_admin::api::OverNetwork;
use relais_net::clock::Clock;
use relais_net::stream::Stream;
use relais_net::tls::ClientTls;
use relais_policy::encryption::Demand;
use relais_smtp::address::Host;
use relais_smtp::domain::Domain;
use relais_smtp::secret::Secret;

use crate::failure::Failure;

/// The key itself, and the file that holds it.
pub(crate) const KEY_VARIABLE: &str = "RELAIS_API_KEY";
pub(crate) const KEY_FILE_VARIABLE: &str = "RELAIS_API_KEY_FILE";
/// Ports of the two schemes. RFC 9110 §4.2.
const HTTP_PORT: u16 = 80;
const HTTPS_PORT: u16 = 443;

/// A server elsewhere.
pub(crate) struct Remote {
    /// As typed: for `Host`.
    pub(crate) authority: String,
    key: Secret,
    host: String,
    port: u16,
    /// None: in clear.
    tls: Option<ClientTls>,
}

impl Remote {
    /// Of this URL, with the key of the environment. `tls`: whom we believe.
    pub(crate) fn new(
        url: &str,
        tls: impl FnOnce() -> Result<ClientTls, Failure>,
    ) -> Result<Self, Failure> {
        let place = Place::parse(url)?;
        let tls = place.is_encrypted.then(tls).transpose()?;
        Ok(Self {
            authority: place.authority,
            key: key()?,
            host: place.host,
            port: place.port,
            tls,
        })
    }

    /// The value of `Authorization`.
    pub(crate) fn authorization(&self) -> String {
        format!("Bearer {}", String::from_utf8_lossy(self.key.expose()))
    }

    /// A connection, encrypted where it must be.
    pub(crate) async fn connect(&self) -> Result<Stream, Failure> {
        let gone = |error: &dyn std::fmt::Display| {
            Failure::TryLater(format!("{} cannot be reached: {error}", self.authority))
        };
        let stream = Stream::connect(&self.host, self.port).await;
        let stream = stream.map_err(|error| gone(&error))?;
        let Some(tls) = &self.tls else {
            return Ok(stream);
        };
        let host = match self.host.parse::<IpAddr>() {
            Ok(address) => Host::Literal(address),
            Err(_) => Host::Domain(Domain::parse(&self.host).map_err(|error| gone(&error))?),
        };
        let now = Clock::system().now();
        let secured = tls.connect(stream, &host, &Demand::Host, now).await;
        let (stream, _) = secured.map_err(|error| gone(&error))?;
        Ok(stream)
    }
}

/// How the API is offered over the network; a failure, in words, where it is not.
pub(crate) fn offered(method: &str, address: &str) -> Result<OverNetwork, Failure> {
    let path = address.split('?').next().unwrap_or_default();
    relais_admin::api::over_network(method, path).ok_or_else(|| {
        let words = "this is done on the server's machine only: run it there, without --server";
        Failure::Usage(words.to_owned())
    })
}

fn key() -> Result<Secret, Failure> {
    if let Some(key) = env::var(KEY_VARIABLE).ok().filter(|key| !key.is_empty()) {
        return Ok(Secret::from(key));
    }
    let Some(file) = env::var_os(KEY_FILE_VARIABLE) else {
        return Err(Failure::Usage(format!(
            "--server needs a key: make one on the server's machine with `relais api-key add`, and \
             give it in {KEY_VARIABLE}, or its file in {KEY_FILE_VARIABLE}"
        )));
    };
    let text = fs::read_to_string(&file)
        .map_err(|error| Failure::Failed(format!("{}: {error}", file.display())))?;
    Ok(Secret::from(text.trim().to_owned()))
}

/// What a URL says.
#[derive(Debug, Eq, PartialEq)]
struct Place {
    authority: String,
    host: String,
    port: u16,
    is_encrypted: bool,
}

impl Place {
    fn parse(url: &str) -> Result<Self, Failure> {
        let wrong = |why: &str| Failure::Usage(format!("--server {url}: {why}"));
        let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
        let is_encrypted = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(wrong("write https://HOST or https://HOST:PORT")),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.is_empty() || authority.contains(['/', '@', '?', '#', ' ']) {
            return Err(wrong("write https://HOST or https://HOST:PORT"));
        }
        let default = if is_encrypted { HTTPS_PORT } else { HTTP_PORT };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                let port = port.parse().map_err(|_| wrong("that is no port"))?;
                (host, port)
            }
            _ => (authority, default),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_here = host == "localhost"
            || host
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        if !is_encrypted && !is_here {
            return Err(wrong(
                "a key goes over https:// only, except on this machine",
            ));
        }
        Ok(Self {
            authority: authority.to_owned(),
            host: host.to_owned(),
            port,
            is_encrypted,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_host_and_a_key_goes_in_clear_on_this_machine_only() {
        for (url, host, port, is_encrypted) in [
            (
                "https://relay.contoso.test",
                "relay.contoso.test",
                443,
                true,
            ),
            ("relay.contoso.test:8025", "relay.contoso.test", 8025, true),
            ("https://[2001:db8::1]/", "2001:db8::1", 443, true),
            ("https://[2001:db8::1]:8025", "2001:db8::1", 8025, true),
            ("http://127.0.0.1:8025", "127.0.0.1", 8025, false),
            ("http://localhost", "localhost", 80, false),
        ] {
            let place = Place::parse(url).expect(url);
            let found = (&*place.host, place.port, place.is_encrypted);
            assert_eq!(found, (host, port, is_encrypted), "{url}");
        }
        for url in [
            "http://relay.contoso.test",
            "ftp://relay.contoso.test",
            "https://",
            "https://user:pass@relay.contoso.test",
            "https://relay.contoso.test/api",
            "https://relay.contoso.test:port",
        ] {
            assert!(Place::parse(url).is_err(), "{url}");
        }
    }
}
