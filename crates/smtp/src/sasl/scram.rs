//! SCRAM-SHA-256 and its binding to the channel. RFC 5802, RFC 7677; tls-exporter of RFC 9266;
//! the stored form of RFC 5803.
//!
//! The messages are built once and signed as they went over the wire. Not here: chance (the nonce
//! comes in), and who has which verifier (the driver).

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Malformed;
use crate::secret::Secret;

/// Octets of a key or signature.
const KEY_OCTETS: usize = 32;
/// Rounds of a verifier made here. RFC 7677 §4 asks for 4096 at least; 15,000 take about 2 ms.
pub const ITERATIONS: u32 = 15_000;
/// Most rounds of a verifier made elsewhere. The client computes them, we do not; a device should
/// not be busy for minutes.
pub const ITERATIONS_MAX: u32 = 1_000_000;
/// Octets of salt, of a verifier made here.
pub const SALT_OCTETS: usize = 16;
/// Octets of chance in our nonce. RFC 5802 §5.1 leaves it open; 18 octets are 24 characters.
pub const NONCE_OCTETS: usize = 18;
/// Longest nonce of a client, in characters. Clients send 16 to 64.
const CLIENT_NONCE_CHARACTERS_MAX: usize = 256;
/// Octets that RFC 9266 §2 takes of the TLS exporter.
pub const EXPORTER_OCTETS: usize = 32;

type Key = [u8; KEY_OCTETS];

/// What is stored in place of a password: enough to check a proof, not enough to make one.
#[derive(Clone, Eq, PartialEq)]
pub struct Verifier {
    iterations: u32,
    salt: Box<[u8]>,
    keys: Keys,
    /// Of the password before, which counts as well.
    previous: Option<Keys>,
}

/// What the salted password gives. RFC 5802 §3.
#[derive(Clone, Eq, PartialEq)]
struct Keys {
    stored_key: Key,
    server_key: Key,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Verifier")
    }
}

impl Verifier {
    /// Of a password. `salt` must be chance.
    pub fn of_password(password: &[u8], salt: &[u8], iterations: u32) -> Self {
        let salted = hi(password, salt, iterations);
        Self {
            iterations,
            salt: salt.into(),
            keys: Keys {
                stored_key: Sha256::digest(mac(&salted, b"Client Key")).into(),
                server_key: mac(&salted, b"Server Key"),
            },
            previous: None,
        }
    }

    /// Of a new password, with the salt and rounds of this one: the server's first message is then
    /// the same for both, and [`Verifier::with_previous`] can take both.
    #[must_use]
    pub fn renewed(&self, password: &[u8]) -> Self {
        Self::of_password(password, &self.salt, self.iterations)
    }

    /// Takes the previous password's proof too. Only if it was made with the same salt and rounds:
    /// the client is told one of each, before anybody knows which password it has.
    #[must_use]
    pub fn with_previous(mut self, previous: Self) -> Self {
        if previous.salt == self.salt && previous.iterations == self.iterations {
            self.previous = Some(previous.keys);
        }
        self
    }

    /// For a user that does not exist: looks like any other, the same each time for the same
    /// `secret` and user, and no password fits it.
    pub fn of_nobody(secret: &[u8], user: &str) -> Self {
        let salt = mac(secret, user.as_bytes());
        let key = mac(secret, &salt);
        Self {
            iterations: ITERATIONS,
            salt: salt[..SALT_OCTETS].into(),
            keys: Keys {
                stored_key: key,
                server_key: mac(&key, b"Server Key"),
            },
            previous: None,
        }
    }

    /// Reads `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`. RFC 5803 §2.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.trim().strip_prefix("SCRAM-SHA-256$")?;
        let (parameters, keys) = rest.split_once('$')?;
        let (iterations, salt) = parameters.split_once(':')?;
        let (stored_key, server_key) = keys.split_once(':')?;
        let iterations = iterations.parse().ok()?;
        let salt = STANDARD.decode(salt).ok()?;
        let key = |text: &str| -> Option<Key> { STANDARD.decode(text).ok()?.try_into().ok() };
        let fits = (1..=ITERATIONS_MAX).contains(&iterations) && (1..=64).contains(&salt.len());
        fits.then_some(Self {
            iterations,
            salt: salt.into(),
            keys: Keys {
                stored_key: key(stored_key)?,
                server_key: key(server_key)?,
            },
            previous: None,
        })
    }

    /// What [`Verifier::parse`] reads, of this password alone: a secret, to be stored, not shown.
    pub fn to_stored(&self) -> String {
        format!(
            "SCRAM-SHA-256${}:{}${}:{}",
            self.iterations,
            STANDARD.encode(&self.salt),
            STANDARD.encode(self.keys.stored_key),
            STANDARD.encode(self.keys.server_key)
        )
    }
}

