//! The mechanisms, message by message; conversations are in `tests/dialogues`.

use super::scram::{ChannelBinding, EXPORTER_OCTETS, ServerNonce, Verifier};
use super::*;

fn secret(text: &str) -> Secret {
    Secret::from(text.as_bytes())
}

fn claimed(mechanism: Mechanism, message: &str) -> Result<Progress, Malformed> {
    Exchange::begin(mechanism).message(&secret(message))
}

fn password(user: &str, password: &str) -> Result<Progress, Malformed> {
    Ok(Progress::Decide(Claim::Password {
        user: user.into(),
        password: secret(password),
    }))
}

fn judged(user: &str, proved: bool) -> Result<Progress, Malformed> {
    Ok(Progress::Decide(Claim::Judged {
        user: user.into(),
        proved,
    }))
}

fn proved(user: &str) -> Result<Progress, Malformed> {
    Ok(Progress::Decide(Claim::Proved { user: user.into() }))
}

#[test]
fn mechanisms_are_known_in_any_case() {
    for mechanism in Mechanism::ALL {
        let lower = mechanism.name().to_lowercase();
        assert_eq!(Mechanism::read(&lower), Some(mechanism));
    }
    for name in [
        "",
        "CRAM-MD5",
        "DIGEST-MD5",
        "NTLM",
        "SCRAM-SHA-1",
        "PLAIN ",
    ] {
        assert_eq!(Mechanism::read(name), None, "{name}");
    }
}

#[test]
fn plain_has_three_parts_and_nobody_acts_for_another() {
    for message in ["", "scan", "scan\0p", "\0scan", "\0scan\0p\0", "a\0b\0c\0d"] {
        assert_eq!(
            claimed(Mechanism::Plain, message),
            Err(Malformed),
            "{message:?}"
        );
    }
    assert_eq!(
        claimed(Mechanism::Plain, "\0scan\0p"),
        password("scan", "p")
    );
    assert_eq!(
        claimed(Mechanism::Plain, "scan\0scan\0p"),
        password("scan", "p")
    );
    assert_eq!(
        claimed(Mechanism::Plain, "ceo\0scan\0p"),
        judged("scan", false)
    );
    assert_eq!(claimed(Mechanism::Plain, "\0scan\0"), password("scan", ""));
}

#[test]
fn login_asks_for_the_user_and_then_for_the_password() {
    let mut exchange = Exchange::begin(Mechanism::Login);
    assert_eq!(exchange.prompt(), b"Username:");
    let next = exchange.message(&secret("scan"));
    assert_eq!(next, Ok(Progress::Challenge(b"Password:".to_vec())));
    assert_eq!(exchange.message(&secret("p")), password("scan", "p"));
    assert_eq!(exchange.message(&secret("p")), Err(Malformed), "it is over");
}

#[test]
fn tokens_come_in_two_forms() {
    let bearer = |user: Option<&str>, token: &str| {
        Ok(Progress::Decide(Claim::Bearer {
            user: user.map(Into::into),
            token: secret(token),
        }))
    };
    let xoauth2 = |message: &str| claimed(Mechanism::XOAuth2, message);
    assert_eq!(
        xoauth2("user=a@contoso.test\u{1}auth=Bearer x.y.z\u{1}\u{1}"),
        bearer(Some("a@contoso.test"), "x.y.z")
    );
    let oauthbearer = |message: &str| claimed(Mechanism::OAuthBearer, message);
    assert_eq!(
        oauthbearer("n,a=a=2Cb,\u{1}host=h\u{1}port=587\u{1}auth=Bearer x\u{1}\u{1}"),
        bearer(Some("a,b"), "x")
    );
    assert_eq!(
        oauthbearer("n,,\u{1}auth=bearer x\u{1}\u{1}"),
        bearer(None, "x")
    );
    for message in [
        "",
        "n,,",
        "n,,\u{1}\u{1}",
        "n,,\u{1}auth=Basic x\u{1}\u{1}",
        "n,,\u{1}auth=Bearer \u{1}\u{1}",
        "p=x,,\u{1}auth=Bearer x\u{1}\u{1}",
        "n,a=,\u{1}auth=Bearer x\u{1}\u{1}",
    ] {
        assert_eq!(oauthbearer(message), Err(Malformed), "{message:?}");
        assert_eq!(
            xoauth2(message).is_err(),
            !message.contains("earer x"),
            "{message:?}"
        );
    }
}

/// RFC 7677 §3.
mod rfc7677 {
    pub(super) const CLIENT_FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    pub(super) const NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    pub(super) const SALT: &[u8] =
        b"\x5b\x6d\x99\x68\x9d\x12\x35\x8e\xec\xa0\x4b\x14\x12\x36\xfa\x81";
    pub(super) const SERVER_FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
        s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    pub(super) const CLIENT_FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
        p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    pub(super) const SERVER_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
}

