//! What a person sees and does: list, retry, hold, release, bounce, delete, suspend.

use relais_smtp::time::Timestamp;
use relais_store::grouping::{By, Common};
use relais_store::queue::{
    ActResult, Criteria, QueueAct, QueueCount, RecipientChange, RecipientStateName as State,
};
use relais_store::store::Store;
use relais_store::suspension::{Suspension, SuspensionScope};

use crate::world::{NOW, World, at, commit, deferred, lease_one, message, settlement};

fn all() -> Criteria {
    Criteria::default()
}

fn to(destination: &str) -> Criteria {
    Criteria {
        destination: Some(destination.to_owned()),
        ..Criteria::default()
    }
}

pub(crate) fn suspension(destination: &str, until: Option<Timestamp>) -> Suspension {
    let scope = SuspensionScope::destination(destination);
    Suspension {
        until,
        reason: "maintenance".to_owned(),
        ..Suspension::new(scope, "anna", NOW)
    }
}

async fn act(store: &Store, act: QueueAct, criteria: &Criteria) -> ActResult {
    store.act(act, criteria, "anna", at(10)).await.unwrap()
}

async fn states(store: &Store) -> Vec<State> {
    let listed = store.list(&all(), None, 100).await.unwrap();
    listed
        .iter()
        .flat_map(|message| message.recipients.iter().map(|r| r.state))
        .collect()
}

async fn the_list_shows_what_is_queued_in_order_and_in_pages(mut world: World) {
    let mut ids = Vec::new();
    for second in 0..5 {
        ids.push(
            commit(
                world.store(),
                &["a@example.org", "b@example.net"],
                at(second),
            )
            .await,
        );
    }
    let leased = lease_one(world.store(), "example.org", at(9))
        .await
        .unwrap();
    world
        .store()
        .settle(settlement(&leased, &deferred(at(60)), at(9)))
        .await
        .unwrap();
    lease_one(world.store(), "example.net", at(9))
        .await
        .unwrap();

    let store = world.store();
    let first = store.list(&all(), None, 2).await.unwrap();
    let second = store
        .list(&all(), Some(first[1].queue_id), 2)
        .await
        .unwrap();
    let last = store
        .list(&all(), Some(second[1].queue_id), 2)
        .await
        .unwrap();
    let listed: Vec<_> = first.iter().chain(&second).chain(&last).collect();
    assert_eq!(listed.iter().map(|m| m.queue_id).collect::<Vec<_>>(), ids);
    let message = listed[0];
    assert_eq!(
        (message.organisation.as_str(), message.from.as_str()),
        ("contoso", "scan@contoso.test")
    );
    assert_eq!(message.accepted_at, at(0));
    assert_eq!(
        message.subject.as_deref(),
        Some(ids[0].to_string().as_str())
    );
    let recipient = &message.recipients[0];
    assert_eq!(
        (recipient.to.as_str(), recipient.state, recipient.attempts),
        ("a@example.org", State::Deferred, 1)
    );
    assert_eq!(recipient.next_attempt, Some(at(60)));
    assert_eq!(recipient.last_reply.as_deref(), Some("451 4.3.0 later"));
    assert_eq!(recipient.expires_at, at(86_400));
    assert_eq!(message.recipients[1].state, State::Active);
    assert_eq!(listed[1].recipients[0].state, State::Queued);

    world.restart(at(10)).await;
    let listed = world.store().list(&all(), None, 10).await.unwrap();
    assert_eq!(listed[0].recipients[0].state, State::Deferred);
    assert_eq!(
        listed[0].recipients[1].state,
        State::Queued,
        "leases end with the process"
    );
}

