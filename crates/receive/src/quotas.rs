//! The limits of those who send, for all sessions at once: each message is counted in the one book
//! that all share, and what the book says becomes a refusal, a time of leaving, an event.
//!
//! Only clients are counted: mail that strangers bring to our domains is not sent by the
//! organisation, and notices do not come in here at all.
//!
//! Not here: the book (`relais_policy::limit`); its shelf (`relais_store::counts`); bounds on
//! connections (`limits`).

use std::sync::Arc;
use std::time::Duration;

use relais_net::clock::Clock;
use relais_policy::document::Limit;
use relais_policy::limit::{
    Admitted, Applying, Coming, Counts, LimitKey, LimitName, Reached, RecipientKey, Warning, Weight,
};
use relais_smtp::refusal::Refusal;
use relais_smtp::time::Timestamp;
use relais_store::counts;
use relais_store::store::Store;
use relais_store::trace::{Event, EventKind};
use tokio_util::sync::CancellationToken;

/// Between two times that counts are kept.
const KEEP_EVERY: Duration = Duration::from_secs(30);

/// What limits know of a transaction: which apply, and what it counts for so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counting {
    pub(crate) applying: Applying,
    weight: Weight,
    recipients: Vec<(RecipientKey, bool)>,
}

/// One more recipient, if it is taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OneMore {
    weight: Weight,
    recipient: (RecipientKey, bool),
}

impl Counting {
    pub(crate) fn new(applying: Applying) -> Self {
        Self {
            applying,
            ..Self::default()
        }
    }

    /// Whether limits let one more recipient in; external: outside the organisation's domains.
    pub(crate) fn check(
        &self,
        book: &Counts,
        organisation: &str,
        (key, external): (RecipientKey, bool),
        now: Timestamp,
    ) -> Result<OneMore, Refusal> {
        let mut weight = self.weight;
        weight.recipients += 1;
        weight.external += u64::from(external);
        let one_more = |weight| OneMore {
            weight,
            recipient: (key, external),
        };
        if self.applying.is_empty() {
            return Ok(one_more(weight));
        }
        let book = book.book();
        if self.applying.asks_for_new() {
            let is_known = book.is_known(organisation, key, now);
            let is_again = self.recipients.iter().any(|(other, _)| *other == key);
            weight.new += u64::from(!is_known && !is_again);
        }
        let checked = book.check(&self.applying, weight, now);
        checked.map_err(|reached| refusal(&reached, now))?;
        Ok(one_more(weight))
    }

    /// It is taken.
    pub(crate) fn add(&mut self, one_more: OneMore) {
        self.weight = one_more.weight;
        self.recipients.push(one_more.recipient);
    }

    /// Counts the message. A copy for an archive is a recipient like the others, as long as there
    /// is room for it: no message is refused because of its copy, which nobody asked the client
    /// about.
    pub(crate) fn admit(
        &self,
        book: &Counts,
        organisation: &Arc<str>,
        copy: Option<RecipientKey>,
        now: Timestamp,
    ) -> Result<Admitted, Refusal> {
        let admit = |recipients: &[_]| {
            let coming = Coming {
                organisation,
                recipients,
            };
            book.book().admit(&self.applying, coming, now)
        };
        let with_copy = copy.and_then(|copy| {
            // An archive lies in a domain of the organisation.
            let mut all = self.recipients.clone();
            all.push((copy, false));
            admit(&all).ok()
        });
        let admitted = with_copy.map_or_else(|| admit(&self.recipients), Ok);
        admitted.map_err(|reached| refusal(&reached, now))
    }
}

/// Why a message does not leave at once, in words for the trace.
pub(crate) fn because(admitted: &Admitted) -> Option<String> {
    let (name, limit) = admitted.slowest.as_ref()?;
    let until = admitted.due.to_rfc3339();
    Some(format!(
        "waits until {until}: {} is {}",
        name.words(),
        limit.value
    ))
}

/// What a person should hear of.
pub(crate) fn events(admitted: &Admitted) -> impl Iterator<Item = Event> {
    admitted.warnings.iter().map(|one| event(one, admitted.at))
}

/// Keeps what is counted, until the end.
pub(crate) async fn keep(book: &Counts, store: &Store, clock: &Clock, ending: &CancellationToken) {
    while !ending.is_cancelled() {
        tokio::select! {
            biased;
            () = ending.cancelled() => {}
            () = clock.sleep(KEEP_EVERY) => save(book, store, clock.now()).await,
        }
    }
}

/// Keeps what is counted.
pub(crate) async fn save(book: &Counts, store: &Store, now: Timestamp) {
    if let Err(error) = counts::save(store, book, now).await {
        tracing::warn!(%error, "the counts of limits could not be kept");
    }
}

fn event(warning: &Warning, now: Timestamp) -> Event {
    let Warning { name, used } = warning;
    let mut event = Event::new(now, EventKind::AlertRaised);
    event.organisation = Some(Arc::clone(&name.organisation));
    event.inbound_connector = name.whose.connector().cloned();
    let words = name.words();
    let (count, value, waiting) = (used.used, used.limit.value, used.waiting);
    let words = format!("{words}: {count} of {value} are used, {waiting} wait");
    event.detail = Some(words.into());
    event
}

