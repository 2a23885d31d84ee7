//! Which rule fits a reply, and what it makes of it.

use relais_smtp::client::Stage;

use super::*;
use crate::outcome::{Scope, judge_reply};

fn reply(text: &str) -> Reply {
    Reply::parse_stored(text).unwrap()
}

fn found(rules: &ReplyRules, destination: &str, hop: &str, text: &str) -> Option<String> {
    found_at(Stage::Recipient, rules, destination, hop, text)
}

fn found_at(
    stage: Stage,
    rules: &ReplyRules,
    destination: &str,
    next_hop: &str,
    text: &str,
) -> Option<String> {
    let saying = Saying {
        destination,
        next_hop,
        stage,
        reply: &reply(text),
    };
    rules.find(saying).map(|rule| rule.name.clone())
}

#[test]
fn our_own_rules_are_read_and_none_of_them_gives_mail_up() {
    let rules = ReplyRules::default();
    assert!(rules.iter().count() >= 5);
    let gives_up = |rule: &&ReplyRule| rule.treat_as == Some(TreatAs::Permanent);
    assert_eq!(rules.iter().find(gives_up), None);
}

#[test]
fn words_of_large_receivers_find_our_own_rules() {
    let rules = ReplyRules::default();
    let gmail = "gmail-smtp-in.l.google.com";
    let outlook = "contoso-com.mail.protection.outlook.com";
    let cases = [
        (
            gmail,
            "421 4.7.28 Gmail has detected an unusual rate of unsolicited mail",
            Some("google-rate"),
        ),
        (gmail, "450 4.2.1 The user is over quota", None),
        (
            outlook,
            "451 4.7.500 Server busy. Please try again later (AS7711)",
            Some("microsoft-new-address"),
        ),
        (
            outlook,
            "550 5.7.606 Access denied, banned sending IP [192.0.2.1]",
            Some("microsoft-address-blocked"),
        ),
        (
            "mta5.am0.yahoodns.net",
            "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred",
            Some("yahoo-complaints"),
        ),
        (
            "mx.example.org",
            "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org",
            Some("egress-address-on-a-block-list-at-rcpt"),
        ),
        ("mx.example.org", "550 5.1.1 No such user here", None),
        ("mx.example.org", "451 4.7.500 Server busy", None),
    ];
    for (hop, text, expected) in cases {
        let rule = found(&rules, "example.org", hop, text);
        assert_eq!(rule.as_deref(), expected, "{hop}: {text}");
    }
}

#[test]
fn a_persons_rule_stands_before_ours_and_can_switch_ours_off() {
    let own = "[[rule]]\nname = \"mine\"\ndestination = [\"*.example.org\"]\n\
               reply = [\"421 4.7.28*\"]\nsuspend = \"1h\"\n";
    let hop = "mx.google.com";
    let text = "421 4.7.28 too fast";
    let rules = ReplyRules::from_toml(own).unwrap();
    assert_eq!(
        found(&rules, "a.example.org", hop, text).as_deref(),
        Some("mine")
    );
    assert_eq!(
        found(&rules, "example.net", hop, text).as_deref(),
        Some("google-rate")
    );
    let rules = ReplyRules::from_toml(&format!("built_in = false\n{own}")).unwrap();
    assert_eq!(found(&rules, "example.net", hop, text), None);
}

