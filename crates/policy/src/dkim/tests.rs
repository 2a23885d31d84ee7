//! The life of keys, as a person would tell it.

use super::*;
use crate::proof::Source;

const NOW: Timestamp = Timestamp::from_millis(1_795_514_400_000);

fn after(days: u64) -> Timestamp {
    NOW.after(Duration::from_secs(days * 86_400))
}

fn said(said: Said) -> Vec<Sighting> {
    vec![Sighting {
        source: Source::Authoritative,
        server: "ns1".to_owned(),
        said,
    }]
}

fn shown(keys: &DomainKeys) -> Vec<(String, Vec<Sighting>)> {
    let all = keys.keys.iter();
    all.map(|key| (key.selector.clone(), said(Said::Texts(vec![key.record()]))))
        .collect()
}

fn absent(keys: &DomainKeys) -> Vec<(String, Vec<Sighting>)> {
    let all = keys.keys.iter();
    let nothing = || said(Said::Nothing("no TXT record".to_owned()));
    all.map(|key| (key.selector.clone(), nothing())).collect()
}

fn generated(keys: &DomainKeys, wanted: &Dkim, now: Timestamp) -> DomainKeys {
    let mut keys = keys.clone();
    for new in keys.due(wanted, now) {
        let public = format!("{}{}", new.selector.replace('-', ""), now.as_millis());
        keys = keys.with_key(Key::new(new.selector, new.algorithm, public, now));
    }
    keys
}

fn states(keys: &DomainKeys) -> Vec<(&str, &str)> {
    let all = keys.keys.iter();
    all.map(|key| (key.selector.as_str(), key.state.name()))
        .collect()
}

#[test]
fn a_key_signs_only_once_dns_shows_it() {
    let wanted = Dkim::default();
    let keys = generated(&DomainKeys::new("ab12".to_owned()), &wanted, NOW);
    assert_eq!(
        states(&keys),
        [("relais-ab12-e1", "waiting"), ("relais-ab12-r1", "waiting")]
    );
    assert_eq!(keys.standing(&wanted), DkimStanding::Waiting);
    assert_eq!(keys.due(&wanted, NOW), [], "one that waits is enough");
    let (still, changes) = keys.after_look(&absent(&keys), &wanted, NOW);
    assert_eq!((changes.len(), still.active().count()), (0, 0));
    let failed: Vec<_> = (keys.keys.iter())
        .map(|key| {
            (
                key.selector.clone(),
                said(Said::Failed("timed out".to_owned())),
            )
        })
        .collect();
    let (still, _) = still.after_look(&failed, &wanted, NOW);
    assert_eq!(still.active().count(), 0);
    let (signing, changes) = still.after_look(&shown(&keys), &wanted, NOW);
    assert_eq!(changes.len(), 2);
    assert_eq!(signing.active().count(), 2);
    assert_eq!(signing.standing(&wanted), DkimStanding::Active);
}

#[test]
fn a_successor_waits_for_dns_too_and_the_old_key_stays_for_96_hours() {
    let wanted = Dkim {
        algorithms: vec![DkimAlgorithm::Rsa2048],
        ..Dkim::default()
    };
    let first = generated(&DomainKeys::new("t".to_owned()), &wanted, NOW);
    let (first, _) = first.after_look(&shown(&first), &wanted, NOW);
    assert_eq!(first.due(&wanted, after(179)), []);
    let both = generated(&first, &wanted, after(180));
    assert_eq!(
        states(&both),
        [("relais-t-r1", "active"), ("relais-t-r2", "waiting")]
    );
    let nothing_new = vec![shown(&both)[0].clone(), absent(&both)[1].clone()];
    let (both, _) = both.after_look(&nothing_new, &wanted, after(181));
    assert_eq!(
        states(&both),
        [("relais-t-r1", "active"), ("relais-t-r2", "waiting")]
    );
    let (both, changes) = both.after_look(&shown(&both), &wanted, after(182));
    assert_eq!(
        states(&both),
        [("relais-t-r1", "retiring"), ("relais-t-r2", "active")]
    );
    assert_eq!(changes.len(), 2);
    let (both, _) = both.after_look(&shown(&both), &wanted, after(185));
    assert_eq!(states(&both)[0].1, "retiring");
    assert_eq!(
        both.successor(DkimAlgorithm::Rsa2048),
        None,
        "no selector is free"
    );
    let (both, _) = both.after_look(&shown(&both), &wanted, after(186));
    assert_eq!(states(&both)[0].1, "retired");
    assert_eq!(both.due(&wanted, after(361)), []);
    let third = generated(&both, &wanted, after(362));
    assert_eq!(
        states(&third),
        [("relais-t-r1", "waiting"), ("relais-t-r2", "active")]
    );
}