fn begun(verifier: Verifier, first: &str, mechanism: Mechanism) -> Result<Exchange, Malformed> {
    let mut exchange = Exchange::begin(mechanism);
    let user = match exchange.message(&secret(first))? {
        Progress::Verifier { user } => user,
        other => panic!("{other:?}"),
    };
    assert!(!user.is_empty());
    let nonce = ServerNonce::of_text(rfc7677::NONCE);
    let channel = ChannelBinding {
        tls_exporter: (mechanism == Mechanism::ScramSha256Plus).then_some([7; EXPORTER_OCTETS]),
    };
    exchange.with_verifier(verifier, &nonce, &channel)?;
    Ok(exchange)
}

#[test]
fn scram_goes_as_the_example_of_its_rfc() {
    let mut exchange = Exchange::begin(Mechanism::ScramSha256);
    let asked = exchange.message(&secret(rfc7677::CLIENT_FIRST));
    assert_eq!(
        asked,
        Ok(Progress::Verifier {
            user: "user".into()
        })
    );
    let verifier = Verifier::of_password(b"pencil", rfc7677::SALT, 4_096);
    let stored = verifier.to_stored();
    assert_eq!(Verifier::parse(&stored), Some(verifier.clone()));
    let nonce = ServerNonce::of_text(rfc7677::NONCE);
    let first = exchange.with_verifier(verifier, &nonce, &ChannelBinding::default());
    assert_eq!(first, Ok(Progress::Challenge(rfc7677::SERVER_FIRST.into())));
    let last = exchange.message(&secret(rfc7677::CLIENT_FINAL));
    assert_eq!(
        last,
        proved("user"),
        "nothing is told before leave is given"
    );
    assert_eq!(exchange.signature(), Some(rfc7677::SERVER_FINAL.into()));
    assert_eq!(exchange.message(&secret("")), judged("user", true));
}

#[test]
fn a_proof_of_another_password_nonce_or_header_proves_nothing() {
    let right = || Verifier::of_password(b"pencil", rfc7677::SALT, 4_096);
    let finish = |verifier: Verifier, last: &str| {
        let exchange = begun(verifier, rfc7677::CLIENT_FIRST, Mechanism::ScramSha256);
        exchange.expect("it begins").message(&secret(last))
    };
    let wrong = Verifier::of_password(b"pencils", rfc7677::SALT, 4_096);
    assert_eq!(finish(wrong, rfc7677::CLIENT_FINAL), judged("user", false));
    let nobody = Verifier::of_nobody(b"key", "user");
    assert_eq!(finish(nobody, rfc7677::CLIENT_FINAL), judged("user", false));
    let nonce = rfc7677::CLIENT_FINAL.replace("$k0", "$k1");
    assert_eq!(finish(right(), &nonce), judged("user", false));
    let header = rfc7677::CLIENT_FINAL.replace("c=biws", "c=eSws");
    assert_eq!(finish(right(), &header), judged("user", false));
    for last in [
        "",
        "c=biws",
        "c=biws,p=",
        "c=biws,r=x,p=AAAA",
        "r=x,c=biws,p=dA==",
    ] {
        assert_eq!(finish(right(), last), Err(Malformed), "{last}");
    }
}

#[test]
fn the_previous_password_proves_as_well_where_salt_and_rounds_are_the_same() {
    let old = || Verifier::of_password(b"pencil", rfc7677::SALT, 4_096);
    let finish = |verifier: Verifier| {
        let exchange = begun(verifier, rfc7677::CLIENT_FIRST, Mechanism::ScramSha256);
        let mut exchange = exchange.expect("it begins");
        let said = exchange.message(&secret(rfc7677::CLIENT_FINAL));
        (said, exchange.signature())
    };
    let new = old().renewed(b"crayon");
    assert_eq!(finish(new.clone()), (judged("user", false), None));
    // It is answered with its own key: the client knows no other.
    let right = (proved("user"), Some(rfc7677::SERVER_FINAL.into()));
    assert_eq!(finish(new.clone().with_previous(old())), right);
    assert_eq!(finish(old().with_previous(new.clone())), right);
    let elsewhere = Verifier::of_password(b"pencil", rfc7677::SALT, 4_097);
    assert_eq!(new.clone().with_previous(elsewhere), new);
    let elsewhere = Verifier::of_password(b"pencil", b"salt", 4_096);
    assert_eq!(new.clone().with_previous(elsewhere), new);
}