async fn what_is_counted_is_what_an_act_up_to_its_newest_changes(world: World) {
    let store = world.store();
    let mut ids = Vec::new();
    for second in 0..5 {
        ids.push(commit(store, &["a@example.org", "b@example.net"], at(second)).await);
    }
    let page = store.page(&all(), None, 2).await.unwrap();
    assert_eq!((page.messages.len(), page.next), (2, Some(ids[1])));
    let page = store.page(&all(), page.next, 3).await.unwrap();
    assert_eq!((page.messages.len(), page.next), (3, None));
    let from = |sender: &str| Criteria {
        sender: Some(sender.into()),
        ..all()
    };
    for (criteria, messages, recipients) in [
        (all(), 5, 10),
        (to("example.net"), 5, 5),
        (to("example.com"), 0, 0),
        (from("contoso.test"), 5, 10),
        (from("fabrikam.test"), 0, 0),
    ] {
        let newest = ids.last().copied().filter(|_| messages > 0);
        let counted = QueueCount {
            messages,
            recipients,
            newest,
        };
        assert_eq!(store.count(&criteria).await.unwrap(), counted);
    }
    let up_to = store.count(&all()).await.unwrap().newest;
    let later = commit(store, &["a@example.org"], at(9)).await;
    for criteria in [all(), from("contoso.test")] {
        let shown = Criteria { up_to, ..criteria };
        assert_eq!(act(store, QueueAct::Hold, &shown).await.changed % 10, 0);
    }
    let listed = store.list(&all(), up_to, 10).await.unwrap();
    assert_eq!((listed.len(), listed[0].queue_id), (1, later));
    assert_eq!(listed[0].recipients[0].state, State::Queued);
    let held = Criteria {
        state: Some(State::Held),
        ..all()
    };
    assert_eq!(store.count(&held).await.unwrap().recipients, 10);
}

async fn criteria_must_all_hold(world: World) {
    let store = world.store();
    let first = commit(store, &["a@example.org", "b@example.net"], at(0)).await;
    let second = commit(store, &["a@example.org"], at(5)).await;
    let count = async |criteria: Criteria| store.list(&criteria, None, 100).await.unwrap().len();
    assert_eq!(count(all()).await, 2);
    assert_eq!(count(to("example.net")).await, 1);
    assert_eq!(count(to("example.com")).await, 0);
    assert_eq!(
        count(Criteria {
            queue_id: Some(second),
            ..all()
        })
        .await,
        1
    );
    assert_eq!(
        count(Criteria {
            queue_id: Some(second),
            ..to("example.net")
        })
        .await,
        0
    );
    assert_eq!(
        count(Criteria {
            organisation: Some("contoso".into()),
            ..all()
        })
        .await,
        2
    );
    assert_eq!(
        count(Criteria {
            organisation: Some("fabrikam".into()),
            ..all()
        })
        .await,
        0
    );
    assert_eq!(
        count(Criteria {
            accepted_before: Some(at(5)),
            ..all()
        })
        .await,
        1
    );
    assert_eq!(
        count(Criteria {
            state: Some(State::Held),
            ..all()
        })
        .await,
        0
    );
    assert_eq!(
        count(Criteria {
            state: Some(State::Queued),
            ..all()
        })
        .await,
        2
    );
    assert_eq!(store.list(&all(), Some(first), 100).await.unwrap().len(), 1);
    assert_eq!(
        store
            .list(
                &Criteria {
                    queue_id: Some(first),
                    ..all()
                },
                Some(second),
                9
            )
            .await
            .unwrap(),
        []
    );
}

/// By a content check: no worker may see it before.
async fn a_message_that_is_held_from_the_beginning_waits_for_a_person_too(mut world: World) {
    let mut held = message(world.store(), &["a@example.org", "b@example.org"], NOW);
    held.recipients[0].held = true;
    let _ = world.store().commit(held).await.unwrap();
    for restarted in [false, true] {
        if restarted {
            world.restart(at(11)).await;
        }
        assert_eq!(states(world.store()).await, [State::Held, State::Queued]);
        assert_eq!(world.store().counts().held, 1);
    }
    let leased = lease_one(world.store(), "example.org", at(1_000)).await;
    let numbers: Vec<_> = leased
        .unwrap()
        .recipients
        .iter()
        .map(|one| one.number)
        .collect();
    assert_eq!(numbers, [1], "the other is leased without it");
    let released = act(world.store(), QueueAct::Release, &all()).await;
    assert_eq!(released.changed, 1);
    assert!(
        lease_one(world.store(), "example.org", at(1_000))
            .await
            .is_some()
    );
}

