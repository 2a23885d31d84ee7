//! What came back, passed on to a person.

use relais_policy::document::Language;
use relais_policy::notice::{Addressee, addressee_of_returned};
use relais_smtp::address::Mailbox;
use relais_smtp::dsn::{self, Forwarded, ForwardedRecipient, Last};
use relais_smtp::identifier::QueueId;
use relais_smtp::returned::{Returned, Said};
use relais_smtp::time::Timestamp;
use relais_store::queue::{INLINE_OCTETS_MAX, Leased};

use super::{Concerned, Original, Passed};
use crate::connection::Shared;
use crate::forwards::Admission;
use crate::notice;

/// What came back is attached whole up to this size, in octets; of more, its header section.
const WHOLE_OCTETS_MAX: u64 = 40 * 1_024;

/// The message to a person, if one is due; or why none is.
pub(super) async fn due(
    shared: &Shared,
    leased: &Leased,
    read: &Returned,
    original: &Original,
    concerned: &[Concerned],
) -> Result<Passed, &'static str> {
    let context = &shared.context;
    match concerned
        .iter()
        .map(|one| one.said)
        .max()
        .unwrap_or(read.said)
    {
        Said::Failure | Said::Complaint | Said::Success | Said::Other => {}
        Said::Delay => return Err("the other server goes on trying"),
        Said::AutomaticReply => return Err("nobody wrote it"),
    }
    let settings = context.store.settings();
    let (addressee, language) = addressee_of_returned(
        &settings,
        &original.organisation,
        original.inbound_connector.as_deref(),
        original.reverse_path.as_ref(),
    );
    let to = match addressee {
        Addressee::ReversePath(to) | Addressee::Owner(to) | Addressee::Postmaster(to) => to,
        Addressee::Nobody { because } => return Err(because),
    };
    let moment = context.clock.moment();
    let of = &original.organisation;
    let admission = shared.forwards.admit(of, &to, original.queue_id, moment);
    let now = context.clock.now();
    let last = match admission {
        Admission::Yes => None,
        Admission::LastOfMessage(left) => Some(Last::OfMessage(now.after(left))),
        Admission::LastOfPerson(left) => Some(Last::OfPerson(now.after(left))),
        Admission::No => return Err("too many in an hour, and it was said"),
    };
    let is_whole = leased.facts.size <= WHOLE_OCTETS_MAX;
    let returned = notice::Returned {
        is_full: is_whole,
        octets: Vec::new(),
    };
    let returned = returned.read(&context.store, &leased.content).await;
    let queue_id = context.store.next_queue_id(now);
    let composed = Composed {
        shared,
        original,
        concerned,
        said: read.said,
        to: &to,
        last,
        language,
        queue_id,
        now,
    };
    let mut octets = composed.write(&returned);
    if octets.len() > INLINE_OCTETS_MAX {
        octets = composed.write(&notice::Returned {
            is_full: false,
            octets: Vec::new(),
        });
    }
    let message = notice::message(
        &settings,
        &original.organisation,
        &to,
        queue_id,
        octets,
        now,
    );
    let accepted = notice::accepted(&message.facts, to.to_string().into(), original.queue_id);
    Ok((
        message,
        accepted,
        format!("passed on to {to} as {queue_id}"),
    ))
}

struct Composed<'a> {
    shared: &'a Shared,
    original: &'a Original,
    concerned: &'a [Concerned],
    said: Said,
    to: &'a Mailbox,
    last: Option<Last>,
    language: Language,
    queue_id: QueueId,
    now: Timestamp,
}

impl Composed<'_> {
    fn write(&self, returned: &notice::Returned) -> Vec<u8> {
        let options = &self.shared.context.options;
        let addresses: Vec<_> = self
            .concerned
            .iter()
            .map(|one| one.address.as_ref().map(ToString::to_string))
            .collect();
        let recipients: Vec<_> = self
            .concerned
            .iter()
            .zip(&addresses)
            .map(|(one, address)| ForwardedRecipient {
                address: address.as_deref(),
                said: one.said,
                status: one.status,
                diagnostic: one.diagnostic.as_deref(),
                suppressed: one.suppressed.is_some(),
            })
            .collect();
        let ids = (
            self.original.queue_id.to_string(),
            self.queue_id.to_string(),
        );
        let sender = self.original.reverse_path.as_ref().map(ToString::to_string);
        dsn::forward(&Forwarded {
            hostname: &options.hostname,
            from_domain: &notice::sender_domain(options, self.to),
            to: self.to,
            sender: sender.as_deref().filter(|sender| !sender.is_empty()),
            language: notice::language(self.language),
            now: self.now,
            queue_ids: (&ids.0, &ids.1),
            subject: self.original.subject.as_deref(),
            said: self.said,
            last: self.last,
            recipients: &recipients,
            returned: &returned.octets,
            returned_is_full: returned.is_full,
        })
    }
}
