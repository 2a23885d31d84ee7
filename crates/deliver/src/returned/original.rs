//! The message that something came back about, as the trace remembers it, and which of its
//! recipients is meant.

use std::sync::Arc;

use relais_policy::archive::is_copied;
use relais_policy::bounce::BounceToken;
use relais_policy::settings::Settings;
use relais_smtp::address::{Mailbox, ReversePath};
use relais_smtp::identifier::QueueId;
use relais_smtp::returned::{Returned, ReturnedRecipient};
use relais_store::store::Store;
use relais_store::trace::erase::ERASED_ADDRESS;
use relais_store::trace::{Event, EventKind, To, TraceQuery, TraceTerm};

use super::Concerned;

/// What is left of a message once it has gone.
pub(super) struct Original {
    pub(super) queue_id: QueueId,
    pub(super) organisation: Arc<str>,
    pub(super) inbound_connector: Option<Arc<str>>,
    /// `None`: the trace does not reach back so far, or the address was erased.
    pub(super) reverse_path: Option<ReversePath>,
    pub(super) subject: Option<Arc<str>>,
    /// The recipient that the address was made for got the copy for an archive: what is said of it
    /// is no business of whoever sent the message.
    pub(super) is_about_copy: bool,
    /// In the order of its envelope; `None`: the address was erased.
    recipients: Vec<Option<Mailbox>>,
    /// The place of the recipient that the address was made for.
    named: Option<u32>,
}

/// An address of the trace; `None`: what stands there is none that anybody has.
fn known(text: &str) -> Option<Mailbox> {
    let mailbox = Mailbox::parse(text).ok();
    mailbox.filter(|_| text != ERASED_ADDRESS)
}

impl Original {
    /// Looks into the trace.
    pub(super) async fn find(
        store: &Store,
        organisation: &Arc<str>,
        token: BounceToken,
    ) -> Result<Self, String> {
        let term = |name, value: &str| TraceTerm::new(name, value).map_err(|e| e.to_string());
        let query = TraceQuery {
            terms: vec![
                term("id", &token.queue_id.to_string())?,
                term("event", EventKind::MessageAccepted.name())?,
            ],
            // Before it was made there is nothing of it; a minute for clocks that were set.
            since: Some(
                token
                    .queue_id
                    .created_at()
                    .before(std::time::Duration::from_secs(60)),
            ),
            limit: 1,
            ..TraceQuery::default()
        };
        let rows = store
            .trace(&query)
            .await
            .map_err(|error| error.to_string())?;
        let accepted = rows
            .first()
            .and_then(|row| Event::from_json(&row.json).ok());
        Ok(Self::of(accepted, organisation, token))
    }

    fn of(accepted: Option<Event>, organisation: &Arc<str>, token: BounceToken) -> Self {
        let mut original = Self {
            queue_id: token.queue_id,
            organisation: Arc::clone(organisation),
            inbound_connector: None,
            reverse_path: None,
            subject: None,
            is_about_copy: false,
            recipients: Vec::new(),
            named: token.recipient,
        };
        let Some(accepted) = accepted else {
            return original;
        };
        original.inbound_connector = accepted.inbound_connector;
        original.subject = accepted.subject;
        original.reverse_path = accepted.from.and_then(|from| match &*from {
            "" => Some(ReversePath::Null),
            from => known(from).map(ReversePath::Mailbox),
        });
        let to = match accepted.to {
            Some(To::Many(many)) => many,
            Some(To::One(one)) => vec![one],
            None => Vec::new(),
        };
        original.recipients = to.iter().map(|to| known(to)).collect();
        let detail = accepted.detail.as_deref().unwrap_or_default();
        let meant = original.meant();
        original.is_about_copy = meant.is_some_and(|meant| is_copied(detail, &meant));
        original
    }

    /// The sender of a message that was passed on for them: neither ours, nor a client's.
    pub(super) fn stranger(&self, settings: &Settings) -> Option<Mailbox> {
        let sender = self.reverse_path.as_ref().and_then(ReversePath::mailbox)?;
        let is_ours = |domain| {
            let owned = settings.verified_domain(domain).is_some();
            owned || settings.bounce_domain(domain).is_some()
        };
        let is_stranger = self.inbound_connector.is_none() && !sender.domain().is_none_or(is_ours);
        is_stranger.then(|| sender.clone())
    }

    /// Whom a notice is about: those it names that the message went to; where it names nobody of
    /// ours, the one that its address was made for, or the only one.
    pub(super) fn concerned(&self, read: &Returned) -> Vec<Concerned> {
        let mut concerned: Vec<Concerned> = Vec::new();
        for one in &read.recipients {
            if let Some(address) = self.ours(one)
                && concerned
                    .iter()
                    .all(|other| other.address.as_ref() != Some(&address))
            {
                concerned.push(Concerned {
                    address: Some(address),
                    said: one.said,
                    status: one.status,
                    diagnostic: one.diagnostic.as_deref().map(Into::into),
                    suppressed: None,
                });
            }
        }
        if !concerned.is_empty() {
            return concerned;
        }
        // A notice that names one recipient by a name that we never used (a list, an alias) speaks
        // of the one that we meant.
        let only = match read.recipients.as_slice() {
            [only] => Some(only),
            _ => None,
        };
        let words = || read.words.as_deref().map(Into::into);
        vec![Concerned {
            address: self.meant(),
            said: only.map_or(read.said, |only| only.said),
            status: only.and_then(|only| only.status),
            diagnostic: only
                .and_then(|only| only.diagnostic.as_deref().map(Into::into))
                .or_else(words),
            suppressed: None,
        }]
    }

