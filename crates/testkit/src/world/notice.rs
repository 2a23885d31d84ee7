//! Reading a notice as a receiving program would: RFC 3464, as far as the ledger needs it.

/// What a notice says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Read {
    /// With brackets.
    pub(super) message_id: String,
    /// Recipient and action, each as written.
    pub(super) about: Vec<(String, String)>,
}

/// Reads a notice; `None` if the content is none.
pub(super) fn read(content: &[u8]) -> Option<Read> {
    let text = String::from_utf8_lossy(content)
        .replace("\r\n ", " ")
        .replace("\r\n\t", " ");
    let header = text.split("\r\n\r\n").next()?;
    let is_report = field(header, "Content-Type").is_some_and(|value| {
        value
            .to_ascii_lowercase()
            .contains("report-type=delivery-status")
    });
    if !is_report {
        return None;
    }
    let message_id = field(header, "Message-ID")?.to_owned();
    let mut about = Vec::new();
    let mut recipient = None;
    for line in text.lines() {
        if let Some(value) = line.strip_prefix("Final-Recipient: ") {
            recipient = value.split("; ").nth(1).map(str::to_owned);
        } else if let Some(action) = line.strip_prefix("Action: ")
            && let Some(recipient) = recipient.take()
        {
            about.push((recipient, action.to_owned()));
        }
    }
    Some(Read { message_id, about })
}

fn field<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let value = |line: &'a str| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    };
    header.lines().find_map(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_recipient_of_a_notice_is_read_with_its_action() {
        let text = b"Received: x\r\nMessage-ID: <n1@relay.test>\r\nContent-Type: multipart/report;\
            \r\n report-type=delivery-status; boundary=b\r\n\r\nReporting-MTA: dns; relay.test\r\n\
            \r\nFinal-Recipient: rfc822; a@x.test\r\nAction: failed\r\n\r\nFinal-Recipient: rfc822;\
            \r\n b@x.test\r\nAction: failed\r\n";
        let read = read(text).expect("a notice");
        assert_eq!(read.message_id, "<n1@relay.test>");
        let failed = |to: &str| (to.to_owned(), "failed".to_owned());
        assert_eq!(read.about, [failed("a@x.test"), failed("b@x.test")]);
    }

    #[test]
    fn other_content_is_no_notice() {
        assert_eq!(
            read(b"Subject: x\r\nContent-Type: text/plain\r\n\r\nAction: failed\r\n"),
            None
        );
    }
}
