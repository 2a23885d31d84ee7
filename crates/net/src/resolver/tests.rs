//! Answers of a simulated DNS, and of a real server on loopback.

use super::*;
use crate::simulated_dns::DnsFault;
use crate::zone::ZoneRecord;

fn domain(text: &str) -> Domain {
    Domain::parse(text).expect("a domain")
}

fn dns() -> SimulatedDns {
    let dns = SimulatedDns::new(Duration::from_millis(1));
    dns.set("a.test", vec![ZoneRecord::Mx(10, "mx.test".into())]);
    let addresses = [IpAddr::from([192, 0, 2, 1]), "2001:db8::1".parse().unwrap()];
    dns.set("mx.test", addresses.map(ZoneRecord::Address).to_vec());
    dns
}

#[tokio::test(start_paused = true)]
async fn a_simulated_resolver_answers_as_the_zone_says() {
    let resolver = Resolver::simulated(&dns());
    assert_eq!(
        resolver.mx(&domain("a.test")).await.unwrap().records.len(),
        1
    );
    assert_eq!(
        resolver
            .addresses(&domain("mx.test"))
            .await
            .unwrap()
            .records
            .len(),
        2
    );
    let nobody = resolver.mx(&domain("nobody.test")).await;
    assert_eq!(nobody, Err(DnsError::NoSuchDomain("nobody.test".into())));
    let none = resolver.mx(&domain("mx.test")).await;
    assert_eq!(none, Err(DnsError::NoRecords("mx.test".into())));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_fails_or_is_silent_is_temporary_within_the_limit() {
    let dns = dns();
    let resolver = Resolver::simulated(&dns);
    for fault in [DnsFault::ServFail, DnsFault::Silence] {
        dns.set_fault("a.test", Some(fault));
        let before = tokio::time::Instant::now();
        let found = resolver.mx(&domain("a.test")).await;
        assert!(
            matches!(found, Err(DnsError::Temporary { .. })),
            "{fault:?}: {found:?}"
        );
        assert!(
            before.elapsed() <= LOOKUP_TIMEOUT + Duration::from_millis(2),
            "{fault:?}"
        );
    }
    dns.set_fault("a.test", None);
    assert!(resolver.mx(&domain("a.test")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_proven_where_the_whole_way_to_it_is_signed() {
    let dns = dns();
    dns.set(
        "_25._tcp.mx.test",
        vec![ZoneRecord::Tlsa(3, 1, 1, vec![7; 32])],
    );
    dns.set("alias.a.test", vec![ZoneRecord::Alias("mx.test".into())]);
    dns.set_signed("a.test", true);
    let resolver = Resolver::simulated(&dns);
    let mx = resolver.mx(&domain("a.test")).await.unwrap();
    assert!(mx.validation.is_secure());
    let tlsa = resolver.tlsa(&domain("mx.test"), 25).await.unwrap();
    assert!(
        !tlsa.validation.is_secure(),
        "its zone is another one, and not signed"
    );
    assert_eq!((tlsa.records[0].usage, tlsa.records[0].data.len()), (3, 32));
    let alias = domain("alias.a.test");
    let found = resolver.addresses(&alias).await.unwrap();
    assert_eq!(found.real_name, Some(domain("mx.test")));
    assert!(!found.validation.is_secure(), "half of the way is not");
    assert_eq!(resolver.alias(&alias).await, Ok(Validation::Secure));
    dns.set_signed("mx.test", true);
    assert!(
        resolver
            .addresses(&alias)
            .await
            .unwrap()
            .validation
            .is_secure()
    );
    let none = resolver.tlsa(&domain("mx.test"), 26).await;
    assert_eq!(none, Err(DnsError::NoSuchDomain("_26._tcp.mx.test".into())));
    dns.set_fault("_25._tcp.mx.test", Some(DnsFault::ServFail));
    let failed = resolver.tlsa(&domain("mx.test"), 25).await;
    assert!(matches!(failed, Err(DnsError::Temporary { .. })));
}
