//! A message out of its parts, for programs that have no library for that: text, HTML, attachments.
//! RFC 5322, RFC 2045, RFC 2047. Octets that a program has composed itself never come here.
//!
//! Not here: Date and Message-ID, which receiving adds where they are missing.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use relais_smtp::address::Mailbox;

/// Attachments of one message.
const ATTACHMENTS_MAX: usize = 100;
/// Longest value of a header field, in octets: a subject line.
const VALUE_OCTETS_MAX: usize = 998;
/// Octets of text in one encoded word: 75 characters at most, in base64. RFC 2047 §2.
const WORD_OCTETS_MAX: usize = 42;
/// Characters of a line of base64. RFC 2045 §6.8.
const BASE64_LINE_OCTETS: usize = 76;

/// A mailbox with the name that people read.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) name: Option<String>,
    pub(crate) mailbox: Mailbox,
}

/// Why there is no message.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum ComposeError {
    #[error("\"{0}\" is no address: write anna@example.org, or Anna <anna@example.org>")]
    Address(String),
    #[error(
        "{0} has a line break or a control character, or is longer than {VALUE_OCTETS_MAX} octets"
    )]
    Value(&'static str),
    #[error("\"{0}\" is no type like application/pdf")]
    Type(String),
    #[error("a message has at most {ATTACHMENTS_MAX} attachments")]
    TooMany,
    #[error("the content of \"{0}\" is no base64")]
    Base64(String),
}

impl Named {
    /// `anna@example.org`, `Anna <anna@example.org>`.
    pub(crate) fn parse(text: &str) -> Result<Self, ComposeError> {
        let no = || ComposeError::Address(text.to_owned());
        let text = text.trim();
        let (name, address) = match text
            .strip_suffix('>')
            .and_then(|rest| rest.rsplit_once('<'))
        {
            Some((name, address)) => (name.trim().trim_matches('"').trim(), address),
            None => ("", text),
        };
        let mailbox = Mailbox::parse(address).map_err(|_| no())?;
        check("a name", name)?;
        let name = (!name.is_empty()).then(|| name.to_owned());
        Ok(Self { name, mailbox })
    }

    fn write(&self) -> String {
        match &self.name {
            Some(name) => format!("{} <{}>", phrase(name), self.mailbox),
            None => self.mailbox.to_string(),
        }
    }
}

/// A file.
#[derive(Clone, Debug)]
pub(crate) struct Attachment {
    pub(crate) name: String,
    /// `application/pdf`.
    pub(crate) form: String,
    /// In base64.
    pub(crate) content: String,
}

/// The parts.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) from: Named,
    pub(crate) reply_to: Option<Named>,
    pub(crate) to: Vec<Named>,
    pub(crate) cc: Vec<Named>,
    pub(crate) subject: String,
    pub(crate) text: Option<String>,
    pub(crate) html: Option<String>,
    pub(crate) attachments: Vec<Attachment>,
}

/// The message. `boundary`: what no part contains; chance makes that sure.
pub(crate) fn compose(parts: &Parts, boundary: &str) -> Result<Vec<u8>, ComposeError> {
    check("the subject", &parts.subject)?;
    if parts.attachments.len() > ATTACHMENTS_MAX {
        return Err(ComposeError::TooMany);
    }
    let mut out = String::new();
    field(&mut out, "From", &parts.from.write());
    if let Some(reply_to) = &parts.reply_to {
        field(&mut out, "Reply-To", &reply_to.write());
    }
    for (name, people) in [("To", &parts.to), ("Cc", &parts.cc)] {
        if !people.is_empty() {
            let people: Vec<_> = people.iter().map(Named::write).collect();
            field(&mut out, name, &people.join(",\r\n "));
        }
    }
    if parts.to.is_empty() && parts.cc.is_empty() {
        field(&mut out, "To", "undisclosed-recipients:;");
    }
    field(&mut out, "Subject", &words(&parts.subject));
    field(&mut out, "MIME-Version", "1.0");
    let bodies = bodies(parts, boundary);
    if parts.attachments.is_empty() {
        out.push_str(&bodies);
        return Ok(out.into_bytes());
    }
    let mut inner = vec![bodies];
    for attachment in &parts.attachments {
        inner.push(attached(attachment)?);
    }
    out.push_str(&multipart("mixed", &format!("{boundary}-m"), &inner));
    Ok(out.into_bytes())
}