#[test]
fn first_messages_of_scram_that_are_none_are_refused() {
    for first in [
        "",
        "n,,",
        "n,,n=user",
        "n,,n=,r=x",
        "n,,n=user,r=",
        "n,,n=us=er,r=x",
        "n,,m=x,n=user,r=x",
        "n,b=x,n=user,r=x",
        "x,,n=user,r=x",
        "p=tls-unique,,n=user,r=x",
        "n,,n=user,r=x y",
    ] {
        assert_eq!(
            claimed(Mechanism::ScramSha256, first),
            Err(Malformed),
            "{first}"
        );
    }
    let long = format!("n,,n=user,r={}", "x".repeat(257));
    assert_eq!(claimed(Mechanism::ScramSha256, &long), Err(Malformed));
}

#[test]
fn a_channel_is_bound_to_by_those_who_say_so_and_a_stripped_offer_is_noticed() {
    let verifier = || Verifier::of_password(b"pencil", rfc7677::SALT, 4_096);
    let begins = |first: &str, mechanism| begun(verifier(), first, mechanism).is_ok();
    let (plain, plus) = (Mechanism::ScramSha256, Mechanism::ScramSha256Plus);
    assert!(begins("n,,n=user,r=x", plain) && begins("y,,n=user,r=x", plain));
    assert!(!begins("p=tls-exporter,,n=user,r=x", plain));
    assert!(begins("p=tls-exporter,,n=user,r=x", plus));
    assert!(!begins("n,,n=user,r=x", plus) && !begins("y,,n=user,r=x", plus));
    // "You have no PLUS" to a server that offers it.
    let mut exchange = Exchange::begin(plain);
    assert!(exchange.message(&secret("y,,n=user,r=x")).is_ok());
    let channel = ChannelBinding {
        tls_exporter: Some([7; EXPORTER_OCTETS]),
    };
    let nonce = ServerNonce::of_text("n");
    let answered = exchange.with_verifier(verifier(), &nonce, &channel);
    assert_eq!(answered, Err(Malformed));
}

#[test]
fn the_octets_of_the_channel_are_part_of_what_is_proved() {
    // Made by an independent client: hmac and hashlib of Python.
    const FIRST: &str = "p=tls-exporter,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const FINAL: &str = "c=cD10bHMtZXhwb3J0ZXIsLAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH,\
        r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
        p=R2bHiXqaT4RLSd/UZxfg2gBdXS2SdQOUTTLyTSXHnZA=";
    let verifier = || Verifier::of_password(b"pencil", rfc7677::SALT, 4_096);
    let mut exchange = begun(verifier(), FIRST, Mechanism::ScramSha256Plus).expect("it begins");
    assert_eq!(exchange.message(&secret(FINAL)), proved("user"));
    assert!(exchange.signature().is_some());
    assert_eq!(exchange.message(&secret("")), judged("user", true));
    let mut exchange = Exchange::begin(Mechanism::ScramSha256Plus);
    assert!(exchange.message(&secret(FIRST)).is_ok());
    let elsewhere = ChannelBinding {
        tls_exporter: Some([8; EXPORTER_OCTETS]),
    };
    let nonce = ServerNonce::of_text(rfc7677::NONCE);
    assert!(
        exchange
            .with_verifier(verifier(), &nonce, &elsewhere)
            .is_ok()
    );
    assert_eq!(exchange.message(&secret(FINAL)), judged("user", false));
}

#[test]
fn nobody_looks_like_somebody_and_always_the_same() {
    let nobody = |key: &[u8], user| Verifier::of_nobody(key, user).to_stored();
    assert_eq!(nobody(b"k", "a"), nobody(b"k", "a"));
    assert_ne!(nobody(b"k", "a"), nobody(b"k", "b"));
    assert_ne!(nobody(b"k", "a"), nobody(b"l", "a"));
    let somebody = Verifier::of_password(b"p", &[1; scram::SALT_OCTETS], scram::ITERATIONS);
    assert_eq!(nobody(b"k", "a").len(), somebody.to_stored().len());
}

#[test]
fn stored_verifiers_that_are_none_are_refused() {
    let good = Verifier::of_password(b"p", b"salt", 10).to_stored();
    assert!(Verifier::parse(&good).is_some());
    for text in [
        "",
        "SCRAM-SHA-256$",
        "SCRAM-SHA-1$4096:AAAA$AAAA:AAAA",
        &good.replace("$10:", "$0:"),
        &good.replace("$10:", "$1000001:"),
        &good[..good.len() - 4],
    ] {
        assert_eq!(Verifier::parse(text), None, "{text}");
    }
    let verifier = Verifier::parse(&good).expect("good");
    assert_eq!(format!("{verifier:?}"), "Verifier");
}
