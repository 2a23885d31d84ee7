//! Passkeys against a device that is made here: it signs whatever it is told to, also what no
//! browser would send.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use relais_store::memory::MemoryOptions;

use super::*;
use crate::permission::Role;

const NOW: Timestamp = Timestamp::from_millis(1_900_000_000_000);
const ORIGIN: &str = "https://relay.test:8443";
const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
/// User present, user verified, attested credential. W3C WebAuthn Level 3 §6.1.
const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const ATTESTED: u8 = 0x40;

/// What a device says; each test changes what it is about.
#[derive(Clone)]
struct Saying {
    origin: &'static str,
    place: &'static str,
    flags: u8,
    count: u32,
    is_embedded: bool,
}

const HONEST: Saying = Saying {
    origin: ORIGIN,
    place: "relay.test",
    flags: PRESENT | VERIFIED,
    count: 1,
    is_embedded: false,
};

struct Device {
    key: EcdsaKeyPair,
    id: [u8; 16],
    handle: String,
}

fn question(options: &str) -> Value {
    serde_json::from_str(options).expect("JSON")
}

fn client_data(kind: &str, challenge: &Value, said: &Saying) -> String {
    let told = json!({
        "type": kind,
        "challenge": challenge,
        "origin": said.origin,
        "crossOrigin": said.is_embedded,
    });
    told.to_string()
}

fn device_data(said: &Saying, more_flags: u8) -> Vec<u8> {
    let mut data = Sha256::digest(said.place.as_bytes()).to_vec();
    data.push(said.flags | more_flags);
    data.extend(said.count.to_be_bytes());
    data
}

impl Device {
    fn new(name: u8) -> Self {
        Self {
            key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key"),
            id: [name; 16],
            handle: String::new(),
        }
    }

    /// RFC 9053 §7.1.1, in the order of CTAP 2.
    fn public_key(&self) -> Vec<u8> {
        let point = self.key.public_key().as_ref();
        let mut key = vec![0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20];
        key.extend(&point[1..33]);
        key.extend([0x22, 0x58, 0x20]);
        key.extend(&point[33..]);
        key
    }

    fn make(&mut self, options: &str, said: &Saying) -> String {
        let asked = question(options);
        self.handle = asked["user"]["id"].as_str().expect("a handle").to_owned();
        let mut data = device_data(said, ATTESTED);
        data.extend([0; 16]);
        data.extend([0, 16]);
        data.extend(self.id);
        data.extend(self.public_key());
        let length = u8::try_from(data.len()).expect("short");
        let mut object = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".to_vec();
        object.push(length);
        object.extend(data);
        let client = client_data("webauthn.create", &asked["challenge"], said);
        let response = json!({
            "clientDataJSON": URL_SAFE_NO_PAD.encode(client),
            "attestationObject": URL_SAFE_NO_PAD.encode(object),
            "transports": ["internal"],
        });
        self.answer(response)
    }

    fn show(&self, options: &str, said: &Saying) -> String {
        let asked = question(options);
        let client = client_data("webauthn.get", &asked["challenge"], said);
        let data = device_data(said, 0);
        let signed = [&data[..], &Sha256::digest(client.as_bytes())].concat();
        let signature = self.key.sign(&SystemRandom::new(), &signed);
        let response = json!({
            "clientDataJSON": URL_SAFE_NO_PAD.encode(client),
            "authenticatorData": URL_SAFE_NO_PAD.encode(data),
            "signature": URL_SAFE_NO_PAD.encode(signature.expect("a signature")),
            "userHandle": self.handle,
        });
        self.answer(response)
    }

    fn answer(&self, response: Value) -> String {
        let id = URL_SAFE_NO_PAD.encode(self.id);
        let told = json!({
            "id": id, "rawId": id, "type": "public-key", "response": response,
            "authenticatorAttachment": "platform", "clientExtensionResults": {},
        });
        told.to_string()
    }
}

struct Place {
    store: Store,
    people: People,
    chance: Chance,
    party: RelyingParty,
}

impl Place {
    async fn new() -> Self {
        let place = Self {
            store: Store::in_memory(MemoryOptions::new(NOW)),
            people: People::new(None, true),
            chance: Chance::seeded(1),
            party: RelyingParty::of(ORIGIN).expect("a name"),
        };
        for name in ["anna", "eve"] {
            let person = Administrator::for_tests(name, Role::Owner);
            let change = ShelfChange::new(Shelf::Administrator, NOW);
            let change = change.put(name, to_json(&person));
            place.store.change_shelf(change).await.expect("kept");
        }
        place
    }