fn bodies(parts: &Parts, boundary: &str) -> String {
    match (&parts.text, &parts.html) {
        (Some(text), Some(html)) => multipart(
            "alternative",
            &format!("{boundary}-a"),
            &[text_part("plain", text), text_part("html", html)],
        ),
        (None, Some(html)) => text_part("html", html),
        (text, None) => text_part("plain", text.as_deref().unwrap_or_default()),
    }
}

/// With its own fields on top.
fn multipart(kind: &str, boundary: &str, parts: &[String]) -> String {
    let mut out = format!("Content-Type: multipart/{kind};\r\n boundary=\"{boundary}\"\r\n\r\n");
    for part in parts {
        out.push_str(&format!("--{boundary}\r\n{part}\r\n"));
    }
    out.push_str(&format!("--{boundary}--\r\n"));
    out
}

fn text_part(kind: &str, text: &str) -> String {
    // Line ends are CRLF in text. RFC 2046 §4.1.1.
    let text = text.replace("\r\n", "\n").replace('\n', "\r\n");
    format!(
        "Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
        lines_of(&STANDARD.encode(text))
    )
}

fn attached(attachment: &Attachment) -> Result<String, ComposeError> {
    check("a file name", &attachment.name)?;
    let (kind, form) = attachment.form.split_once('/').unwrap_or_default();
    let is_token = |text: &str| {
        let fits = |one: u8| one.is_ascii_alphanumeric() || b"-+._".contains(&one);
        !text.is_empty() && text.len() <= 64 && text.bytes().all(fits)
    };
    if !is_token(kind) || !is_token(form) || kind.eq_ignore_ascii_case("multipart") {
        return Err(ComposeError::Type(attachment.form.clone()));
    }
    let plain: String = attachment.content.split_ascii_whitespace().collect();
    let octets = STANDARD.decode(plain);
    let octets = octets.map_err(|_| ComposeError::Base64(attachment.name.clone()))?;
    Ok(format!(
        "Content-Type: {kind}/{form}\r\nContent-Disposition: attachment;\r\n {}\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}",
        file_name(&attachment.name),
        lines_of(&STANDARD.encode(octets))
    ))
}

/// RFC 2231 §4.
fn file_name(name: &str) -> String {
    let is_plain = |one: u8| one.is_ascii_alphanumeric() || b" ._-()".contains(&one);
    if name.bytes().all(is_plain) {
        return format!("filename=\"{name}\"");
    }
    let encoded = name.bytes().map(|octet| {
        if octet.is_ascii_alphanumeric() || b"._-".contains(&octet) {
            char::from(octet).to_string()
        } else {
            format!("%{octet:02X}")
        }
    });
    format!("filename*=utf-8''{}", encoded.collect::<String>())
}

fn lines_of(encoded: &str) -> String {
    let mut out = String::with_capacity(encoded.len() + encoded.len() / 38 + 2);
    for line in encoded.as_bytes().chunks(BASE64_LINE_OCTETS) {
        out.extend(line.iter().map(|one| char::from(*one)));
        out.push_str("\r\n");
    }
    out
}

fn field(out: &mut String, name: &str, value: &str) {
    out.push_str(name);
    out.push_str(": ");
    out.push_str(value);
    out.push_str("\r\n");
}

fn check(what: &'static str, text: &str) -> Result<(), ComposeError> {
    let is_bad = text.len() > VALUE_OCTETS_MAX || text.chars().any(char::is_control);
    if is_bad {
        Err(ComposeError::Value(what))
    } else {
        Ok(())
    }
}