#[test]
fn an_active_key_that_vanishes_signs_on_and_raises_an_alarm_once() {
    let wanted = Dkim::default();
    let keys = generated(&DomainKeys::new("t".to_owned()), &wanted, NOW);
    let (keys, _) = keys.after_look(&shown(&keys), &wanted, NOW);
    let (gone, changes) = keys.after_look(&absent(&keys), &wanted, after(1));
    assert_eq!(changes.len(), 2);
    let domain = Domain::parse("contoso.test").unwrap();
    assert!(
        changes[0].describe(&domain).contains("ALARM"),
        "{changes:?}"
    );
    assert_eq!(gone.active().count(), 2);
    assert_eq!(gone.standing(&wanted), DkimStanding::Missing);
    let (gone, changes) = gone.after_look(&absent(&keys), &wanted, after(2));
    assert_eq!(changes, []);
    let (back, changes) = gone.after_look(&shown(&keys), &wanted, after(3));
    assert_eq!(changes.len(), 2);
    assert_eq!(back.standing(&wanted), DkimStanding::Active);
}

#[test]
fn the_last_key_that_signs_is_not_taken_out_of_use() {
    let wanted = Dkim::default();
    let keys = generated(&DomainKeys::new("t".to_owned()), &wanted, NOW);
    let (keys, _) = keys.after_look(&shown(&keys), &wanted, NOW);
    let (one, _) = keys.without("relais-t-e1", after(1)).unwrap();
    assert_eq!(
        states(&one),
        [("relais-t-e1", "retiring"), ("relais-t-r1", "active")]
    );
    assert_eq!(one.without("relais-t-r1", after(1)), None);
    let only_rsa = Dkim {
        algorithms: vec![DkimAlgorithm::Rsa2048],
        ..Dkim::default()
    };
    let (rest, _) = keys.after_look(&shown(&keys), &only_rsa, after(1));
    assert_eq!(
        states(&rest),
        [("relais-t-e1", "retiring"), ("relais-t-r1", "active")]
    );
}

#[test]
fn a_key_in_dns_proves_the_domain_and_one_said_by_hand_does_not() {
    let wanted = Dkim::default();
    let keys = generated(&DomainKeys::new("t".to_owned()), &wanted, NOW);
    assert_eq!(keys.proves(NOW), None);
    let (by_hand, _) = keys.activated_by_hand("relais-t-r1", &wanted, NOW);
    assert_eq!(by_hand.active().count(), 1);
    assert_eq!(by_hand.proves(NOW), None);
    let (gone, _) = by_hand.after_look(&absent(&keys), &wanted, NOW);
    assert_eq!(gone.proves(NOW), None);
    let (shown, _) = keys.after_look(&shown(&keys), &wanted, NOW);
    assert!(shown.proves(NOW).is_some());
    assert_eq!(shown.proves(after(1)), None, "nobody has looked since");
}

#[test]
fn only_a_record_that_everybody_may_use_shows_a_key() {
    let key = Key::new("s".into(), DkimAlgorithm::Ed25519, "AbC+/=".into(), NOW);
    for (text, shows) in [
        ("v=DKIM1; k=ed25519; p=AbC+/=", true),
        ("v=DKIM1;k=ed25519;h=sha256;s=email;p=Ab C+\t/=;", true),
        (" \"v=DKIM1; k=ed25519; p=AbC+/=\" ", true),
        ("k=ed25519; p=AbC+/=; n=ours", true),
        ("v=DKIM1; p=AbC+/=", false),
        ("v=DKIM1; k=rsa; p=AbC+/=", false),
        ("v=DKIM1; k=ed25519; p=", false),
        ("v=DKIM1; k=ed25519; p=abc+/=", false),
        ("v=DKIM1; k=ed25519; t=y; p=AbC+/=", false),
        ("v=DKIM1; k=ed25519; h=sha1; p=AbC+/=", false),
        ("v=DKIM2; k=ed25519; p=AbC+/=", false),
        ("k=ed25519; v=DKIM1; p=AbC+/=", false),
        ("v=spf1 -all", false),
        ("", false),
    ] {
        assert_eq!(shows_key(text, &key), shows, "{text}");
    }
}