impl Keys {
    /// Whether the proof was made with the password of these.
    fn are_proved_by(&self, proof: Key, signed: &[u8]) -> bool {
        let signature = mac(&self.stored_key, signed);
        let mut client_key = proof;
        for (octet, mask) in client_key.iter_mut().zip(signature) {
            *octet ^= mask;
        }
        let stored_key: Key = Sha256::digest(client_key).into();
        stored_key.ct_eq(&self.stored_key).into()
    }
}

/// Our part of the nonce: printable, from chance.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerNonce(Box<str>);

impl ServerNonce {
    /// From [`NONCE_OCTETS`] of chance.
    pub fn new(chance: [u8; NONCE_OCTETS]) -> Self {
        Self(STANDARD.encode(chance).into())
    }

    /// That of an example.
    #[cfg(test)]
    pub(super) fn of_text(text: &str) -> Self {
        Self(text.into())
    }
}

/// What the TLS channel gives to bind to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ChannelBinding {
    /// Exporter octets of this connection (label `EXPORTER-Channel-Binding`, no context); `None`:
    /// in clear text, or a TLS that has none.
    pub tls_exporter: Option<[u8; EXPORTER_OCTETS]>,
}

/// Whether the client binds to the channel. RFC 5802 §7, `gs2-cbind-flag`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Binding {
    /// `n`: it does not know how.
    Unable,
    /// `y`: it knows how, and believes that we do not.
    BelievesUsUnable,
    /// `p=tls-exporter`.
    TlsExporter,
}

/// The client's first message.
#[derive(Debug)]
pub(super) struct ClientFirst {
    binding: Binding,
    /// `n,,`, as it came.
    header: Box<str>,
    /// `n=user,r=nonce`, as it came.
    bare: Box<str>,
    user: Box<str>,
    nonce: Box<str>,
    /// It wants to act for somebody else.
    for_another: bool,
}

impl ClientFirst {
    pub(super) fn read(message: &[u8]) -> Result<Self, Malformed> {
        let text = core::str::from_utf8(message).map_err(|_| Malformed)?;
        let mut parts = text.splitn(3, ',');
        let (Some(flag), Some(acts_for), Some(bare)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(Malformed);
        };
        let binding = match flag {
            "n" => Binding::Unable,
            "y" => Binding::BelievesUsUnable,
            "p=tls-exporter" => Binding::TlsExporter,
            _ => return Err(Malformed),
        };
        let mut attributes = bare.split(',');
        // `m=` would stand here: an extension that must be understood. There is none.
        let user = attributes.next().and_then(|one| one.strip_prefix("n="));
        let nonce = attributes.next().and_then(|one| one.strip_prefix("r="));
        let (Some(user), Some(nonce)) = (user.and_then(decode_name), nonce) else {
            return Err(Malformed);
        };
        let printable = nonce.bytes().all(|octet| octet.is_ascii_graphic());
        if nonce.is_empty() || nonce.len() > CLIENT_NONCE_CHARACTERS_MAX || !printable {
            return Err(Malformed);
        }
        let acts_for = match acts_for.strip_prefix("a=") {
            Some(name) => Some(decode_name(name).ok_or(Malformed)?),
            None if acts_for.is_empty() => None,
            None => return Err(Malformed),
        };
        Ok(Self {
            binding,
            header: text[..text.len() - bare.len()].into(),
            bare: bare.into(),
            for_another: acts_for.is_some_and(|name| *name != *user),
            user,
            nonce: nonce.into(),
        })
    }

    pub(super) fn user(&self) -> &str {
        &self.user
    }