fn refusal(reached: &Reached, now: Timestamp) -> Refusal {
    let Reached { name, limit, until } = reached;
    let owner = name.owner();
    let value = limit.value;
    let of_hour = |value: String| Refusal::QuotaHour {
        value: value.into(),
        until: minute(*until).into(),
        limit: name.owner().into(),
    };
    let until = second(*until);
    match name.key {
        _ if !limit.hard => rate(reached, now),
        LimitKey::MessagesPerMinute => rate(reached, now),
        LimitKey::RecipientsPerHour => of_hour(value.to_string()),
        LimitKey::ExternalRecipientsPerHour => of_hour(format!("{value} external")),
        LimitKey::RecipientsPerDay => Refusal::QuotaDay {
            value,
            until: until.into(),
            limit: owner.into(),
        },
        LimitKey::NewRecipientsPerDay => Refusal::QuotaDay {
            value,
            until: until.into(),
            limit: format!("new recipients, {owner}").into(),
        },
    }
}

/// To the second, rounded up: there is no room before.
fn second(time: Timestamp) -> String {
    let text = time.after(Duration::from_millis(999)).to_rfc3339();
    format!("{}Z", text.split_once('.').map_or(&*text, |(text, _)| text))
}

/// The time of day, rounded up to the minute.
fn minute(time: Timestamp) -> String {
    let text = time.after(Duration::from_millis(59_999)).to_rfc3339();
    format!("{}Z", text.get(11..16).unwrap_or_default())
}

fn rate(reached: &Reached, now: Timestamp) -> Refusal {
    let wait = reached.until.since(now).as_secs().max(1);
    Refusal::Rate {
        retry_seconds: u32::try_from(wait).unwrap_or(u32::MAX),
        limit: pace(&reached.name, reached.limit).into(),
    }
}

fn pace(name: &LimitName, limit: Limit) -> String {
    let what = match name.key {
        LimitKey::MessagesPerMinute => "messages a minute",
        LimitKey::RecipientsPerHour => "recipients an hour",
        LimitKey::ExternalRecipientsPerHour => "external recipients an hour",
        LimitKey::RecipientsPerDay => "recipients a day",
        LimitKey::NewRecipientsPerDay => "new recipients a day",
    };
    format!("{} {what}, {}", limit.value, name.owner())
}