#[test]
fn a_rule_changes_what_a_code_means_and_never_a_delivery() {
    let text = "[[rule]]\nname = \"block\"\nreply = [\"55? 5.7.1 *blocked*\"]\n\
                treat_as = \"temporary\"\nrest_source = \"4h\"\n\
                [[rule]]\nname = \"gone\"\nreply = [\"450 4.1.1 *\"]\ntreat_as = \"permanent\"\n";
    let rules = ReplyRules::from_toml(text).unwrap();
    let judge = |text: &str| {
        let reply = reply(text);
        let saying = Saying {
            destination: "example.org",
            next_hop: "mx",
            stage: Stage::Recipient,
            reply: &reply,
        };
        let rule = rules.find(saying).unwrap();
        rule.apply(judge_reply(Stage::Recipient, &reply))
    };
    let blocked = judge("550 5.7.1 You are BLOCKED");
    assert_eq!(blocked.outcome, Outcome::Deferred);
    assert_eq!(blocked.status, EnhancedStatus::new(4, 7, 1));
    let gone = judge("450 4.1.1 unknown");
    assert_eq!(
        (gone.outcome, gone.scope),
        (Outcome::Failed, Scope::Recipient)
    );
    assert_eq!(gone.status, EnhancedStatus::new(5, 1, 1));
    assert_eq!(
        found(&rules, "example.org", "mx", "250 5.7.1 blocked"),
        None
    );
    let rule = &rules.0[0];
    let words = "rule block: tried again, the egress address rests for 4h";
    assert_eq!(rule.words(), words);
}

#[test]
fn a_file_with_a_mistake_says_which_rule_and_what_to_write() {
    let rule = |rest: &str| format!("[[rule]]\nname = \"a\"\n{rest}\n");
    let cases = [
        (rule("reply = [\"4*\"]"), "rule 1 \"a\": it does nothing"),
        (
            rule("reply = []\nsuspend = \"1h\""),
            "write at least one pattern",
        ),
        (
            rule("reply = [\"*\"]\nsuspend = \"1h\""),
            "would fit every answer",
        ),
        (
            rule("reply = [\"4*\"]\nsuspend = \"8d\""),
            "suspend: write 1s to 7d",
        ),
        (
            rule("reply = [\"4*\"]\nsuspended = \"1h\""),
            "unknown field `suspended`",
        ),
        ("rule = 1".to_owned(), "invalid type"),
    ];
    for (text, expected) in cases {
        let error = ReplyRules::from_toml(&text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn patterns_fit_as_a_slow_and_simple_reader_says() {
    fn slow(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => {
                slow(rest, text)
                    || text
                        .split_first()
                        .is_some_and(|(_, more)| slow(pattern, more))
            }
            (Some((b'?', rest)), Some((_, more))) => slow(rest, more),
            (Some((octet, rest)), Some((other, more))) => {
                octet.eq_ignore_ascii_case(other) && slow(rest, more)
            }
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
    let letters = [
        "", "a", "A", "b", "ab", "ba", "aab", "abab", "bbaa", "aabbab",
    ];
    let patterns = [
        "", "*", "?", "a*", "*b", "*a*b*", "a?b", "**a", "?*?", "*ab", "ab*ab", "a*?b",
    ];
    for pattern in patterns {
        for text in letters {
            let expected = slow(pattern.as_bytes(), text.as_bytes());
            assert_eq!(fits(pattern, text), expected, "{pattern:?} {text:?}");
        }
    }
}

#[test]
fn a_pattern_of_many_stars_ends_soon_on_a_long_text() {
    let pattern = "*a".repeat(100) + "b";
    assert!(!fits(&pattern, &"a".repeat(TEXT_OCTETS_MAX)));
}

#[test]
fn a_block_for_what_a_message_contains_is_no_word_on_our_address() {
    let rules = ReplyRules::default();
    let find = |stage, text| found_at(stage, &rules, "example.org", "mx.example.org", text);
    let listed = "554 5.7.1 Blocked using Spamhaus: https://example.net/bad";
    assert_eq!(find(Stage::Content, listed), None);
    assert_eq!(find(Stage::Recipient, listed), None);
    let name = "egress-address-on-a-block-list";
    assert_eq!(find(Stage::Sender, listed).as_deref(), Some(name));
    assert_eq!(find(Stage::Greeting, listed).as_deref(), Some(name));
    let flooded = "450 4.2.1 The user you are trying to contact is receiving mail at a rate that";
    let gmail = "gmail-smtp-in.l.google.com";
    let found = found_at(Stage::Recipient, &rules, "gmail.com", gmail, flooded);
    assert_eq!(found, None);
}
