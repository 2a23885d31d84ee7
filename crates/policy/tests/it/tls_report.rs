//! Reports on TLS: what is counted, and where a domain wants them.

use std::path::{Path, PathBuf};

use relais_policy::encryption::{Demand, TlsFault};
use relais_policy::sts::read_policy;
use relais_policy::tls_report::{
    ADDRESSES_MAX, Address, DETAILS_MAX, Failure, Policy, Report, count, read_records, result_type,
};
use relais_smtp::address::Mailbox;
use relais_smtp::domain::Domain;

fn domain() -> Domain {
    Domain::parse("b.example").expect("a domain")
}

fn failure(host: &str) -> Failure {
    Failure {
        result_type: result_type(&TlsFault::NotOffered).to_owned(),
        sending_mta_ip: None,
        receiving_mx_hostname: Some(host.to_owned()),
        receiving_mx_helo: None,
        receiving_ip: Some("192.0.2.1".to_owned()),
        failed_session_count: 1,
        additional_information: None,
        failure_reason_code: None,
    }
}

#[test]
fn sessions_are_counted_by_policy_and_failures_by_kind() {
    let none = || Policy::of(&domain(), &Demand::Opportunistic, None);
    let text = b"version: STSv1\nmode: testing\nmx: mx.b.example\nmax_age: 86400";
    let sts = read_policy(text).expect("a policy");
    let tested = || Policy::of(&domain(), &Demand::Opportunistic, Some(&sts));
    let mut results = Vec::new();
    count(&mut results, none(), None);
    count(&mut results, none(), Some(failure("mx1.b.example")));
    count(&mut results, none(), Some(failure("mx1.b.example")));
    count(&mut results, none(), Some(failure("mx2.b.example")));
    count(&mut results, tested(), None);
    assert_eq!(results.len(), 2);
    let first = &results[0];
    assert_eq!(first.policy.policy_type, "no-policy-found");
    assert_eq!(first.summary.total_successful_session_count, 1);
    assert_eq!(first.summary.total_failure_session_count, 3);
    let counts = first
        .failure_details
        .iter()
        .map(|one| one.failed_session_count);
    assert_eq!(counts.collect::<Vec<_>>(), [2, 1]);
    assert_eq!(results[1].policy.policy_type, "sts");
    assert_eq!(results[1].policy.mx_host, ["mx.b.example"]);
    assert_eq!(results[1].policy.policy_string[1], "mode: testing");
    for n in 0..2 * DETAILS_MAX {
        count(
            &mut results,
            none(),
            Some(failure(&format!("mx{n}.b.example"))),
        );
    }
    assert_eq!(results[0].failure_details.len(), DETAILS_MAX);
    let failed = results[0].summary.total_failure_session_count;
    assert_eq!(
        failed,
        3 + 2 * DETAILS_MAX as u64,
        "the sum is right all the same"
    );
}

#[test]
fn the_one_record_says_where_reports_go() {
    let mail = |text: &str| Address::Mail(Mailbox::parse(text).expect("an address"));
    let web = |text: &str| Address::Web(text.to_owned());
    for (records, expected) in [
        (
            vec!["v=TLSRPTv1; rua=mailto:r@b.example"],
            vec![mail("r@b.example")],
        ),
        (
            vec!["v=TLSRPTv1;rua=https://b.example/r, mailto:r@b.example;"],
            vec![web("https://b.example/r"), mail("r@b.example")],
        ),
        (
            vec!["v=spf1 -all", "v=TLSRPTv1; rua=mailto:r@b.example"],
            vec![mail("r@b.example")],
        ),
        (
            vec!["v=TLSRPTv1; rua=http://b.example/r,ftp://x,mailto:"],
            vec![],
        ),
        (vec!["v=TLSRPTv1; rua=mailto:r@b.example"; 2], vec![]),
        (vec!["v=TLSRPTv1"], vec![]),
        (vec!["v=TLSRPTv2; rua=mailto:r@b.example"], vec![]),
        (vec![], vec![]),
    ] {
        assert_eq!(
            read_records(records.iter().copied()),
            expected,
            "{records:?}"
        );
    }
    let many = vec!["mailto:r@b.example"; 20].join(",");
    let many = format!("v=TLSRPTv1; rua={many}");
    assert_eq!(read_records([many.as_str()]).len(), ADDRESSES_MAX);
}

/// The example of RFC 8460, appendix B.
#[test]
fn the_report_of_the_rfc_reads_and_is_written_the_same() {
    let text = r#"{"organization-name":"Company-X","date-range":{"start-datetime":
        "2016-04-01T00:00:00Z","end-datetime":"2016-04-01T23:59:59Z"},"contact-info":
        "sts-reporting@company-x.example","report-id":"5065427c-23d3-47ca-b6e0-946ea0e8c4be",
        "policies":[{"policy":{"policy-type":"sts","policy-string":["version: STSv1",
        "mode: testing","mx: *.mail.company-y.example","max_age: 86400"],"policy-domain":
        "company-y.example","mx-host":["*.mail.company-y.example"]},"summary":
        {"total-successful-session-count":5326,"total-failure-session-count":303},
        "failure-details":[{"result-type":"certificate-expired","sending-mta-ip":
        "2001:db8:abcd:0012::1","receiving-mx-hostname":"mx1.mail.company-y.example",
        "failed-session-count":100}]}]}"#;
    let report: Report = serde_json::from_str(text).expect("a report");
    let plain: serde_json::Value = serde_json::from_str(text).expect("JSON");
    assert_eq!(serde_json::to_value(&report).expect("JSON"), plain);
}

/// The folder of vectors, if it is there: `RELAIS_TESTDATA`, or beside the checkout.
#[expect(
    clippy::disallowed_methods,
    reason = "where they are is the environment's affair"
)]
fn vectors() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/testdata");
    let folder = std::env::var_os("RELAIS_TESTDATA").map_or_else(beside, PathBuf::from);
    let folder = folder.join("tlsrpt/mail-auth");
    folder.is_dir().then_some(folder)
}

/// Every report of the vectors reads, with its sums; what it says is written the same.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the vectors stay outside of the repository"
)]
fn reports_of_others_read_and_are_written_with_the_same_sums() {
    let Some(folder) = vectors() else {
        eprintln!("SKIPPED: the vectors of TLS reports are not there");
        return;
    };
    let entries = std::fs::read_dir(folder).expect("a folder");
    let files = entries.flatten().map(|entry| entry.path());
    let mut read = 0;
    for file in files.filter(|file| file.extension().is_some_and(|one| one == "json")) {
        let text = std::fs::read_to_string(&file).expect("text");
        let report: Report = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let plain: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let written = serde_json::to_value(&report).expect("JSON");
        for (ours, theirs) in report
            .policies
            .iter()
            .zip(plain["policies"].as_array().unwrap())
        {
            let sum = &theirs["summary"]["total-failure-session-count"];
            let failed = ours.summary.total_failure_session_count;
            assert_eq!(failed, sum.as_u64().unwrap_or(0), "{}", file.display());
        }
        assert_eq!(written["report-id"], plain["report-id"]);
        let again: Report = serde_json::from_value(written).expect("a report");
        assert_eq!(again, report);
        read += 1;
    }
    assert!(read >= 3, "{read}");
}
