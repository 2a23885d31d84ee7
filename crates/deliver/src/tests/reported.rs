//! Reports on TLS: counted, kept over a restart, sent when the day is over.

use std::io::Read;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use flate2::read::GzDecoder;
use relais_net::simulated_dns::DnsFault;
use relais_net::web::{WebError, from_json};
use relais_net::zone::ZoneRecord;
use relais_policy::tls_report::Report;

use super::encrypted::{NOW, believing, server};
use super::peer::Peer;
use super::world::{SETTINGS, World, hours, mail, minutes, pass, seconds};

const REPORTS: &str = "https://reports.b.example/tls";

/// The next day's morning: the world begins at ten.
const OVER_NIGHT: u64 = 17;

async fn world(wants: &str) -> (World, Peer) {
    let mut world = World::new(SETTINGS).await;
    world.domain("b.example", "192.0.2.1");
    let (tls, pem) = server("mx.b.example", NOW);
    world.tls = believing(&[&pem]);
    let record = format!("v=TLSRPTv1; rua={wants}");
    world
        .dns
        .set("_smtp._tls.b.example", vec![ZoneRecord::Text(record)]);
    world.start();
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    peer.knows_tls(tls);
    (world, peer)
}

fn unpacked(octets: &[u8]) -> Report {
    let mut text = String::new();
    GzDecoder::new(octets)
        .read_to_string(&mut text)
        .expect("gzip");
    from_json(&text).expect("a report")
}

#[tokio::test(start_paused = true)]
async fn the_owner_of_a_destination_learns_by_https_what_failed_and_what_did_not() {
    let (mut world, peer) = world(REPORTS).await;
    world.web.set(REPORTS, Ok(Vec::new()));
    world.accept(mail(&["a@b.example"])).await;
    pass(minutes(20)).await;
    // From now on somebody strips the offer of TLS.
    peer.forgets_tls();
    world.accept(mail(&["a@b.example"])).await;
    pass(minutes(20)).await;
    assert_eq!(peer.took().len(), 2, "opportunistic: it goes in clear text");
    world.drain(seconds(10)).await;
    world.start();
    pass(hours(OVER_NIGHT)).await;
    let posted = world.web.posted();
    assert_eq!(posted.len(), 1, "once, over a restart");
    assert_eq!(posted[0].0, REPORTS);
    let report = unpacked(&posted[0].1);
    assert_eq!(report.organization_name, "contoso");
    assert_eq!(report.contact_info, "it@contoso.test");
    assert_eq!(report.date_range.start_datetime, "2026-11-24T00:00:00Z");
    assert_eq!(report.date_range.end_datetime, "2026-11-24T23:59:59Z");
    let results = &report.policies[0];
    assert_eq!(results.policy.policy_type, "no-policy-found");
    assert_eq!(results.policy.policy_domain, "b.example");
    assert_eq!(results.summary.total_successful_session_count, 1);
    assert_eq!(results.summary.total_failure_session_count, 1);
    let failure = &results.failure_details[0];
    assert_eq!(failure.result_type, "starttls-not-supported");
    assert_eq!(failure.receiving_ip.as_deref(), Some("192.0.2.1"));
    pass(hours(48)).await;
    assert_eq!(world.web.posted().len(), 1, "and never again");
}

