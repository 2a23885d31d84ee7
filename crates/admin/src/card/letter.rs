//! The card as a message to whoever sets the device up: in words, as HTML and as PDF. Never with
//! the password: mail is read by many.
//!
//! Not here: how it is sent (`api/card`).

use askama::Template;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use relais_smtp::time::Timestamp;

use super::{Card, pdf, text};
use crate::compose::{Attachment, ComposeError, Named, Parts, compose};

/// What a message is made of beside the card.
pub(crate) struct Letter<'a> {
    pub(crate) card: &'a Card,
    /// Of its connector.
    pub(crate) name: &'a str,
    pub(crate) from: Named,
    pub(crate) to: Named,
    pub(crate) message_id: &'a str,
    pub(crate) now: Timestamp,
    /// What no part contains.
    pub(crate) boundary: &'a str,
}

#[derive(Template)]
#[template(path = "card-letter.html")]
struct Html<'a> {
    card: &'a Card,
    words: String,
}

impl Letter<'_> {
    pub(crate) fn subject(&self) -> String {
        let lang = self.card.lang;
        lang.with("card-letter-subject", self.name)
    }

    /// Header section and body.
    pub(crate) fn octets(&self) -> Result<Vec<u8>, ComposeError> {
        let (card, lang) = (self.card, self.card.lang);
        let words = lang.t("card-letter-words");
        let html = Html {
            card,
            words: words.clone(),
        };
        let parts = Parts {
            from: self.from.clone(),
            reply_to: None,
            to: vec![self.to.clone()],
            cc: Vec::new(),
            subject: self.subject(),
            text: Some(format!("{words}\n\n{}", text(card))),
            html: html.render().ok(),
            attachments: vec![Attachment {
                name: format!("{}.pdf", lang.t("card-file")),
                form: "application/pdf".to_owned(),
                content: STANDARD.encode(pdf(card)),
            }],
        };
        let (date, id) = (self.now.to_rfc5322(), self.message_id);
        let mut octets = format!("Date: {date}\r\nMessage-ID: <{id}>\r\n").into_bytes();
        octets.extend(compose(&parts, self.boundary)?);
        Ok(octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::tests::imagined;

    #[test]
    fn a_letter_has_the_card_as_words_as_html_and_as_pdf() {
        let card = imagined(1);
        let letter = Letter {
            card: &card,
            name: "Printers",
            from: Named::parse("it@contoso.test").expect("an address"),
            to: Named::parse("Tom <tom@example.org>").expect("an address"),
            message_id: "x@relay.contoso.test",
            now: Timestamp::from_millis(0),
            boundary: "b",
        };
        let octets = letter.octets().expect("a message");
        let message = String::from_utf8(octets).expect("ASCII in encoded parts");
        assert!(message.starts_with("Date: Thu, 01 Jan 1970"), "{message}");
        for part in [
            "text/plain",
            "text/html",
            "application/pdf",
            "Tom <tom@example.org>",
        ] {
            assert!(message.contains(part), "{part}: {message}");
        }
        let lines: String = message.split("\r\n").collect();
        let encoded = STANDARD.encode("<!DOCTYPE html>");
        assert!(lines.contains(&encoded[..12]), "{message}");
        assert!(message.is_ascii());
    }
}