    fn by(&self) -> By<'static> {
        By {
            actor: "anna (web)",
            via: "web".into(),
            now: NOW,
        }
    }

    async fn begin(&self, name: &str) -> String {
        let with = (&self.store, &self.chance);
        let begun = self
            .people
            .begin_passkey(with, &self.party, (name, "Telephone"), NOW);
        begun.await.expect("a question")
    }

    async fn confirm(&self, name: &str, answer: &str) -> Result<String, PeopleError> {
        let (store, by) = (&self.store, self.by());
        let people = &self.people;
        people
            .confirm_passkey(store, &self.party, (name, answer), &by)
            .await
    }

    async fn device_of(&self, name: &str, number: u8) -> Device {
        let mut device = Device::new(number);
        let options = self.begin(name).await;
        let answer = device.make(&options, &HONEST);
        self.confirm(name, &answer).await.expect("it is made");
        device
    }

    fn ask(&self) -> String {
        let asked = self.people.ask_passkey(&self.party, (PEER, NOW));
        asked.expect("a question")
    }

    async fn come_in(&self, answer: &str) -> Result<(String, How), PeopleError> {
        self.after_password(None, answer).await
    }

    async fn after_password(
        &self,
        pending: Option<&str>,
        answer: &str,
    ) -> Result<(String, How), PeopleError> {
        let answer = (pending, answer);
        let people = &self.people;
        let shown = people.show_passkey(&self.store, &self.party, answer, (PEER, NOW));
        shown.await.map(|(person, how)| (person.name, how))
    }

    async fn show(&self, device: &Device, said: &Saying) -> Result<(String, How), PeopleError> {
        self.come_in(&device.show(&self.ask(), said)).await
    }
}

fn counted(count: u32) -> Saying {
    Saying { count, ..HONEST }
}

#[tokio::test]
async fn whoever_shows_a_passkey_is_in_without_typing_anything() {
    let place = Place::new().await;
    let device = place.device_of("anna", 1).await;
    let other = place.device_of("eve", 2).await;
    let anna = ("anna".to_owned(), How::Passkey);
    assert_eq!(place.show(&device, &counted(2)).await, Ok(anna));
    let eve = ("eve".to_owned(), How::Passkey);
    assert_eq!(place.show(&other, &counted(2)).await, Ok(eve));
    let kept = place.people.find(&place.store, "anna").await;
    let kept = kept.expect("read").expect("anna");
    assert!(kept.has_factor());
    let passkey = &kept.passkeys[0];
    assert_eq!(
        (&*passkey.name, &*passkey.place),
        ("Telephone", "relay.test")
    );
    assert!(passkey.used.is_some());
}

#[tokio::test]
async fn what_a_false_page_or_a_copied_device_sends_lets_nobody_in() {
    let place = Place::new().await;
    let device = place.device_of("anna", 1).await;
    place.show(&device, &counted(7)).await.expect("anna");
    let false_page = Saying {
        origin: "https://relay.test.evil.example",
        ..counted(8)
    };
    let other_port = Saying {
        origin: "https://relay.test:9443",
        ..counted(8)
    };
    let in_clear = Saying {
        origin: "http://relay.test:8443",
        ..counted(8)
    };
    let other_name = Saying {
        place: "evil.example",
        ..counted(8)
    };
    let unverified = Saying {
        flags: PRESENT,
        ..counted(8)
    };
    let embedded = Saying {
        is_embedded: true,
        ..counted(8)
    };
    for (said, because) in [
        (false_page, "origin"),
        (other_port, "origin"),
        (in_clear, "origin"),
        (other_name, "RP ID"),
        (unverified, "verif"),
        (embedded, "cross"),
        (counted(7), "counter"),
        (counted(0), "counter"),
    ] {
        let refused = place.show(&device, &said).await.expect_err(because);
        let words = refused.to_string();
        assert!(
            words.to_lowercase().contains(&because.to_lowercase()),
            "{because}: {words}"
        );
        assert!(matches!(refused, PeopleError::Passkey(_)), "{words}");
    }
    // Another device that says it was this one.
    let mut copy = Device::new(1);
    copy.handle.clone_from(&device.handle);
    let refused = place.show(&copy, &counted(8)).await;
    assert!(
        matches!(refused, Err(PeopleError::Passkey(_))),
        "{refused:?}"
    );
    place.show(&device, &counted(8)).await.expect("anna");
}

