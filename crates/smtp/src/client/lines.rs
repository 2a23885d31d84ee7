//! Writing command lines. Whatever an address, an ENVID or our own name holds, no control character
//! reaches the wire, so no value can end its line.

use alloc::vec::Vec;
use core::fmt::{self, Write};

use crate::address::{Mailbox, ReversePath};
use crate::envelope::{Body, EnvelopeRecipient, Notify, OriginalRecipient, Ret};

use super::{Extensions, Transaction};

/// The output, seen as a place for one line's words: control characters are left out.
struct Line<'a>(&'a mut Vec<u8>);

impl Write for Line<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.bytes().all(|octet| !octet.is_ascii_control()) {
            self.0.extend_from_slice(text.as_bytes());
        } else {
            self.0
                .extend(text.bytes().filter(|octet| !octet.is_ascii_control()));
        }
        Ok(())
    }
}

impl Line<'_> {
    fn word(&mut self, word: impl fmt::Display) {
        // Writing to memory cannot fail.
        let _ = write!(self, "{word}");
    }

    fn end(self) {
        self.0.extend_from_slice(b"\r\n");
    }
}

/// `EHLO name`, `HELO name`, `LHLO name`.
pub(super) fn hello(word: &str, hostname: &str, out: &mut Vec<u8>) {
    let mut line = Line(out);
    line.word(word);
    line.word(" ");
    line.word(hostname);
    line.end();
}

/// MAIL without parameters.
pub(super) fn bare_mail(reverse_path: &ReversePath, out: &mut Vec<u8>) {
    let mut line = Line(out);
    line.word("MAIL FROM:<");
    match reverse_path {
        ReversePath::Null => {}
        ReversePath::Mailbox(mailbox) => line.word(mailbox),
    }
    line.word(">");
    line.end();
}

/// RCPT without parameters.
pub(super) fn bare_rcpt(forward_path: &Mailbox, out: &mut Vec<u8>) {
    let mut line = Line(out);
    line.word("RCPT TO:<");
    line.word(forward_path);
    line.word(">");
    line.end();
}

/// MAIL with the parameters that the server understands. `smtp_utf8`: this transaction uses it.
pub(super) fn mail(
    transaction: &Transaction,
    extensions: &Extensions,
    smtp_utf8: bool,
    out: &mut Vec<u8>,
) {
    let parameters = &transaction.envelope.parameters;
    let mut line = Line(out);
    line.word("MAIL FROM:<");
    match &transaction.envelope.reverse_path {
        ReversePath::Null => {}
        ReversePath::Mailbox(mailbox) => line.word(mailbox),
    }
    line.word(">");
    if extensions.size.is_some() {
        line.word(" SIZE=");
        line.word(transaction.size);
    }
    let eight_bit = transaction.eight_bit || parameters.body == Body::EightBitMime;
    if extensions.eight_bit_mime && eight_bit {
        line.word(" BODY=8BITMIME");
    }
    if smtp_utf8 {
        line.word(" SMTPUTF8");
    }
    if extensions.dsn {
        match parameters.ret {
            Some(Ret::Full) => line.word(" RET=FULL"),
            Some(Ret::Headers) => line.word(" RET=HDRS"),
            None => {}
        }
        if let Some(envid) = parameters
            .envid
            .as_deref()
            .filter(|envid| !envid.is_empty())
        {
            line.word(" ENVID=");
            write_xtext(envid, &mut line);
        }
    }
    if extensions.require_tls && parameters.require_tls {
        line.word(" REQUIRETLS");
    }
    line.end();
}

/// RCPT with NOTIFY and ORCPT where the server understands them.
pub(super) fn rcpt(
    recipient: &EnvelopeRecipient,
    extensions: &Extensions,
    smtp_utf8: bool,
    out: &mut Vec<u8>,
) {
    let mut line = Line(out);
    line.word("RCPT TO:<");
    line.word(&recipient.forward_path);
    line.word(">");
    if extensions.dsn {
        if let Some(notify) = recipient.notify {
            write_notify(notify, &mut line);
        }
        if let Some(original) = &recipient.original {
            write_original(original, smtp_utf8, &mut line);
        }
    }
    line.end();
}

/// RFC 3461 §4.1.
fn write_notify(notify: Notify, line: &mut Line<'_>) {
    line.word(" NOTIFY=");
    if notify == Notify::NEVER {
        return line.word("NEVER");
    }
    let mut separator = "";
    for (wanted, word) in [
        (notify.success, "SUCCESS"),
        (notify.failure, "FAILURE"),
        (notify.delay, "DELAY"),
    ] {
        if wanted {
            line.word(separator);
            line.word(word);
            separator = ",";
        }
    }
}

/// RFC 3461 §4.2; for UTF-8 addresses RFC 6533 §3, in its 7-bit form unless the transaction uses
/// SMTPUTF8. An address type that is no atom cannot be passed on, nor can an empty address.
fn write_original(original: &OriginalRecipient, smtp_utf8: bool, line: &mut Line<'_>) {
    let kind = &original.address_type;
    let is_atom = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if kind.is_empty() || !is_atom(kind) || original.address.is_empty() {
        return;
    }
    line.word(" ORCPT=");
    line.word(kind);
    line.word(";");
    if kind.eq_ignore_ascii_case("utf-8") {
        write_utf8_address(&original.address, smtp_utf8, line);
    } else {
        write_xtext(&original.address, line);
    }
}