#[cfg(test)]
mod tests {
    use relais_policy::document::Document;
    use relais_policy::limit::Sending;
    use relais_policy::settings::{Mode, Settings};
    use relais_smtp::address::Mailbox;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_514_400_000);

    fn counting(limits: &str, of_organisation: &str) -> Counting {
        let text = format!(
            "[[organisation]]\nname = \"contoso\"\nlimits = {of_organisation}\n\
             [[organisation.inbound_connector]]\nname = \"Printers\"\n\
             sender_ip_addresses = [\"10.1.2.0/24\"]\nlimits = {limits}\n"
        );
        let document = Document::from_toml(&text).unwrap();
        let settings = Settings::build(Mode::Lan, 1, document).unwrap();
        let sending = Sending {
            organisation: "contoso",
            connector: "Printers",
            address: "10.1.2.9".parse().unwrap(),
            credential: None,
            sender: None,
        };
        Counting::new(Applying::of(&settings, &sending))
    }

    fn recipient(number: u64) -> (RecipientKey, bool) {
        let mailbox = Mailbox::parse(&format!("r{number}@example.org")).unwrap();
        (RecipientKey::of(&mailbox), true)
    }

    /// A message to these.
    fn send(counting: &Counting, book: &Counts, to: &[u64]) -> Result<Admitted, Refusal> {
        let mut counting = counting.clone();
        for number in to {
            let one = counting.check(book, "contoso", recipient(*number), NOW)?;
            counting.add(one);
        }
        counting.admit(book, &"contoso".into(), None, NOW)
    }

    fn words(refusal: &Refusal) -> String {
        refusal.text()
    }

    #[test]
    fn a_soft_limit_takes_everything_in_and_lets_it_leave_at_its_pace() {
        let book = Counts::default();
        let counting = counting("{ messages_per_minute = 2 }", "{}");
        let wait = |_| {
            let admitted = send(&counting, &book, &[1]).unwrap();
            admitted.due.since(NOW).as_secs()
        };
        let waits: Vec<_> = (0..5).map(wait).collect();
        assert_eq!(waits, [0, 0, 61, 61, 122]);
        let because = because(&send(&counting, &book, &[1]).unwrap()).unwrap();
        assert!(
            because.ends_with("messages_per_minute of connector Printers is 2"),
            "{because}"
        );
    }

    #[test]
    fn above_four_hours_of_backlog_a_client_is_told_to_wait() {
        let book = Counts::default();
        let counting = counting("{ messages_per_minute = 1 }", "{}");
        let refused = (0..1_000).find_map(|_| send(&counting, &book, &[1]).err());
        let words = words(&refused.unwrap());
        assert!(words.starts_with("Rate limit, retry in "), "{words}");
        let limit = " s: 1 messages a minute, connector Printers";
        assert!(words.ends_with(limit), "{words}");
        let (name, limit) = &book_entry(&counting);
        let waiting = book.book().stands(name, *limit, NOW).waiting;
        assert!((230..=240).contains(&waiting), "{waiting}");
    }

    fn book_entry(counting: &Counting) -> (LimitName, Limit) {
        let mut all = counting.applying.iter();
        all.next().cloned().unwrap()
    }

    #[test]
    fn a_hard_limit_refuses_and_says_how_much_until_when_and_whose_it_is() {
        let book = Counts::default();
        let hard = "{ recipients_per_day = { value = 3, hard = true } }";
        let counting = counting("{}", hard);
        send(&counting, &book, &[1, 2]).unwrap();
        let no = words(&send(&counting, &book, &[3, 4]).unwrap_err());
        let begin = "Daily quota 3 reached, resets 2026-11-25T";
        assert!(no.starts_with(begin), "{no}");
        assert!(no.ends_with(":00Z, organisation contoso"), "{no}");
    }

    #[test]
    fn what_a_soft_limit_holds_back_is_no_reason_for_a_hard_one_to_refuse() {
        let soft = "{ messages_per_minute = 2 }";
        let hard = "{ recipients_per_day = { value = 5, hard = true } }";
        for counting in [counting(soft, hard), counting(hard, soft)] {
            let book = Counts::default();
            let taken = (0..9).filter(|_| send(&counting, &book, &[1]).is_ok());
            assert_eq!(
                taken.count(),
                5,
                "the hard limit counts what waits, and no more"
            );
        }
    }

    #[test]
    fn a_copy_counts_as_a_recipient_and_is_no_reason_to_refuse_its_message() {
        let book = Counts::default();
        let hard = "{ recipients_per_day = { value = 3, hard = true } }";
        let counting = counting("{}", hard);
        let (copy, _) = recipient(9);
        let send = |number| {
            let mut counting = counting.clone();
            let one = counting.check(&book, "contoso", recipient(number), NOW)?;
            counting.add(one);
            counting.admit(&book, &"contoso".into(), Some(copy), NOW)
        };
        let (name, limit) = &book_entry(&counting);
        let used = || book.book().stands(name, *limit, NOW).used;
        send(1).expect("two of three");
        assert_eq!(used(), 2);
        send(2).expect("the last place is the message's");
        assert_eq!(used(), 3);
        assert!(words(&send(3).expect_err("full")).starts_with("Daily quota 3 reached"));
    }

    #[test]
    fn only_those_who_are_new_count_as_new() {
        let book = Counts::default();
        let hard = "{ new_recipients_per_day = { value = 2, hard = true } }";
        let counting = counting(hard, "{}");
        send(&counting, &book, &[1, 1, 2]).unwrap();
        send(&counting, &book, &[2, 1]).unwrap();
        let no = words(&send(&counting, &book, &[1, 3]).unwrap_err());
        let end = ":00Z, new recipients, connector Printers";
        assert!(no.ends_with(end), "{no}");
    }

    #[test]
    fn what_was_not_taken_in_does_not_count() {
        let book = Counts::default();
        let hard = "{ new_recipients_per_day = { value = 1, hard = true } }";
        let counting = counting(hard, "{}");
        let first = send(&counting, &book, &[1]).unwrap();
        assert!(send(&counting, &book, &[2]).is_err());
        book.book().take_back(&first);
        assert!(send(&counting, &book, &[2]).is_ok());
        assert!(send(&counting, &book, &[1]).is_err());
    }

    #[test]
    fn two_sessions_never_take_the_last_place_both() {
        let book = Counts::default();
        let hard = "{ recipients_per_hour = { value = 100, hard = true }, \
                    new_recipients_per_day = { value = 60, hard = true } }";
        let counting = counting(hard, "{}");
        // Eight sessions; half of them write to new recipients, half to one that is known.
        send(&counting, &book, &[0]).unwrap();
        let taken: usize = std::thread::scope(|scope| {
            let session = |session: u64| {
                let (counting, book) = (&counting, &book);
                move || {
                    let numbers = 0..200_u64;
                    let to = |n: u64| {
                        if session.is_multiple_of(2) {
                            0
                        } else {
                            session * 1_000 + n
                        }
                    };
                    let taken = numbers.filter(|n| send(counting, book, &[to(*n)]).is_ok());
                    taken.count()
                }
            };
            let sessions: Vec<_> = (0..8).map(|one| scope.spawn(session(one))).collect();
            sessions.into_iter().map(|one| one.join().unwrap()).sum()
        });
        assert_eq!(taken, 99);
        let mut used = Vec::new();
        for (name, limit) in counting.applying.iter() {
            used.push((name.key, book.book().stands(name, *limit, NOW).used));
        }
        assert_eq!(used[0], (LimitKey::RecipientsPerHour, 100));
        assert_eq!(used[1].0, LimitKey::NewRecipientsPerDay);
        assert!((1..=60).contains(&used[1].1), "{used:?}");
    }
}