/// A name before an address. RFC 5322 §3.2.5.
fn phrase(name: &str) -> String {
    let is_atom = |one: u8| one.is_ascii_alphanumeric() || b" -'_".contains(&one);
    if name.bytes().all(is_atom) && name.len() <= WORD_OCTETS_MAX {
        name.to_owned()
    } else {
        encoded_words(name)
    }
}

/// Text of a field: as it is where it is short and plain.
fn words(text: &str) -> String {
    let is_plain = text.bytes().all(|one| matches!(one, b' '..=b'~')) && !text.contains("=?");
    if is_plain && text.len() <= BASE64_LINE_OCTETS {
        text.to_owned()
    } else {
        encoded_words(text)
    }
}

/// RFC 2047 §5; no character is cut in two.
fn encoded_words(text: &str) -> String {
    let mut rest = text;
    let mut words = Vec::new();
    while !rest.is_empty() {
        let (word, after) = rest.split_at(rest.floor_char_boundary(WORD_OCTETS_MAX));
        words.push(format!("=?utf-8?B?{}?=", STANDARD.encode(word)));
        rest = after;
    }
    words.join("\r\n ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts() -> Parts {
        Parts {
            from: Named::parse("ERP <erp@contoso.test>").expect("an address"),
            reply_to: None,
            to: vec![Named::parse("Zoë Müller <z@example.org>").expect("an address")],
            cc: Vec::new(),
            subject: "Invoice 7".to_owned(),
            text: Some("Hello\nworld".to_owned()),
            html: None,
            attachments: Vec::new(),
        }
    }

    fn composed(parts: &Parts) -> String {
        String::from_utf8(compose(parts, "b").expect("a message")).expect("UTF-8")
    }

    #[test]
    fn a_text_is_a_message_that_any_reader_understands() {
        let message = composed(&parts());
        assert_eq!(
            message,
            "From: ERP <erp@contoso.test>\r\nTo: =?utf-8?B?Wm/DqyBNw7xsbGVy?= <z@example.org>\r\n\
             Subject: Invoice 7\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n\
             SGVsbG8NCndvcmxk\r\n"
        );
    }

    #[test]
    fn html_and_files_stand_in_their_parts() {
        let mut all = parts();
        all.html = Some("<p>Hello".to_owned());
        all.attachments.push(Attachment {
            name: "Rapport été.pdf".to_owned(),
            form: "application/pdf".to_owned(),
            content: "JVBERg==".to_owned(),
        });
        let message = composed(&all);
        for mark in [
            "multipart/mixed;\r\n boundary=\"b-m\"",
            "multipart/alternative;\r\n boundary=\"b-a\"",
            "text/html",
            "filename*=utf-8''Rapport%20%C3%A9t%C3%A9.pdf",
            "\r\nJVBERg==\r\n",
            "--b-m--",
        ] {
            assert!(message.contains(mark), "{mark} in {message}");
        }
        assert!(message.lines().all(|line| line.len() <= 78), "{message}");
    }

    #[test]
    fn nobody_smuggles_a_field_through_a_value() {
        for subject in ["a\r\nBcc: x@example.org", "a\nb", "a\u{0}b"] {
            let wrong = Parts {
                subject: subject.to_owned(),
                ..parts()
            };
            assert_eq!(
                compose(&wrong, "b"),
                Err(ComposeError::Value("the subject"))
            );
        }
        for text in ["a\r\nb <a@example.org>", "nobody", "<>", "a <b@c", ""] {
            assert!(Named::parse(text).is_err(), "{text}");
        }
        let mut wrong = parts();
        wrong.attachments.push(Attachment {
            name: "x".to_owned(),
            form: "text/plain\r\nX: y".to_owned(),
            content: String::new(),
        });
        assert!(matches!(compose(&wrong, "b"), Err(ComposeError::Type(_))));
    }

    #[test]
    fn a_long_subject_is_cut_between_characters() {
        let subject = "é".repeat(200);
        let message = composed(&Parts { subject, ..parts() });
        assert!(message.lines().all(|line| line.len() <= 78), "{message}");
        assert_eq!(message.matches("=?utf-8?B?").count(), 11, "{message}");
    }
}
