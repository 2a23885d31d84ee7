//! Talking to the API: over the local socket of the running server, to a server elsewhere with a
//! key (`remote`), or, for questions only, over the data folder when no server runs.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, Response, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

use relais_admin::local::LocalApi;

use crate::failure::Failure;
use crate::output;
use crate::remote::{Remote, offered};

/// Largest answer in octets, as [`LocalApi`]'s.
const ANSWER_OCTETS_MAX: usize = 512 << 20;
/// An answer that takes longer does not come: a backup of a large spool takes minutes.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(1_800);

/// The API, wherever it is.
pub(crate) enum Api {
    /// Of the running server.
    Socket(PathBuf),
    /// Over the data folder, for reading.
    Local(LocalApi),
    /// Of a server elsewhere.
    Remote(Remote),
}

/// An answer that is no problem.
pub(crate) struct Answer {
    /// JSON; `null` for none.
    pub(crate) value: Value,
    /// Version of the settings.
    pub(crate) etag: Option<String>,
}

impl Api {
    /// Asks. `query`: names and values, not encoded.
    pub(crate) async fn get(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<Answer, Failure> {
        self.call(Method::GET, &address(path, query), None, None)
            .await
    }

    /// Does.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Answer, Failure> {
        self.call(Method::POST, &address(path, &[]), None, Some(body))
            .await
    }

    /// Replaces what had this version.
    pub(crate) async fn put(
        &self,
        path: &str,
        query: &[(&str, String)],
        etag: &str,
        body: &Value,
    ) -> Result<Answer, Failure> {
        self.call(Method::PUT, &address(path, query), Some(etag), Some(body))
            .await
    }