async fn a_held_recipient_waits_for_a_person(mut world: World) {
    commit(world.store(), &["a@example.org"], NOW).await;
    assert_eq!(
        act(world.store(), QueueAct::Hold, &all()).await,
        ActResult {
            changed: 1,
            active: 0
        }
    );
    assert_eq!(
        act(world.store(), QueueAct::Hold, &all()).await,
        ActResult::default()
    );
    for restarted in [false, true] {
        if restarted {
            world.restart(at(11)).await;
        }
        assert!(
            lease_one(world.store(), "example.org", at(1_000))
                .await
                .is_none()
        );
        assert_eq!(states(world.store()).await, [State::Held]);
        assert_eq!(world.store().counts().held, 1);
    }
    let released = act(world.store(), QueueAct::Release, &all()).await;
    assert_eq!(
        released,
        ActResult {
            changed: 1,
            active: 0
        }
    );
    assert!(
        lease_one(world.store(), "example.org", at(10))
            .await
            .is_some()
    );
}

async fn an_active_recipient_is_held_when_its_attempt_ends_without_delivery(mut world: World) {
    for name in ["deferred", "delivered", "lapsed"] {
        commit(world.store(), &[&format!("a@{name}.example")], NOW).await;
    }
    let deferred_one = lease_one(world.store(), "deferred.example", NOW)
        .await
        .unwrap();
    let delivered_one = lease_one(world.store(), "delivered.example", NOW)
        .await
        .unwrap();
    lease_one(world.store(), "lapsed.example", NOW)
        .await
        .unwrap();
    let held = act(world.store(), QueueAct::Hold, &all()).await;
    assert_eq!(
        held,
        ActResult {
            changed: 3,
            active: 0
        }
    );
    let change = deferred(at(20));
    world
        .store()
        .settle(settlement(&deferred_one, &change, at(11)))
        .await
        .unwrap();
    let done = settlement(&delivered_one, &RecipientChange::Done, at(11));
    world.store().settle(done).await.unwrap();
    assert!(
        lease_one(world.store(), "lapsed.example", at(61))
            .await
            .is_none()
    );
    assert_eq!(states(world.store()).await, [State::Held, State::Held]);
    world.restart(at(62)).await;
    assert_eq!(states(world.store()).await, [State::Held, State::Held]);
}

async fn bounced_recipients_are_leased_next_to_be_given_up(mut world: World) {
    let store = world.store();
    for name in ["waiting", "held", "suspended", "active"] {
        commit(store, &[&format!("a@{name}.example")], NOW).await;
    }
    act(store, QueueAct::Hold, &to("held.example")).await;
    store
        .suspend(suspension("suspended.example", None))
        .await
        .unwrap();
    lease_one(store, "active.example", at(1)).await.unwrap();
    let result = act(store, QueueAct::Bounce, &all()).await;
    assert_eq!(
        result,
        ActResult {
            changed: 3,
            active: 1
        }
    );
    assert!(
        lease_one(store, "waiting.example", at(11)).await.is_none(),
        "not by lease"
    );
    world.restart(at(12)).await;
    let expired = world
        .store()
        .lease_expired(10, at(12), at(60))
        .await
        .unwrap();
    assert_eq!(expired.len(), 3);
    assert!(
        expired
            .iter()
            .all(|leased| leased.recipients.iter().all(|r| r.give_up))
    );
    for leased in &expired {
        let done = settlement(leased, &RecipientChange::Done, at(12));
        world.store().settle(done).await.unwrap();
    }
    assert!(
        world
            .store()
            .lease_expired(10, at(12), at(60))
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(states(world.store()).await.len(), 1);
}

async fn deleted_recipients_are_gone_and_active_ones_are_left(mut world: World) {
    let store = world.store();
    commit(store, &["a@example.org", "b@example.net"], NOW).await;
    commit(store, &["c@example.org"], NOW).await;
    let active = lease_one(store, "example.net", NOW).await.unwrap();
    let deleted = act(store, QueueAct::Delete, &all()).await;
    assert_eq!(
        deleted,
        ActResult {
            changed: 2,
            active: 1
        }
    );
    store
        .settle(settlement(&active, &deferred(at(20)), at(10)))
        .await
        .unwrap();
    world.restart(at(11)).await;
    let listed = world.store().list(&all(), None, 10).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].recipients.len(), 1);
    assert_eq!(listed[0].recipients[0].to, "b@example.net");
    assert!(
        lease_one(world.store(), "example.net", at(20))
            .await
            .is_some()
    );
}