    fn ours(&self, one: &ReturnedRecipient) -> Option<Mailbox> {
        let named = [&one.address, &one.final_address].into_iter().flatten();
        let is = |mailbox: &&Mailbox, named: &Mailbox| {
            mailbox.to_string().eq_ignore_ascii_case(&named.to_string())
        };
        let mut named = named;
        let in_question = self.in_question();
        named.find_map(|named| {
            let mut in_question = in_question.iter().flatten();
            in_question.find(|mailbox| is(mailbox, named)).cloned()
        })
    }

    /// Of whom the holder of the address may speak: it was given to the next hop of this recipient,
    /// or of all those in one domain, and nobody else's mail is a matter of his.
    fn in_question(&self) -> &[Option<Mailbox>] {
        if let Some(number) = self.named {
            let at = usize::try_from(number).unwrap_or(usize::MAX);
            return self.recipients.get(at).map_or(&[], std::slice::from_ref);
        }
        let mut hosts = self.recipients.iter().flatten().map(Mailbox::host);
        let first = hosts.next();
        if hosts.all(|host| Some(host) == first) {
            &self.recipients
        } else {
            &[]
        }
    }

    fn meant(&self) -> Option<Mailbox> {
        if let Some(number) = self.named {
            let at = usize::try_from(number).ok()?;
            return self.recipients.get(at).cloned().flatten();
        }
        match self.recipients.as_slice() {
            [only] => only.clone(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use relais_smtp::returned::read;
    use relais_smtp::time::Timestamp;

    use super::*;

    fn original(recipients: &[&str], named: Option<u32>) -> Original {
        let now = Timestamp::from_millis(1_795_910_400_000);
        let mut accepted = Event::new(now, EventKind::MessageAccepted);
        accepted.to = Some(To::Many(recipients.iter().map(|to| (*to).into()).collect()));
        let token = BounceToken {
            queue_id: QueueId::new(now, 0, 1),
            recipient: named,
        };
        Original::of(Some(accepted), &"contoso".into(), token)
    }

    fn notice(recipient: &str) -> Returned {
        let text = format!(
            "Content-Type: multipart/report; boundary=x\r\n\r\n--x\r\nContent-Type: \
             message/delivery-status\r\n\r\nReporting-MTA: dns; mx\r\n\r\nFinal-Recipient: \
             rfc822; {recipient}\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--x--\r\n"
        );
        read(text.as_bytes())
    }

    fn addresses(concerned: &[Concerned]) -> Vec<String> {
        let text = |one: &Concerned| one.address.as_ref().map_or("-".into(), ToString::to_string);
        concerned.iter().map(text).collect()
    }

    #[test]
    fn only_recipients_of_the_message_count() {
        let two = original(&["a@example.org", "b@example.org"], None);
        assert_eq!(
            addresses(&two.concerned(&notice("B@example.ORG"))),
            ["b@example.org"]
        );
        // Somebody else's address: the failure is told, and nobody is suppressed for it.
        let told = two.concerned(&notice("victim@example.net"));
        assert_eq!(addresses(&told), ["-"]);
        assert_eq!(told[0].said, relais_smtp::returned::Said::Failure);
    }

    #[test]
    fn an_erased_address_is_nobodys_and_keeps_its_place() {
        let of = |named| original(&[ERASED_ADDRESS, "b@example.org"], named);
        assert_eq!(
            addresses(&of(Some(0)).concerned(&notice("a@x.example"))),
            ["-"]
        );
        assert_eq!(
            addresses(&of(Some(0)).concerned(&notice(ERASED_ADDRESS))),
            ["-"]
        );
        assert_eq!(
            addresses(&of(Some(1)).concerned(&notice("b@mail.example.org"))),
            ["b@example.org"]
        );
        let mut accepted = Event::new(Timestamp::from_millis(0), EventKind::MessageAccepted);
        accepted.from = Some(ERASED_ADDRESS.into());
        let token = BounceToken {
            queue_id: QueueId::new(accepted.time, 0, 1),
            recipient: None,
        };
        let erased = Original::of(Some(accepted), &"contoso".into(), token);
        assert_eq!(erased.reverse_path, None);
    }

    #[test]
    fn who_got_a_copy_speaks_for_nobody_elses_server() {
        let two = original(&["mallory@evil.example", "ceo@customer.test"], None);
        assert_eq!(
            addresses(&two.concerned(&notice("ceo@customer.test"))),
            ["-"]
        );
        let first = original(&["mallory@evil.example", "ceo@customer.test"], Some(0));
        let told = first.concerned(&notice("ceo@customer.test"));
        assert_eq!(addresses(&told), ["mallory@evil.example"]);
    }

    #[test]
    fn the_place_in_the_address_tells_whom_an_unknown_name_means() {
        let second = original(&["a@example.org", "b@example.org"], Some(1));
        assert_eq!(
            addresses(&second.concerned(&notice("b@mail.example.org"))),
            ["b@example.org"]
        );
        let only = original(&["a@example.org"], None);
        assert_eq!(
            addresses(&only.concerned(&notice("x@mail.example.org"))),
            ["a@example.org"]
        );
        let beyond = original(&["a@example.org"], Some(7));
        assert_eq!(
            addresses(&beyond.concerned(&notice("x@mail.example.org"))),
            ["-"]
        );
    }
}