#[tokio::test(start_paused = true)]
async fn by_mail_it_goes_though_tls_fails_and_is_no_part_of_the_next_report() {
    let (world, peer) = world("mailto:tls@b.example").await;
    let record = ZoneRecord::Tlsa(3, 0, 0, b"another".to_vec());
    world.dns.set("_25._tcp.mx.b.example", vec![record]);
    world.dns.set_signed("b.example", true);
    world.accept(mail(&["a@b.example"])).await;
    pass(hours(OVER_NIGHT)).await;
    let took = peer.took();
    assert_eq!(took.len(), 1, "the report alone");
    assert_eq!(
        (took[0].from.as_str(), &*took[0].to),
        ("", &["tls@b.example".to_owned()][..])
    );
    let text = String::from_utf8(took[0].content.clone()).expect("text");
    for line in [
        "From: <it@contoso.test>\r\n",
        "TLS-Report-Domain: b.example\r\n",
        "TLS-Report-Submitter: relay.contoso.test\r\n",
        "TLS-Required: No\r\n",
        "multipart/report; report-type=\"tlsrpt\"",
        "Content-Type: application/tlsrpt+gzip\r\n",
        "relay.contoso.test!b.example!",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let (_, rest) = text.split_once(".json.gz\"\r\n\r\n").expect("a file");
    let (base64, _) = rest.split_once("\r\n--").expect("its end");
    let octets = BASE64_STANDARD
        .decode(base64.replace("\r\n", ""))
        .expect("base64");
    let report = unpacked(&octets);
    let results = &report.policies[0];
    assert_eq!(results.policy.policy_type, "tlsa");
    assert!(results.policy.policy_string[0].starts_with("3 0 0 "));
    assert_eq!(results.summary.total_successful_session_count, 0);
    assert!(results.summary.total_failure_session_count > 3);
    assert_eq!(results.failure_details[0].result_type, "validation-failure");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_told_who_does_not_ask_or_where_it_is_switched_off() {
    for off in [false, true] {
        let (mut world, _peer) = world(REPORTS).await;
        world.web.set(REPORTS, Ok(Vec::new()));
        if off {
            world.drain(seconds(10)).await;
            world.options().tls_reports = false;
            world.start();
        } else {
            world.dns.set("_smtp._tls.b.example", Vec::new());
        }
        world.accept(mail(&["a@b.example"])).await;
        pass(hours(OVER_NIGHT)).await;
        assert_eq!(world.web.posted().len(), 0, "{off}");
    }
}

const TLSA: &str = "_25._tcp.mx.b.example";

/// What is published, or what becomes of it.
type Published = fn(&World);

fn page(world: &World, page: Result<&str, WebError>) {
    let text = ZoneRecord::Text("v=STSv1; id=a1".to_owned());
    world.dns.set("_mta-sts.b.example", vec![text]);
    let at = "https://mta-sts.b.example/.well-known/mta-sts.txt";
    world.web.set(at, page.map(|text| text.as_bytes().to_vec()));
}

fn tlsa(world: &World, usage: u8, fault: Option<DnsFault>) {
    let record = ZoneRecord::Tlsa(usage, 0, 0, b"another".to_vec());
    world.dns.set(TLSA, vec![record]);
    world.dns.set_signed("b.example", true);
    world.dns.set_fault(TLSA, fault);
}

/// RFC 8460 §4.3.2: not only sessions fail.
#[tokio::test(start_paused = true)]
async fn hosts_that_may_not_be_tried_and_policies_that_cannot_be_had_are_told_too() {
    let cases: [(&str, Published, &str, bool); 6] = [
        (
            "sts",
            |world| {
                let other = "version: STSv1\nmode: enforce\nmx: other.example\nmax_age: 604800\n";
                page(world, Ok(other));
            },
            "validation-failure",
            false,
        ),
        (
            "tlsa",
            |world| tlsa(world, 3, Some(DnsFault::ServFail)),
            "dnssec-invalid",
            false,
        ),
        ("tlsa", |world| tlsa(world, 1, None), "tlsa-invalid", true),
        (
            "sts",
            |world| page(world, Err(WebError::Status(404))),
            "sts-policy-fetch-error",
            true,
        ),
        (
            "sts",
            |world| page(world, Err(WebError::Certificate)),
            "sts-webpki-invalid",
            true,
        ),
        (
            "sts",
            |world| page(world, Ok("<html>not found</html>")),
            "sts-policy-invalid",
            true,
        ),
    ];
    for (kind, publish, result, goes) in cases {
        let (world, peer) = world(REPORTS).await;
        world.web.set(REPORTS, Ok(Vec::new()));
        publish(&world);
        world.accept(mail(&["a@b.example"])).await;
        pass(hours(OVER_NIGHT)).await;
        assert_eq!(peer.took().len(), usize::from(goes), "{result}");
        let posted = world.web.posted();
        let report = unpacked(&posted[0].1);
        let mut policies = report.policies.iter();
        let found = policies.find(|one| one.policy.policy_type == kind);
        let found = found.unwrap_or_else(|| panic!("{result}: {report:?}"));
        assert_eq!(found.policy.policy_domain, "b.example");
        assert_eq!(found.failure_details[0].result_type, result, "{report:?}");
        let counted = found.failure_details[0].failed_session_count;
        assert_eq!(found.summary.total_failure_session_count, counted);
        assert_eq!(found.summary.total_successful_session_count, 0);
        if !goes {
            let host = found.failure_details[0].receiving_mx_hostname.as_deref();
            assert_eq!(host, Some("mx.b.example"), "{result}");
            assert!(counted > 3, "each attempt counts: {counted}");
        }
    }
}