async fn retried_recipients_are_due_now(mut world: World) {
    commit(world.store(), &["a@example.org"], NOW).await;
    let leased = lease_one(world.store(), "example.org", NOW).await.unwrap();
    let retried = act(world.store(), QueueAct::Retry, &all()).await;
    assert_eq!(
        retried,
        ActResult {
            changed: 0,
            active: 1
        }
    );
    world
        .store()
        .settle(settlement(&leased, &deferred(at(9_000)), NOW))
        .await
        .unwrap();
    let retried = act(world.store(), QueueAct::Retry, &all()).await;
    assert_eq!(
        retried,
        ActResult {
            changed: 1,
            active: 0
        }
    );
    world.restart(at(11)).await;
    let leased = lease_one(world.store(), "example.org", at(11))
        .await
        .unwrap();
    assert_eq!(leased.recipients[0].attempts, 1);
}

async fn who_delivers_is_told_once_that_a_person_asked(world: World) {
    let store = world.store();
    commit(store, &["a@example.org", "b@example.net"], NOW).await;
    let asked_for = async || -> Vec<_> {
        let due = store.due(at(20), 10).await.unwrap();
        let one = |queue: relais_store::queue::DueQueue| (queue.key.destination, queue.asked_for);
        let mut all: Vec<_> = due.into_iter().map(one).collect();
        all.sort_unstable();
        all
    };
    let (net, org) = ("example.net", "example.org");
    assert_eq!(
        asked_for().await,
        [(net.into(), false), (org.into(), false)]
    );
    act(store, QueueAct::Retry, &to(org)).await;
    assert_eq!(asked_for().await, [(net.into(), false), (org.into(), true)]);
    assert_eq!(
        asked_for().await,
        [(net.into(), false), (org.into(), false)]
    );
    act(store, QueueAct::Hold, &to(net)).await;
    assert_eq!(asked_for().await, [(org.into(), false)]);
    act(store, QueueAct::Release, &to(net)).await;
    assert_eq!(asked_for().await, [(net.into(), true), (org.into(), false)]);
}

async fn an_act_on_many_reaches_all_of_them(world: World) {
    let store = world.store();
    for _ in 0..620 {
        commit(store, &["a@example.org", "b@example.org"], NOW).await;
    }
    let held = act(store, QueueAct::Hold, &to("example.org")).await;
    assert_eq!(
        held,
        ActResult {
            changed: 1_240,
            active: 0
        }
    );
    assert_eq!(store.counts().held, 1_240);
    let held = Criteria {
        state: Some(State::Held),
        ..all()
    };
    let deleted = act(store, QueueAct::Delete, &held).await;
    assert_eq!(
        deleted,
        ActResult {
            changed: 1_240,
            active: 0
        }
    );
    assert_eq!(store.counts(), Default::default());
    let audited = store.audit(10).await.unwrap();
    let acts: Vec<_> = audited
        .iter()
        .map(|entry| (entry.act.as_str(), entry.actor.as_str()))
        .collect();
    assert_eq!(acts, [("queue.deleted", "anna"), ("queue.held", "anna")]);
    assert_eq!(audited[1].detail, ["destination example.org"]);
}

async fn a_suspended_destination_is_not_leased_until_it_is_resumed(mut world: World) {
    commit(world.store(), &["a@example.org", "b@example.net"], NOW).await;
    world
        .store()
        .suspend(suspension("example.org", None))
        .await
        .unwrap();
    commit(world.store(), &["c@example.org"], NOW).await;
    for restarted in [false, true] {
        if restarted {
            world.restart(at(1)).await;
        }
        let store = world.store();
        assert_eq!(
            store.suspended().await.unwrap(),
            [suspension("example.org", None)]
        );
        assert!(lease_one(store, "example.org", at(1)).await.is_none());
        let due = store.due(at(1), 10).await.unwrap();
        assert_eq!(due.len(), 1);
        assert_eq!(&*due[0].key.destination, "example.net");
    }
    world
        .store()
        .resume(&SuspensionScope::destination("example.org"), "anna", at(2))
        .await
        .unwrap();
    assert!(
        lease_one(world.store(), "example.org", at(2))
            .await
            .is_some()
    );
    world.restart(at(3)).await;
    assert!(world.store().suspended().await.unwrap().is_empty());
    assert_eq!(world.store().due(at(3), 10).await.unwrap().len(), 2);
}