#[tokio::test]
async fn an_answer_counts_once_and_only_to_a_question_of_ours() {
    let place = Place::new().await;
    let device = place.device_of("anna", 1).await;
    let answer = device.show(&place.ask(), &counted(2));
    place.come_in(&answer).await.expect("anna");
    assert_eq!(place.come_in(&answer).await, Err(PeopleError::Late));
    let own = Place::new().await.ask();
    let foreign = device.show(&own, &counted(3));
    assert_eq!(place.come_in(&foreign).await, Err(PeopleError::Late));
    for rubbish in ["", "{}", "[1", &"x".repeat(ANSWER_OCTETS_MAX + 1)] {
        let refused = place.come_in(rubbish).await;
        assert!(
            matches!(refused, Err(PeopleError::Passkey(_))),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn after_a_password_only_a_passkey_of_the_same_person_counts() {
    let place = Place::new().await;
    let device = place.device_of("anna", 1).await;
    let other = place.device_of("eve", 2).await;
    let token = place.people.await_code("anna", &place.chance, NOW);
    let answer = other.show(&place.ask(), &counted(2));
    let refused = place.after_password(Some(&token), &answer).await;
    assert!(
        matches!(refused, Err(PeopleError::Passkey(_))),
        "{refused:?}"
    );
    let answer = device.show(&place.ask(), &counted(2));
    let came = place.after_password(Some(&token), &answer).await;
    assert_eq!(came, Ok(("anna".to_owned(), How::PasswordAndPasskey)));
    // The password's token is used up.
    let answer = device.show(&place.ask(), &counted(3));
    let late = place.after_password(Some(&token), &answer).await;
    assert_eq!(late, Err(PeopleError::Late));
}

#[tokio::test]
async fn a_passkey_is_made_once_for_one_person_and_counts_no_more_when_it_is_removed() {
    let place = Place::new().await;
    let device = place.device_of("anna", 1).await;
    // Its device is told which ones there are.
    let again = question(&place.begin("anna").await);
    let known = &again["excludeCredentials"][0]["id"];
    assert_eq!(known, &json!(URL_SAFE_NO_PAD.encode([1; 16])));
    // One that eve's device says was hers too.
    let mut stolen = Device::new(1);
    let options = place.begin("eve").await;
    let refused = place.confirm("eve", &stolen.make(&options, &HONEST)).await;
    assert!(
        matches!(refused, Err(PeopleError::Passkey(_))),
        "{refused:?}"
    );
    let elsewhere = Saying {
        origin: "https://evil.example",
        ..HONEST
    };
    let options = place.begin("eve").await;
    let mut new = Device::new(3);
    let refused = place.confirm("eve", &new.make(&options, &elsewhere)).await;
    assert!(
        matches!(refused, Err(PeopleError::Passkey(_))),
        "{refused:?}"
    );
    let by = place.by();
    let people = &place.people;
    people
        .remove_passkeys(&place.store, ("anna", None), &by)
        .await
        .expect("gone");
    let refused = place.show(&device, &counted(2)).await.expect_err("gone");
    assert!(refused.to_string().contains("not known"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn nobody_asks_for_questions_without_end_and_wrong_answers_are_counted() {
    let place = Place::new().await;
    let asked = |_: &u32| place.people.ask_passkey(&place.party, (PEER, NOW)).is_ok();
    let taken = (0..200_u32).filter(asked).count();
    assert_eq!(taken, QUESTIONS_PER_MINUTE_MAX as usize);
    let mut guesses = 0;
    while !matches!(place.come_in("{}").await, Err(PeopleError::Slowed)) {
        guesses += 1;
        assert!(guesses < 10_000, "never slowed");
    }
}

#[test]
fn passkeys_need_a_name_and_encryption() {
    use super::super::passkey::NoPasskeys::{Address, InClear};
    for (origin, why) in [
        ("https://192.0.2.7:8443", Address),
        ("https://[2001:db8::7]:8443", Address),
        ("https://[2001:db8::7]", Address),
        ("http://127.0.0.1:8080", Address),
        ("http://relay.test", InClear),
        ("https://", Address),
        ("https://re lay.test", Address),
    ] {
        assert_eq!(RelyingParty::of(origin).err(), Some(why), "{origin}");
    }
    for (origin, name) in [
        ("https://Relay.Test:8443", "relay.test"),
        ("https://relay.test", "relay.test"),
        ("http://localhost:8080", "localhost"),
    ] {
        let party = RelyingParty::of(origin).expect(origin);
        assert_eq!(party.name(), name);
    }
}