    /// The server's first message, with all that is needed to check the proof.
    pub(super) fn answer(
        self,
        verifier: Verifier,
        nonce: &ServerNonce,
        channel: &ChannelBinding,
        plus: bool,
    ) -> Result<Conversation, Malformed> {
        let exporter = match (self.binding, plus, channel.tls_exporter) {
            (Binding::Unable, false, _) | (Binding::BelievesUsUnable, false, None) => None,
            (Binding::TlsExporter, true, Some(octets)) => Some(octets),
            // Somebody between us has taken PLUS out of what we offer (RFC 5802 §6), or the flag
            // does not fit the mechanism.
            _ => return Err(Malformed),
        };
        let mut bound = self.header.as_bytes().to_vec();
        bound.extend_from_slice(exporter.as_ref().map_or(&[][..], |octets| &octets[..]));
        let nonce = format!("{}{}", self.nonce, nonce.0);
        let server_first = format!(
            "r={nonce},s={},i={}",
            STANDARD.encode(&verifier.salt),
            verifier.iterations
        );
        Ok(Conversation {
            first: self,
            bound,
            nonce,
            server_first,
            verifier,
        })
    }
}

/// A conversation that waits for the proof.
#[derive(Debug)]
pub(super) struct Conversation {
    first: ClientFirst,
    /// The header, and the channel's octets behind it.
    bound: Vec<u8>,
    nonce: String,
    server_first: String,
    verifier: Verifier,
}

impl Conversation {
    pub(super) fn user(&self) -> &str {
        &self.first.user
    }

    pub(super) fn server_first(&self) -> &str {
        &self.server_first
    }

    /// Our signature if the client's proof holds, `None` if it does not.
    pub(super) fn finish(self, message: &[u8]) -> Result<Option<Vec<u8>>, Malformed> {
        let text = core::str::from_utf8(message).map_err(|_| Malformed)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(Malformed)?;
        let proof: Key = STANDARD
            .decode(proof)
            .ok()
            .and_then(|proof| proof.try_into().ok())
            .ok_or(Malformed)?;
        let mut attributes = without_proof.split(',');
        let bound = attributes.next().and_then(|one| one.strip_prefix("c="));
        let nonce = attributes.next().and_then(|one| one.strip_prefix("r="));
        let (Some(bound), Some(nonce)) = (bound, nonce) else {
            return Err(Malformed);
        };
        let bound = STANDARD.decode(bound).map_err(|_| Malformed)?;
        let signed = format!("{},{},{without_proof}", self.first.bare, self.server_first);
        let fits = |keys: &&Keys| keys.are_proved_by(proof, signed.as_bytes());
        let keys = [Some(&self.verifier.keys), self.verifier.previous.as_ref()];
        let Some(keys) = keys.into_iter().flatten().find(fits) else {
            return Ok(None);
        };
        if nonce != self.nonce || bound != self.bound || self.first.for_another {
            return Ok(None);
        }
        let signature = mac(&keys.server_key, signed.as_bytes());
        Ok(Some(
            format!("v={}", STANDARD.encode(signature)).into_bytes(),
        ))
    }
}

/// `=2C` is a comma, `=3D` an equals sign; nothing else may be escaped. RFC 5802 §5.1.
pub(super) fn decode_name(name: &str) -> Option<Box<str>> {
    let mut decoded = String::with_capacity(name.len());
    let mut parts = name.split('=');
    decoded.push_str(parts.next()?);
    for part in parts {
        let (escaped, rest) = match (part.strip_prefix("2C"), part.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            (None, None) => return None,
        };
        decoded.push(escaped);
        decoded.push_str(rest);
    }
    (!decoded.is_empty()).then(|| decoded.into())
}