async fn a_suspension_ends_by_itself_at_its_time_and_the_audit_says_so(mut world: World) {
    commit(world.store(), &["a@example.org"], NOW).await;
    let until = at(60);
    let begun = suspension("example.org", Some(until));
    world.store().suspend(begun.clone()).await.unwrap();
    world.restart(at(1)).await;
    let store = world.store();
    store.maintain(at(59)).await;
    assert_eq!(store.suspended().await.unwrap(), [begun]);
    assert!(lease_one(store, "example.org", at(59)).await.is_none());
    store.maintain(at(60)).await;
    assert_eq!(store.suspended().await.unwrap(), []);
    assert!(lease_one(store, "example.org", at(60)).await.is_some());
    let audit = store.audit(2).await.unwrap();
    assert_eq!(
        (audit[0].act.as_str(), audit[0].actor.as_str()),
        ("queue.resumed", "the clock")
    );
    let detail = format!(
        "destination example.org: maintenance; until {}",
        until.to_rfc3339()
    );
    assert_eq!(audit[1].detail, [detail]);
}

async fn a_suspension_of_one_organisation_leaves_the_others_alone(world: World) {
    commit(world.store(), &["a@example.org"], NOW).await;
    let store = world.store();
    let of = |organisation: &str, destination: Option<&str>| SuspensionScope {
        organisation: Some(organisation.into()),
        destination: destination.map(Into::into),
    };
    let suspend = |scope| store.suspend(Suspension::new(scope, "anna", NOW));
    suspend(of("fabrikam", Some("example.org"))).await.unwrap();
    assert_eq!(store.due(at(1), 10).await.unwrap().len(), 1);
    suspend(of("contoso", None)).await.unwrap();
    suspend(SuspensionScope::default()).await.unwrap();
    assert_eq!(store.due(at(1), 10).await.unwrap(), []);
    // What two suspensions mean waits for the end of both.
    let everything = SuspensionScope::default();
    assert_eq!(store.resume(&everything, "anna", at(2)).await, Ok(true));
    assert_eq!(store.resume(&everything, "anna", at(2)).await, Ok(false));
    assert_eq!(store.due(at(2), 10).await.unwrap(), []);
    store
        .resume(&of("contoso", None), "anna", at(2))
        .await
        .unwrap();
    assert_eq!(store.due(at(2), 10).await.unwrap().len(), 1);
}

async fn messages_are_chosen_by_sender_and_by_the_reason_why_they_wait(world: World) {
    let store = world.store();
    for (to, reply) in [
        ("a@example.org", "451 4.7.500 Server busy"),
        ("b@example.org", "450 4.2.1 later"),
    ] {
        commit(store, &[to], NOW).await;
        let leased = lease_one(store, "example.org", NOW).await.unwrap();
        let change = RecipientChange::Deferred {
            until: at(3_600),
            last_reply: reply.into(),
            delay_told: false,
        };
        store
            .settle(settlement(&leased, &change, at(1)))
            .await
            .unwrap();
    }
    let from = store.list(&all(), None, 1).await.unwrap()[0].from.clone();
    let domain = from.rsplit_once('@').unwrap().1.to_owned();
    let by = |sender: Option<&str>, reason: Option<&str>| Criteria {
        sender: sender.map(ToOwned::to_owned),
        reason: reason.map(ToOwned::to_owned),
        ..all()
    };
    let count = async |criteria: Criteria| store.list(&criteria, None, 10).await.unwrap().len();
    assert_eq!(count(by(Some(&from.to_uppercase()), None)).await, 2);
    assert_eq!(count(by(Some(&format!("*@{domain}")), None)).await, 2);
    assert_eq!(count(by(Some(&format!("x{domain}")), None)).await, 0);
    assert_eq!(count(by(Some("<>"), None)).await, 0);
    assert_eq!(count(by(None, Some("SERVER BUSY"))).await, 1);
    assert_eq!(count(by(Some(&domain), Some("nothing said this"))).await, 0);
    let held = act(store, QueueAct::Hold, &by(Some(&domain), Some("4.7.500"))).await;
    assert_eq!(held.changed, 1);
    assert_eq!(states(store).await, [State::Held, State::Deferred]);
    let audit = store.audit(1).await.unwrap();
    let expected = [format!("sender {domain}"), "reason \"4.7.500\"".to_owned()];
    assert_eq!(audit[0].detail, expected);
}

