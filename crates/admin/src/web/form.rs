//! Fields of a form or a query: names may come more than once. A form with a file comes in parts
//! (`multipart/form-data`, RFC 7578).

use std::convert::Infallible;
use std::future::ready;

use axum::body::Bytes;
use futures_util::stream;

/// Fields of one form at most; more are not looked at.
const FIELDS_MAX: usize = 500;

/// Why a form in parts is not read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum PartsFault {
    /// Its parts are not where they should be.
    Form,
    /// A part is no text.
    Text,
}

/// What was sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// `application/x-www-form-urlencoded`. WHATWG URL §5.1.
    pub(super) fn parse(octets: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(octets).into_owned();
        Self(pairs.take(FIELDS_MAX).collect())
    }

    /// What stands between the parts, where the type says that there are any.
    pub(super) fn boundary_of(content_type: &str) -> Option<String> {
        let boundary = multer::parse_boundary(content_type).ok()?;
        // RFC 2046 §5.1.1.
        (1..=70).contains(&boundary.len()).then_some(boundary)
    }

    /// `multipart/form-data`: of a file its content, not its name. RFC 7578 §4, RFC 2046 §5.1.
    pub(super) async fn parse_parts(octets: Bytes, boundary: String) -> Result<Self, PartsFault> {
        let whole = stream::once(ready(Ok::<_, Infallible>(octets)));
        let mut parts = multer::Multipart::new(whole, boundary);
        let mut pairs = Vec::new();
        while let Some(part) = parts.next_field().await.map_err(|_| PartsFault::Form)? {
            if pairs.len() == FIELDS_MAX {
                break;
            }
            let name = part.name().ok_or(PartsFault::Form)?.to_owned();
            let octets = part.bytes().await.map_err(|_| PartsFault::Form)?;
            let text = std::str::from_utf8(&octets).map_err(|_| PartsFault::Text)?;
            // Some editors of Windows begin a file with a mark of its order of octets.
            let text = text.strip_prefix('\u{feff}').unwrap_or(text);
            pairs.push((name, text.to_owned()));
        }
        Ok(Self(pairs))
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

#[cfg(test)]
mod tests {
    use super::*;

    const BROWSERS: &str = "multipart/form-data; boundary=----WebKitFormBoundaryAbC";

    async fn parts(text: &str) -> Result<Form, PartsFault> {
        let boundary = Form::boundary_of(BROWSERS).expect("a boundary");
        Form::parse_parts(text.replace('\n', "\r\n").into(), boundary).await
    }

    #[tokio::test]
    async fn a_form_in_parts_is_read_as_one_in_a_line() {
        let form = parts(
            "------WebKitFormBoundaryAbC\nContent-Disposition: form-data; name=\"form_token\"\n\n\
             abc\n\
             ------WebKitFormBoundaryAbC\nContent-Disposition: form-data; name=\"file\"; \
             filename=\"name=x.toml\"\nContent-Type: application/toml\n\n\
             \u{feff}[[organisation]]\n--\nname = \"contoso\"\n\n\
             ------WebKitFormBoundaryAbC\nContent-Disposition: form-data; name=\"none\"\n\n\n\
             ------WebKitFormBoundaryAbC--\n",
        )
        .await;
        let form = form.expect("a form");
        assert_eq!(form.raw("form_token"), "abc");
        assert_eq!(
            form.raw("file"),
            "[[organisation]]\r\n--\r\nname = \"contoso\"\r\n"
        );
        assert_eq!((form.raw("none"), form.0.len()), ("", 3));
    }

    #[tokio::test]
    async fn parts_that_are_cut_or_no_text_are_told_and_what_is_no_form_in_parts_is_none() {
        for cut in [
            "",
            "name=value",
            "------WebKitFormBoundaryAbC",
            "------WebKitFormBoundaryAbC\nContent-Disposition: form-data; name=\"a\"\n\nb",
            "------WebKitFormBoundaryAbC\n\nb\n------WebKitFormBoundaryAbC--",
        ] {
            assert_eq!(parts(cut).await.err(), Some(PartsFault::Form), "{cut}");
        }
        let octets = b"--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\xff\r\n--x--";
        let fault = Form::parse_parts(Bytes::from_static(octets), "x".to_owned());
        let fault = fault.await.err();
        assert_eq!(fault, Some(PartsFault::Text));
        for other in [
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "multipart/mixed; boundary=x",
            "multipart/form-data; boundary=",
        ] {
            assert_eq!(Form::boundary_of(other), None, "{other}");
        }
    }
}
