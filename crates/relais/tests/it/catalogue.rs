//! Every reason of the catalogue is given by the code that decides: in a row of a decision table,
//! in a dialogue played on the machine, or, where neither can make it, in a test named here.

use std::fs;
use std::path::Path;

use relais_smtp::refusal::CATALOGUE;

use crate::support::repository;

/// Tokens that no table and no dialogue gives, each with the test that does and the reason why.
const ELSEWHERE: [(&str, &str, &str); 26] = [
    (
        "CONTENT",
        "attachments_are_judged_by_name_and_by_declared_type_however_deep_they_are",
        "it depends on the content, and on programs beside us",
    ),
    (
        "CHECK-LATER",
        "a_checker_that_is_not_there_does_what_each_connector_says",
        "it depends on programs beside us",
    ),
    (
        "HOURS",
        "a_connector_sends_in_its_hours_only_and_is_told_which_these_are",
        "it depends on the time of the day",
    ),
    (
        "HELD-FULL",
        "a_held_client_is_told_to_wait_when_much_of_it_waits_and_its_neighbour_is_not",
        "it depends on what waits",
    ),
    (
        "CONN-LIMIT",
        "too_many_connections_are_421_at_connect_until_one_ends",
        "it depends on the other connections",
    ),
    (
        "PROXY",
        "a_proxy_that_names_nobody_is_closed_after_five_seconds_and_recorded_once",
        "it comes before the session",
    ),
    (
        "BUSY",
        "without_room_mail_is_452_until_there_is_room_again",
        "it depends on the disk, or on the end of the server",
    ),
    (
        "LISTENER-SRC",
        "a_device_that_is_not_named_is_turned_away",
        "it comes before the session",
    ),
    (
        "LISTENER-EXPIRED",
        "from_its_day_on_the_listener_turns_everybody_away",
        "it comes before the session",
    ),
    (
        "LISTENER-DAY",
        "after_its_day_a_connector_allows_old_tls_no_more_and_its_page_can_set_another_day",
        "it comes before the session",
    ),
    (
        "TIMEOUT",
        "an_idle_session_is_told_421_after_its_time_and_that_is_no_event",
        "the machine knows no clock",
    ),
    (
        "TLS-OLD",
        "a_client_that_knows_only_old_tls_is_refused_and_a_person_sees_what_it_offered",
        "the handshake is not the machine's",
    ),
    (
        "TLS-TEMP",
        "without_a_certificate_that_can_be_read_starttls_is_454_and_mail_still_flows",
        "certificates are not the machine's",
    ),
    (
        "AUTH-THROTTLE",
        "a_network_has_ten_guesses_of_a_user_in_any_hour",
        "it depends on the failures before",
    ),
    (
        "FROM-DNS",
        "a_strangers_sender_that_no_answer_could_reach_is_refused",
        "decisions do not ask DNS",
    ),
    (
        "RCPT-DNS",
        "dns_refuses_what_can_certainly_not_arrive",
        "decisions do not ask DNS",
    ),
    (
        "RCPT-SUPPRESSED",
        "a_suppressed_recipient_is_refused_with_the_day_and_others_are_not",
        "decisions do not see who is suppressed",
    ),
    (
        "RATE",
        "a_signed_address_is_a_door_for_so_many_and_so_large_messages",
        "decisions do not count",
    ),
    (
        "QUOTA-H",
        "a_hard_hourly_limit_counts_recipients_outside_only_where_it_says_so",
        "decisions do not count",
    ),
    (
        "QUOTA-D",
        "a_hard_limit_refuses_and_is_counted_on_after_a_restart",
        "decisions do not count",
    ),
    (
        "DMARC",
        "dmarc_is_honoured_only_where_both_domains_want_it",
        "decisions do not ask DNS",
    ),
    (
        "FROM-UNLICENSED",
        "the_last_seat_goes_to_who_sent_first_and_is_held_over_a_restart",
        "decisions of tables know nobody who sent before",
    ),
    (
        "HDR-SIZE",
        "a_monstrous_header_section_is_read_to_its_end_and_refused",
        "the machine does not read header sections",
    ),
    (
        "HDR-NUL",
        "a_field_hidden_by_a_nul_is_refused_to_everybody",
        "the machine does not read header sections",
    ),
    (
        "LOOP",
        "loops_end_here",
        "the machine does not read header sections",
    ),
    (
        "LOCAL",
        "a_failed_commit_is_451_and_nothing_is_stored",
        "it depends on the disk",
    ),
];

/// Tokens that no test can provoke yet: a directory of passwords that can be away.
const LATER: [&str; 1] = ["AUTH-TEMP"];

/// All files below this folder with this ending.
fn texts(folder: &str, ending: &str) -> Vec<String> {
    let mut folders = vec![repository(folder)];
    let mut texts = Vec::new();
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).expect("a folder of the repository");
        for path in entries.map(|entry| entry.expect("an entry").path()) {
            if path.is_dir() {
                folders.push(path);
            } else if is_called(&path, ending) {
                texts.push(fs::read_to_string(&path).expect("a text"));
            }
        }
    }
    assert!(!texts.is_empty(), "{folder} has files");
    texts
}

fn is_called(path: &Path, ending: &str) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().ends_with(ending))
}

/// A dialogue says the token, and was not told to: `refuse-sender: … TOKEN` makes its driver say
/// it.
fn is_said(dialogue: &str, token: &str) -> bool {
    let told = |line: &&str| line.starts_with("refuse-") && line.ends_with(&format!(" {token}"));
    let said = |line: &str| line.starts_with("S: ") && line.contains(&format!("({token} "));
    dialogue.lines().any(said) && !dialogue.lines().any(|line| told(&line))
}

/// Whether this file has that test, and speaks of the token.
fn knows(text: &str, test: &str, token: &str) -> bool {
    text.contains(&format!("fn {test}(")) && text.contains(token)
}

#[test]
fn every_token_is_given_by_a_table_a_dialogue_or_a_named_test() {
    let tables = texts("crates/policy/tests/tables", ".md");
    let dialogues = texts("crates/smtp/tests/dialogues", ".smtp");
    let tests = texts("crates", ".rs");
    let mut faults = Vec::new();
    for entry in CATALOGUE {
        let token = entry.token();
        let in_table = tables
            .iter()
            .any(|table| table.contains(&format!("({token})")));
        let is_given = in_table || dialogues.iter().any(|dialogue| is_said(dialogue, token));
        let named = ELSEWHERE.iter().find(|(known, ..)| *known == token);
        let fault = match named {
            None if is_given == LATER.contains(&token) => {
                "is given by no table and no dialogue (add a row, or name its test), or by one of \
                 them by now (take it off LATER)"
            }
            Some(_) if is_given => "is given by a table or a dialogue: take it off ELSEWHERE",
            Some((_, test, _)) if !tests.iter().any(|text| knows(text, test, token)) => {
                "has no test of that name that knows it"
            }
            None | Some(_) => continue,
        };
        faults.push(format!("{token} {fault}"));
    }
    faults.dedup();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn each_entry_has_its_token_code_and_text_once() {
    let mut seen = std::collections::BTreeSet::new();
    for entry in CATALOGUE {
        let row = format!(
            "{} {} {}",
            entry.code().get(),
            entry.token(),
            entry.pattern()
        );
        assert!(seen.insert(row.clone()), "{row}");
    }
}