async fn counts_follow_what_happens(mut world: World) {
    let store = world.store();
    assert_eq!(store.counts().oldest, None);
    commit(
        store,
        &["a@example.org", "b@example.net", "c@example.com"],
        at(1),
    )
    .await;
    let leased = lease_one(store, "example.org", at(1)).await.unwrap();
    store
        .settle(settlement(&leased, &deferred(at(60)), at(2)))
        .await
        .unwrap();
    act(store, QueueAct::Hold, &to("example.net")).await;
    lease_one(store, "example.com", at(2)).await.unwrap();
    for restarted in [false, true] {
        if restarted {
            world.restart(at(3)).await;
        }
        let counts = world.store().counts();
        assert_eq!((counts.queued, counts.deferred, counts.held), (1, 1, 1));
        assert_eq!(counts.oldest, Some(at(1)));
    }
}

async fn what_waits_is_summed_by_destination_and_by_reason(world: World) {
    let store = world.store();
    let destination = |name: &str| Common::Destination(name.to_owned());
    commit(store, &["a@example.org", "b@example.org"], at(1)).await;
    commit(store, &["c@example.org", "d@example.net"], at(2)).await;
    commit(store, &["e@example.com"], at(3)).await;
    let leased = lease_one(store, "example.com", at(4)).await.unwrap();
    store
        .settle(settlement(&leased, &deferred(at(60)), at(5)))
        .await
        .unwrap();
    act(store, QueueAct::Hold, &to("example.net")).await;

    let found = store.groups(By::Destination, &all()).await.unwrap();
    assert!(found.is_whole);
    assert_eq!(found.read, 3);
    let told: Vec<_> = found
        .groups
        .iter()
        .map(|one| (one.common.clone(), one.messages, one.recipients, one.held))
        .collect();
    assert_eq!(
        told,
        [
            (destination("example.org"), 2, 3, 0),
            (destination("example.com"), 1, 1, 0),
            (destination("example.net"), 1, 1, 1),
        ]
    );
    let tried = &found.groups[1];
    assert_eq!((tried.oldest, tried.next_attempt), (at(3), Some(at(60))));
    assert_eq!(tried.last_reply.as_deref(), Some("451 4.3.0 later"));
    // What is held is tried by nobody until a person lets it go.
    assert_eq!(found.groups[2].next_attempt, None);

    let found = store.groups(By::Reason, &all()).await.unwrap();
    let told: Vec<_> = found
        .groups
        .iter()
        .map(|one| (one.common.clone(), one.messages))
        .collect();
    assert_eq!(
        told,
        [
            (Common::State("queued"), 2),
            (Common::State("held"), 1),
            (Common::Reply("451 4.3.0".to_owned()), 1),
        ]
    );
    let one = store.groups(By::Reason, &to("example.com")).await.unwrap();
    assert_eq!((one.groups.len(), one.read), (1, 1));
}

rules! {
    what_waits_is_summed_by_destination_and_by_reason,
    the_list_shows_what_is_queued_in_order_and_in_pages,
    what_is_counted_is_what_an_act_up_to_its_newest_changes,
    criteria_must_all_hold,
    a_message_that_is_held_from_the_beginning_waits_for_a_person_too,
    a_held_recipient_waits_for_a_person,
    an_active_recipient_is_held_when_its_attempt_ends_without_delivery,
    bounced_recipients_are_leased_next_to_be_given_up,
    deleted_recipients_are_gone_and_active_ones_are_left,
    retried_recipients_are_due_now,
    who_delivers_is_told_once_that_a_person_asked,
    an_act_on_many_reaches_all_of_them,
    a_suspended_destination_is_not_leased_until_it_is_resumed,
    a_suspension_ends_by_itself_at_its_time_and_the_audit_says_so,
    a_suspension_of_one_organisation_leaves_the_others_alone,
    messages_are_chosen_by_sender_and_by_the_reason_why_they_wait,
    counts_follow_what_happens,
}