/// RFC 3461 §4: printable ASCII but `+` and `=` stands for itself, all else is `+` and two digits.
fn write_xtext(text: &str, line: &mut Line<'_>) {
    for octet in text.bytes() {
        if octet.is_ascii_graphic() && !matches!(octet, b'+' | b'=') {
            line.word(char::from(octet));
        } else {
            line.word(format_args!("+{octet:02X}"));
        }
    }
}

/// RFC 6533 §3, `utf-8-addr-unitext` where `as_utf8`, else `utf-8-addr-xtext`.
fn write_utf8_address(text: &str, as_utf8: bool, line: &mut Line<'_>) {
    for character in text.chars() {
        let plain = character.is_ascii_graphic() && !matches!(character, '+' | '=' | '\\');
        if plain || (as_utf8 && !character.is_ascii()) {
            line.word(character);
        } else {
            line.word(format_args!("\\x{{{:02X}}}", u32::from(character)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Mailbox;
    use crate::envelope::{Envelope, SenderParameters};
    use std::string::String;
    use std::vec;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    fn everything() -> Extensions {
        Extensions {
            size: Some(None),
            eight_bit_mime: true,
            smtp_utf8: true,
            dsn: true,
            require_tls: true,
            ..Extensions::default()
        }
    }

    fn transaction(parameters: SenderParameters) -> Transaction {
        let reverse_path = ReversePath::Mailbox(Mailbox::parse("a@contoso.test").expect("address"));
        let envelope = Envelope {
            reverse_path,
            parameters,
            recipients: vec![],
        };
        Transaction {
            envelope,
            size: 42,
            eight_bit: true,
            utf8_header: false,
        }
    }

    #[test]
    fn no_value_can_end_its_line() {
        let evil = "x\r\nRCPT TO:<evil@example.org>\0\u{7f}+=";
        let parameters = SenderParameters {
            envid: Some(evil.into()),
            ..SenderParameters::default()
        };
        let mail = written(|out| mail(&transaction(parameters), &everything(), false, out));
        assert_eq!(mail.matches(['\r', '\n']).count(), 2);
        assert!(
            mail.contains(" ENVID=x+0D+0ARCPT+20TO:<evil@example.org>+00+7F+2B+3D\r\n"),
            "{mail}"
        );
        let ehlo = written(|out| hello("EHLO", evil, out));
        assert_eq!(ehlo.matches(['\r', '\n']).count(), 2);
        for kind in ["rfc822", "utf-8", "x\r\ny", "", "a b"] {
            let mut recipient =
                EnvelopeRecipient::new(Mailbox::parse("b@example.org").expect("ok"));
            recipient.original = Some(OriginalRecipient {
                address_type: kind.into(),
                address: evil.into(),
            });
            let rcpt = written(|out| rcpt(&recipient, &everything(), true, out));
            assert_eq!(rcpt.matches(['\r', '\n', '\0']).count(), 2, "{rcpt}");
        }
    }

    #[test]
    fn parameters_go_only_where_they_are_offered() {
        let parameters = SenderParameters {
            body: Body::EightBitMime,
            ret: Some(Ret::Headers),
            envid: Some("A+1".into()),
            require_tls: true,
            ..SenderParameters::default()
        };
        let transaction = transaction(parameters);
        let bare = written(|out| mail(&transaction, &Extensions::default(), false, out));
        assert_eq!(bare, "MAIL FROM:<a@contoso.test>\r\n");
        let full = written(|out| mail(&transaction, &everything(), true, out));
        assert_eq!(
            full,
            "MAIL FROM:<a@contoso.test> SIZE=42 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=A+2B1 \
             REQUIRETLS\r\n"
        );
    }

    #[test]
    fn recipients_are_written_with_a_labels_and_their_original_form() {
        let mut recipient =
            EnvelopeRecipient::new(Mailbox::parse("jos\u{e9}@b\u{fc}cher.example").expect("ok"));
        recipient.notify = Some(Notify {
            success: true,
            failure: false,
            delay: true,
        });
        recipient.original = Some(OriginalRecipient {
            address_type: "utf-8".into(),
            address: "jos\u{e9}+x@b\u{fc}cher.example".into(),
        });
        let plain = written(|out| rcpt(&recipient, &everything(), false, out));
        assert_eq!(
            plain,
            "RCPT TO:<jos\u{e9}@xn--bcher-kva.example> NOTIFY=SUCCESS,DELAY \
             ORCPT=utf-8;jos\\x{E9}\\x{2B}x@b\\x{FC}cher.example\r\n"
        );
        let utf8 = written(|out| rcpt(&recipient, &everything(), true, out));
        assert!(
            utf8.ends_with("ORCPT=utf-8;jos\u{e9}\\x{2B}x@b\u{fc}cher.example\r\n"),
            "{utf8}"
        );
        recipient.notify = Some(Notify::NEVER);
        let never = written(|out| rcpt(&recipient, &everything(), false, out));
        assert!(never.contains(" NOTIFY=NEVER ORCPT="), "{never}");
    }
}
