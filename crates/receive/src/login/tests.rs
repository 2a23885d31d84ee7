//! Logins alone, in simulated time; sessions are in `tests/it` and in the program's own tests.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use relais_policy::document::Document;
use relais_policy::password::store;
use relais_policy::settings::Mode;
use relais_policy::tls::TlsVersion;
use relais_smtp::sasl::scram::ChannelBinding;
use relais_smtp::sasl::{Exchange, Mechanism, Progress};
use sha2::{Digest, Sha256};

use super::*;

const START: Timestamp = Timestamp::from_millis(1_795_514_400_000);

/// `scan-1` has the password `pencil`, and had `crayon` until a minute from now; `scan-2` has none.
fn settings() -> Settings {
    let (stored, previous) = (
        store("pencil", [[1; 16], [2; 16]]),
        store("crayon", [[3; 16], [2; 16]]),
    );
    let text = format!(
        "[[organisation]]\nname = \"contoso\"\n\
         [[organisation.inbound_connector]]\nname = \"Printers\"\n\
         [[organisation.credential]]\nuser = \"scan-1\"\ninbound_connector = \"Printers\"\n\
         password_hash = \"{}\"\nscram_sha_256 = \"{}\"\n\
         previous_password_hash = \"{}\"\nprevious_scram_sha_256 = \"{}\"\n\
         previous_until = \"{}\"\n\
         [[organisation.credential]]\nuser = \"scan-2\"\ninbound_connector = \"Printers\"\n",
        stored.password_hash,
        stored.scram_sha_256,
        previous.password_hash,
        previous.scram_sha_256,
        START.after(Duration::from_secs(60)).to_rfc3339(),
    );
    let document = Document::from_toml(&text).unwrap_or_else(|error| panic!("{error}"));
    Settings::build(Mode::Lan, 1, document).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

struct World {
    logins: Logins,
    settings: Settings,
    clock: Clock,
}

impl World {
    fn new() -> Self {
        let clock = Clock::simulated(START);
        Self {
            logins: Logins::new(&clock, &Chance::seeded(1), Issuers::none(&clock)),
            settings: settings(),
            clock,
        }
    }

    async fn try_password(
        &self,
        user: &str,
        password: &str,
        from: &str,
    ) -> Result<String, Refusal> {
        let mut facts = Facts::of_address(from.parse().expect("an address"));
        facts.tls = Some(TlsVersion::V1_3);
        let claim = Claim::Password {
            user: user.into(),
            password: Secret::from(password.as_bytes()),
        };
        let logged_in = self.logins.log_in(&self.settings, &facts, &claim).await;
        logged_in.map_err(|not| not.refusal)
    }

    fn checks(&self) -> usize {
        self.logins.checks.swap(0, Ordering::Relaxed)
    }
}

const GOOD: &str = "192.0.2.7";

#[tokio::test(start_paused = true)]
async fn an_unknown_user_costs_the_same_work_as_a_known_one_and_gets_the_same_words() {
    let world = World::new();
    // Two passwords of `scan-1` count for a minute, and one after that.
    for checks in [2, 1] {
        for user in ["nobody", "", "scan-2", "scan-1"] {
            let refused = world.try_password(user, "wrong", GOOD).await;
            assert_eq!(refused, Err(Refusal::AuthBad), "{user}");
            assert_eq!(world.checks(), checks, "{user}");
        }
        world.clock.sleep(Duration::from_secs(61)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_password_that_was_right_is_known_again_without_work_for_a_while() {
    let world = World::new();
    let login = || world.try_password("SCAN-1 ", "pencil", GOOD);
    assert_eq!(login().await, Ok("scan-1".to_owned()));
    assert_eq!(world.checks(), 1);
    assert_eq!(login().await, Ok("scan-1".to_owned()));
    assert_eq!(world.checks(), 0);
    world.clock.sleep(Duration::from_secs(301)).await;
    assert_eq!(login().await, Ok("scan-1".to_owned()));
    assert_eq!(world.checks(), 1);
    // A wrong one is not.
    for _ in 0..2 {
        assert!(world.try_password("scan-1", "wrong", GOOD).await.is_err());
        assert_eq!(world.checks(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_previous_password_counts_until_its_time() {
    let world = World::new();
    let login = || world.try_password("scan-1", "crayon", GOOD);
    assert_eq!(login().await, Ok("scan-1".to_owned()));
    let proved = |password: &str| {
        let begun = Prover::begin(&world, "scan-1");
        let claim = begun.expect("it may guess").prove("scan-1", password);
        matches!(claim, Claim::Proved { .. })
    };
    assert_eq!(
        ["crayon", "pencil", "chalk"].map(proved),
        [true, true, false]
    );
    world.clock.sleep(Duration::from_secs(60)).await;
    assert_eq!(login().await, Err(Refusal::AuthBad));
    assert_eq!(
        ["crayon", "pencil", "chalk"].map(proved),
        [false, true, false]
    );
}

#[tokio::test(start_paused = true)]
async fn the_eleventh_guess_is_not_looked_at_and_a_good_client_is_not_locked_out() {
    let world = World::new();
    assert!(world.try_password("scan-1", "pencil", GOOD).await.is_ok());
    world.checks();
    let guess = |n: u8| {
        world.try_password(
            "scan-1",
            if n == 11 { "pencil" } else { "x" },
            "203.0.113.9",
        )
    };
    for n in 1..=10 {
        assert_eq!(guess(n).await, Err(Refusal::AuthBad));
    }
    let looked_at = world.checks();
    assert_eq!(guess(11).await, Err(Refusal::AuthThrottled));
    assert_eq!(
        (looked_at, world.checks()),
        (20, 0),
        "two passwords count now"
    );
    assert!(world.try_password("scan-1", "pencil", GOOD).await.is_ok());
    world.clock.sleep(Duration::from_secs(3_600)).await;
    assert!(guess(11).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_proof_needs_no_work_and_is_counted_alike() {
    let world = World::new();
    let mut facts = Facts::of_address(GOOD.parse().expect("an address"));
    facts.tls = Some(TlsVersion::V1_3);
    let claim = |proved| Claim::Judged {
        user: "scan-1".into(),
        proved,
    };
    let settings = &world.settings;
    for _ in 0..10 {
        let refused = world.logins.log_in(settings, &facts, &claim(false)).await;
        assert_eq!(refused.map_err(|not| not.refusal), Err(Refusal::AuthBad));
    }
    let refused = world.logins.log_in(settings, &facts, &claim(true)).await;
    assert_eq!(
        refused.map_err(|not| not.refusal),
        Err(Refusal::AuthThrottled)
    );
    assert_eq!(world.checks(), 0);
    world.clock.sleep(Duration::from_secs(3_600)).await;
    let verifier = |user| {
        let begun = world.logins.verifier(settings, facts.address, user);
        begun.map(|(verifier, _)| verifier).expect("it may guess")
    };
    let known = verifier("scan-1");
    let stored = &settings.document.organisation[0].credential[0].scram_sha_256;
    assert_eq!(&known.to_stored(), stored);
    let nobody = || verifier("scan-2").to_stored();
    assert_eq!(nobody(), nobody());
    for [one, other] in [
        ["scan-2", " Scan-2 "],
        ["nobody", "NOBODY"],
        ["scan-1", "SCAN-1"],
    ] {
        assert_eq!(verifier(one), verifier(other), "{one} is found in any case");
    }
}

/// A client of SCRAM that has begun, and has not proved anything yet.
struct Prover {
    exchange: Exchange,
    server_first: String,
}

impl Prover {
    fn begin(world: &World, user: &str) -> Result<Self, Refusal> {
        let mut exchange = Exchange::begin(Mechanism::ScramSha256);
        let first = format!("n,,n={user},r=abc");
        let asked = exchange.message(&Secret::from(first.as_bytes()));
        let Ok(Progress::Verifier { user }) = asked else {
            panic!("{asked:?}")
        };
        let address = GOOD.parse().expect("an address");
        let begun = world.logins.verifier(&world.settings, address, &user);
        let (verifier, nonce) = begun.map_err(|not| not.refusal)?;
        let challenge = exchange.with_verifier(verifier, &nonce, &ChannelBinding::default());
        let Ok(Progress::Challenge(challenge)) = challenge else {
            panic!("{challenge:?}")
        };
        Ok(Self {
            exchange,
            server_first: String::from_utf8(challenge).expect("text"),
        })
    }

    /// What the client's last message leads to.
    fn prove(&mut self, user: &str, password: &str) -> Claim {
        let last = client_final(user, password, &self.server_first);
        match self.exchange.message(&Secret::from(last.as_bytes())) {
            Ok(Progress::Decide(claim)) => claim,
            other => panic!("{other:?}"),
        }
    }
}

/// RFC 5802 §3, as a client computes it.
fn client_final(user: &str, password: &str, server_first: &str) -> String {
    let mut parts = server_first.split(',').map(|part| &part[2..]);
    let mut next = || parts.next().expect("three attributes");
    let (nonce, salt, rounds) = (next(), next(), next());
    let salt = STANDARD.decode(salt).expect("base64");
    let mac = |key: &[u8], text: &[u8]| -> [u8; 32] {
        let mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
        mac.chain_update(text).finalize().into_bytes().into()
    };
    let mut last = mac(password.as_bytes(), &[&salt[..], &[0, 0, 0, 1]].concat());
    let mut salted = last;
    for _ in 1..rounds.parse::<u32>().expect("a number") {
        last = mac(password.as_bytes(), &last);
        salted.iter_mut().zip(last).for_each(|(a, b)| *a ^= b);
    }
    let client_key = mac(&salted, b"Client Key");
    let without_proof = format!("c=biws,r={nonce}");
    let signed = format!("n={user},r=abc,{server_first},{without_proof}");
    let mut proof = mac(&Sha256::digest(client_key), signed.as_bytes());
    proof.iter_mut().zip(client_key).for_each(|(a, b)| *a ^= b);
    format!("{without_proof},p={}", STANDARD.encode(proof))
}

#[tokio::test(start_paused = true)]
async fn who_guesses_with_scram_is_slowed_as_well_however_many_sessions_it_has() {
    let world = World::new();
    let mut facts = Facts::of_address(GOOD.parse().expect("an address"));
    facts.tls = Some(TlsVersion::V1_3);
    let begin = || Prover::begin(&world, "scan-1");
    let mut begun: Vec<_> = (0..11).map(|_| begin().expect("it may guess")).collect();
    let mut last = begun.pop().expect("eleven");
    for mut one in begun {
        let claim = one.prove("scan-1", "wrong");
        let refused = world.logins.log_in(&world.settings, &facts, &claim).await;
        assert_eq!(refused.map_err(|not| not.refusal), Err(Refusal::AuthBad));
    }
    // The eleventh is right, and does not learn it.
    let claim = last.prove("scan-1", "pencil");
    assert_eq!(
        claim,
        Claim::Proved {
            user: "scan-1".into()
        }
    );
    let told = world.logins.may_know("scan-1", facts.address);
    assert_eq!(told.map_err(|not| not.refusal), Err(Refusal::AuthThrottled));
    assert_eq!(begin().err(), Some(Refusal::AuthThrottled));
    world.clock.sleep(Duration::from_secs(3_600)).await;
    let claim = begin().expect("it may guess").prove("scan-1", "pencil");
    assert_eq!(
        claim,
        Claim::Proved {
            user: "scan-1".into()
        }
    );
    assert_eq!(world.logins.may_know("scan-1", facts.address), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_good_token_wipes_out_the_failures_of_the_name_that_was_given_with_it() {
    let world = World::new();
    let mut facts = Facts::of_address(GOOD.parse().expect("an address"));
    facts.tls = Some(TlsVersion::V1_3);
    let garbage = async |named: Option<&str>, times: usize| {
        for _ in 0..times {
            let claim = Claim::Bearer {
                user: named.map(Into::into),
                token: Secret::from(&b"x.y.z"[..]),
            };
            let refused = world.logins.log_in(&world.settings, &facts, &claim).await;
            assert_eq!(refused.map_err(|not| not.refusal), Err(Refusal::AuthBad));
        }
    };
    let address = Some("scan@contoso.test");
    garbage(address, 9).await;
    let logged_in = world
        .logins
        .permitted(&world.settings, &facts, address, "scan-1");
    assert_eq!(logged_in, Ok("scan-1".to_owned()));
    garbage(address, 9).await;
    // Without a name they are nobody's.
    garbage(None, 11).await;
}