/// The other way: a comma and an equals sign are escaped.
pub(super) fn encode_name(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

/// The client's side: proves that it knows the password, and learns whether the server does.
#[derive(Debug)]
pub(super) struct Prover {
    password: Secret,
    /// `n,,`, `y,,` or `p=tls-exporter,,`.
    header: &'static str,
    channel: ChannelBinding,
    /// `n=user,r=nonce`.
    bare: String,
    nonce: String,
    /// What the server's proof must be, once ours was sent.
    signature: Option<Key>,
    known: bool,
}

/// Least rounds that a server may ask for: fewer would give the password away to whoever plays
/// server. RFC 7677 §4.
const ROUNDS_MIN: u32 = 4_096;
/// Most rounds that a server may ask for: OWASP's advice for PBKDF2-HMAC-SHA256 (Password Storage
/// Cheat Sheet), a tenth of a second. Servers of mail ask for 4,096 to 15,000.
pub const ROUNDS_MAX: u32 = 600_000;

impl Prover {
    pub(super) fn new(
        user: &str,
        password: Secret,
        nonce: &str,
        channel: ChannelBinding,
        plus: bool,
    ) -> Self {
        let header = match (plus, channel.tls_exporter) {
            (true, _) => "p=tls-exporter,,",
            // We could bind and the server does not: it learns whether that was taken away.
            (false, Some(_)) => "y,,",
            (false, None) => "n,,",
        };
        Self {
            password,
            header,
            channel,
            bare: format!("n={},r={nonce}", encode_name(user)),
            nonce: nonce.into(),
            signature: None,
            known: false,
        }
    }

    /// The client's first message.
    pub(super) fn first(&self) -> String {
        format!("{}{}", self.header, self.bare)
    }

    /// The answer to the server's first message, or to its last one.
    pub(super) fn answer(&mut self, message: &[u8]) -> Result<Secret, Malformed> {
        if self.signature.is_none() {
            return self.prove(message);
        }
        if self.known || !self.is_signature(message) {
            return Err(Malformed);
        }
        self.known = true;
        Ok(Secret::default())
    }

    /// The server has proved that it knows the password.
    pub(super) fn knows_server(&self) -> bool {
        self.known
    }

    /// Whether this is the server's proof.
    pub(super) fn is_signature(&self, message: &[u8]) -> bool {
        let given = core::str::from_utf8(message)
            .ok()
            .and_then(|text| STANDARD.decode(text.strip_prefix("v=")?).ok());
        match (given, &self.signature) {
            (Some(given), Some(expected)) => given.ct_eq(expected.as_slice()).into(),
            _ => false,
        }
    }

    fn prove(&mut self, server_first: &[u8]) -> Result<Secret, Malformed> {
        let server_first = core::str::from_utf8(server_first).map_err(|_| Malformed)?;
        let mut attributes = server_first.split(',');
        let mut next = |key: &str| attributes.next().and_then(|one| one.strip_prefix(key));
        let (Some(nonce), Some(salt), Some(rounds)) = (next("r="), next("s="), next("i=")) else {
            return Err(Malformed);
        };
        let salt = STANDARD.decode(salt).map_err(|_| Malformed)?;
        let rounds: u32 = rounds.parse().map_err(|_| Malformed)?;
        let is_ours = nonce.len() > self.nonce.len() && nonce.starts_with(&self.nonce);
        if !is_ours || salt.is_empty() || !(ROUNDS_MIN..=ROUNDS_MAX).contains(&rounds) {
            return Err(Malformed);
        }
        let mut bound = self.header.as_bytes().to_vec();
        if let (true, Some(exporter)) = (self.header.starts_with('p'), self.channel.tls_exporter) {
            bound.extend_from_slice(&exporter);
        }
        let without_proof = format!("c={},r={nonce}", STANDARD.encode(bound));
        let signed = format!("{},{server_first},{without_proof}", self.bare);
        let salted = hi(self.password.expose(), &salt, rounds);
        let client_key = mac(&salted, b"Client Key");
        let stored_key: Key = Sha256::digest(client_key).into();
        let mut proof = mac(&stored_key, signed.as_bytes());
        for (octet, key) in proof.iter_mut().zip(client_key) {
            *octet ^= key;
        }
        self.signature = Some(mac(&mac(&salted, b"Server Key"), signed.as_bytes()));
        let message = format!("{without_proof},p={}", STANDARD.encode(proof));
        Ok(message.into_bytes().into())
    }
}

fn mac(key: &[u8], message: &[u8]) -> Key {
    Hmac::<Sha256>::new_from_slice(key)
        .expect("HMAC takes keys of any length")
        .chain_update(message)
        .finalize()
        .into_bytes()
        .into()
}

/// `Hi` of RFC 5802 §2.2, which is PBKDF2 with one block of output.
fn hi(password: &[u8], salt: &[u8], iterations: u32) -> Key {
    let keyed = Hmac::<Sha256>::new_from_slice(password).expect("HMAC takes keys of any length");
    let mut last: Key = keyed
        .clone()
        .chain_update(salt)
        .chain_update([0, 0, 0, 1])
        .finalize()
        .into_bytes()
        .into();
    let mut sum = last;
    for _ in 1..iterations {
        last = keyed
            .clone()
            .chain_update(last)
            .finalize()
            .into_bytes()
            .into();
        for (octet, more) in sum.iter_mut().zip(last) {
            *octet ^= more;
        }
    }
    sum
}