    async fn call(
        &self,
        method: Method,
        address: &str,
        etag: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Answer, Failure> {
        let Self::Remote(remote) = self else {
            return self.call_once(method, address, etag, body).await;
        };
        let Some(list) = offered(method.as_str(), address)?.list else {
            return self.call_once(method, address, etag, body).await;
        };
        // Over the network lists come in pages; whoever asks for the list wants all of it.
        let mut answer = self.call_once(method, address, etag, body).await?;
        let mark = if address.contains('?') { '&' } else { '?' };
        while let Some(next) = answer.value["next_cursor"].as_str() {
            let address = format!("{address}{mark}cursor={}", encode(next));
            let page = self.call_once(Method::GET, &address, None, None).await?;
            let (more, next) = (page.value[list].clone(), page.value["next_cursor"].clone());
            let (Some(all), Value::Array(more)) = (answer.value[list].as_array_mut(), more) else {
                let words = format!("{} answers no list", remote.authority);
                return Err(Failure::Failed(words));
            };
            all.extend(more);
            answer.value["next_cursor"] = next;
        }
        Ok(answer)
    }

    async fn call_once(
        &self,
        method: Method,
        address: &str,
        etag: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Answer, Failure> {
        let octets = body
            .map(|body| body.to_string().into_bytes())
            .unwrap_or_default();
        let (status, etag, octets) = match self {
            Self::Local(api) => {
                let answer = api.call(method, address, octets).await;
                (answer.status, answer.etag, answer.body)
            }
            Self::Socket(_) | Self::Remote(_) => {
                let asked = self.over_wire(self.request(method, address, etag, octets)?);
                tokio::time::timeout(ANSWER_TIME_MAX, asked)
                    .await
                    .map_err(|_| Failure::TryLater("the server does not answer".to_owned()))??
            }
        };
        let value = serde_json::from_slice(&octets).unwrap_or(Value::Null);
        if (200..300).contains(&status) {
            Ok(Answer { value, etag })
        } else {
            Err(failure(status, &value))
        }
    }

    /// Asks for lines without an end; each goes to `line`, which says whether it wants more.
    pub(crate) async fn follow(
        &self,
        path: &str,
        query: &[(&str, String)],
        mut line: impl FnMut(&str) -> Result<ControlFlow<()>, Failure>,
    ) -> Result<(), Failure> {
        let address = address(path, query);
        if let Self::Remote(_) = self {
            offered("GET", &address)?;
        }
        let mut sender = self.connect().await?;
        let request = self.request(Method::GET, &address, None, Vec::new())?;
        let response = send(&mut sender, request).await?;
        let status = response.status().as_u16();
        let mut body = response.into_body();
        if !(200..300).contains(&status) {
            let octets = collect(body).await?;
            return Err(failure(
                status,
                &serde_json::from_slice(&octets).unwrap_or(Value::Null),
            ));
        }
        let mut unread = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { break };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            unread.extend_from_slice(&data);
            while let Some(end) = unread.iter().position(|octet| *octet == b'\n') {
                let text: Vec<u8> = unread.drain(..=end).collect();
                if line(String::from_utf8_lossy(&text).trim_end())?.is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

impl Api {
    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Failure> {
        match self {
            Self::Local(_) => Err(Failure::TryLater(
                "live events need the running server".to_owned(),
            )),
            Self::Socket(socket) => {
                let stream = UnixStream::connect(socket).await;
                shake_hands(stream.map_err(|error| unreachable_socket(socket, &error))?).await
            }
            Self::Remote(remote) => shake_hands(remote.connect().await?).await,
        }
    }

    async fn over_wire(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(u16, Option<String>, Vec<u8>), Failure> {
        let mut sender = self.connect().await?;
        let response = send(&mut sender, request).await?;
        let status = response.status().as_u16();
        let etag = response.headers().get(header::ETAG);
        let etag = etag
            .and_then(|tag| tag.to_str().ok())
            .map(ToOwned::to_owned);
        let octets = collect(response.into_body()).await?;
        Ok((status, etag, octets))
    }

    fn request(
        &self,
        method: Method,
        address: &str,
        etag: Option<&str>,
        body: Vec<u8>,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let mut request = Request::builder()
            .method(method)
            .uri(address)
            .header(header::CONTENT_TYPE, "application/json");
        request = match self {
            Self::Remote(remote) => request
                .header(header::HOST, &remote.authority)
                .header(header::AUTHORIZATION, remote.authorization()),
            Self::Socket(_) | Self::Local(_) => request.header(header::HOST, "relais"),
        };
        if let Some(etag) = etag {
            request = request.header(header::IF_MATCH, etag);
        }
        request
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| Failure::Failed(format!("the request cannot be written: {error}")))
    }
}

/// Whether a server listens on the socket; `Err` if we may not ask.
pub(crate) async fn answers(socket: &Path) -> Result<bool, Failure> {
    match UnixStream::connect(socket).await {
        Ok(_) => Ok(true),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(false),
            _ => Err(unreachable_socket(socket, &error)),
        },
    }
}

fn unreachable_socket(socket: &Path, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Failure::NotRunning {
            socket: socket.to_owned(),
        },
        io::ErrorKind::PermissionDenied => Failure::Failed(format!(
            "{} may not be used by you: run as root, or as a member of the server's group",
            socket.display()
        )),
        _ => Failure::Failed(format!("{}: {error}", socket.display())),
    }
}

async fn shake_hands<S>(stream: S) -> Result<SendRequest<Full<Bytes>>, Failure>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    tokio::spawn(async move {
        // The request's own error tells what happened.
        let _ = connection.await;
    });
    Ok(sender)
}

fn broken(error: hyper::Error) -> Failure {
    Failure::TryLater(format!("the server broke the connection off: {error}"))
}

async fn send(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, Failure> {
    sender.send_request(request).await.map_err(broken)
}

async fn collect(body: Incoming) -> Result<Vec<u8>, Failure> {
    let collected = Limited::new(body, ANSWER_OCTETS_MAX).collect().await;
    let collected = collected
        .map_err(|error| Failure::TryLater(format!("the server's answer broke off: {error}")))?;
    Ok(collected.to_bytes().to_vec())
}

fn address(path: &str, query: &[(&str, String)]) -> String {
    let mut address = format!("/api/v1{path}");
    for (number, (name, value)) in query.iter().enumerate() {
        address.push(if number == 0 { '?' } else { '&' });
        address.push_str(name);
        address.push('=');
        address.push_str(&encode(value));
    }
    address
}

/// For a path segment or the value of a query. RFC 3986 §2.3.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            encoded.push(char::from(octet));
        } else {
            encoded.push_str(&format!("%{octet:02X}"));
        }
    }
    encoded
}

/// A problem of the API as a failure of the command.
fn failure(status: u16, problem: &Value) -> Failure {
    let mut sentence = problem["detail"]
        .as_str()
        .unwrap_or("the server answered with an error")
        .to_owned();
    let errors = problem["errors"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if errors.len() > 1 {
        for error in errors {
            sentence.push_str("\n  ");
            sentence.push_str(error.as_str().unwrap_or_default());
        }
    }
    let sentence = output::clean_lines(&sentence);
    match status {
        404 => Failure::NotFound(sentence),
        412 => Failure::Conflict(sentence),
        503 => Failure::TryLater(sentence),
        _ => Failure::Failed(sentence),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_encoded() {
        let query = [
            ("q", "to:a@b.example \"é&=\"".to_owned()),
            ("limit", "1".to_owned()),
        ];
        assert_eq!(
            address("/trace", &query),
            "/api/v1/trace?q=to%3Aa%40b.example%20%22%C3%A9%26%3D%22&limit=1"
        );
    }

    #[test]
    fn a_problem_has_the_exit_code_of_its_status() {
        let problem = serde_json::json!({ "detail": "No.", "errors": ["a", "b"] });
        for (status, code) in [
            (400, 1),
            (404, 3),
            (409, 1),
            (412, 1),
            (422, 1),
            (500, 1),
            (503, 75),
        ] {
            let failure = failure(status, &problem);
            assert_eq!(failure.exit_code(), code, "{status}");
            assert_eq!(failure.to_string(), "No.\n  a\n  b");
        }
    }
}
