//! One passkey (W3C WebAuthn Level 3 §7): made for the name by which the admin centre is reached,
//! and shown there. The person is verified each time by their own device (fingerprint, face, PIN),
//! so a passkey alone is two factors.
//!
//! The ceremonies themselves are a library's. Not here: whose a passkey is, and how often one may
//! try (`passkeys`).

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use webauthn_rp::bin::{Decode as _, Encode as _};
use webauthn_rp::request::auth::AuthenticationVerificationOptions;
use webauthn_rp::request::register::{
    CredProtect, Nickname, PublicKeyCredentialCreationOptions, PublicKeyCredentialUserEntity,
    RegistrationServerState, RegistrationVerificationOptions, USER_HANDLE_MAX_LEN, UserHandle64,
    Username,
};
use webauthn_rp::request::{AsciiDomain, ExtensionReq, PublicKeyCredentialDescriptor, RpId};
use webauthn_rp::response::register::{DynamicState, StaticState};
use webauthn_rp::response::{AuthTransports, CredentialId, SentChallenge};
use webauthn_rp::{
    AuthenticatedCredential, DiscoverableAuthentication64, DiscoverableAuthenticationServerState,
    DiscoverableCredentialRequestOptions, Registration,
};

use relais_smtp::time::Timestamp;

/// Octets by which a device knows whose a passkey is. W3C WebAuthn Level 3 §14.6.1.
pub(super) const HANDLE_OCTETS: usize = USER_HANDLE_MAX_LEN;

/// Why there are no passkeys where the admin centre is reached so.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NoPasskeys {
    /// By an address: a passkey belongs to a name.
    Address,
    /// In clear: browsers offer none there.
    InClear,
}

/// Where passkeys hold.
#[derive(Debug)]
pub(crate) struct RelyingParty {
    place: RpId,
    /// As browsers write it: scheme, name, and port if it is another one.
    origin: String,
}

impl RelyingParty {
    /// The one that a browser reached by this address.
    pub(crate) fn of(origin: &str) -> Result<Self, NoPasskeys> {
        let origin = origin.to_ascii_lowercase();
        let (scheme, host) = origin.split_once("://").ok_or(NoPasskeys::Address)?;
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|one| one.is_ascii_digit()) => name,
            _ => host,
        };
        let fits = |one: u8| one.is_ascii_alphanumeric() || b"-.".contains(&one);
        if name.parse::<IpAddr>().is_ok() || !name.bytes().all(fits) {
            return Err(NoPasskeys::Address);
        }
        // What stays on the machine is as good as encrypted. W3C Secure Contexts §3.1.
        let is_here = name == "localhost" || name.ends_with(".localhost");
        if scheme != "https" && !is_here {
            return Err(NoPasskeys::InClear);
        }
        let place = AsciiDomain::try_from(name.to_owned());
        let place = RpId::Domain(place.map_err(|_| NoPasskeys::Address)?);
        Ok(Self { place, origin })
    }

    /// The name alone.
    pub(crate) fn name(&self) -> &str {
        self.place.as_ref()
    }
}

/// What is kept of a passkey: nothing of it is secret.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Passkey {
    /// Its device's name for it, in base64url.
    pub(crate) id: String,
    /// Its person's.
    pub(crate) name: String,
    /// By which name the admin centre was reached; it is shown nowhere else.
    pub(crate) place: String,
    /// RFC 3339.
    pub(crate) since: String,
    /// When somebody signed in by it last.
    pub(crate) used: Option<String>,
    /// Public key, as the library writes it.
    key: String,
    /// Counter and what else changes, as the library writes it.
    state: String,
}

/// One that is being made.
pub(super) struct Making {
    state: RegistrationServerState<HANDLE_OCTETS>,
    handle: UserHandle64,
    place: String,
    pub(super) label: String,
}

impl Making {
    /// For a person: what their browser needs to make it. `before`: those that they have.
    pub(super) fn begin(
        party: &RelyingParty,
        (person, label): (&str, &str),
        handle: [u8; HANDLE_OCTETS],
        before: &[Passkey],
    ) -> Result<(Self, String), String> {
        let handle = UserHandle64::decode(handle).map_err(told)?;
        let user = PublicKeyCredentialUserEntity {
            name: Username::try_from(person).map_err(told)?,
            id: &handle,
            display_name: Some(Nickname::try_from(person).map_err(told)?),
        };
        let known = before.iter().filter(|one| one.place == party.name());
        let known: Result<Vec<_>, String> = known.map(Passkey::descriptor).collect();
        let mut options = PublicKeyCredentialCreationOptions::passkey(&party.place, user, known?);
        // Not each device knows it; what it protects is demanded at each sign-in anyway.
        options.extensions.cred_protect = CredProtect::None;
        // Whether the device keeps it, so that no name has to be typed.
        options.extensions.cred_props = Some(ExtensionReq::Allow);
        let (state, client) = options.start_ceremony().map_err(told)?;
        let client = serde_json::to_string(&client).map_err(told)?;
        let making = Self {
            state,
            handle,
            place: party.name().to_owned(),
            label: label.to_owned(),
        };
        Ok((making, client))
    }

    /// What the browser made counts from now on.
    pub(super) fn finish(
        self,
        party: &RelyingParty,
        answer: &str,
        now: Timestamp,
    ) -> Result<([u8; HANDLE_OCTETS], Passkey), String> {
        if self.place != party.name() {
            return Err(format!("it was begun at {}", self.place));
        }
        let answer = Registration::from_json_relaxed(answer.as_bytes()).map_err(told)?;
        let options = RegistrationVerificationOptions::<&str, &str> {
            allowed_origins: &[&party.origin],
            error_on_unsolicited_extensions: false,
            ..RegistrationVerificationOptions::default()
        };
        let made = self.state.verify(&party.place, &answer, &options);
        let made = made.map_err(told)?;
        let passkey = Passkey {
            id: URL_SAFE_NO_PAD.encode(made.id()),
            name: self.label,
            place: self.place,
            since: now.to_rfc3339(),
            used: None,
            key: URL_SAFE_NO_PAD.encode(made.static_state().encode().map_err(told)?),
            state: URL_SAFE_NO_PAD.encode(made.dynamic_state().encode().map_err(told)?),
        };
        Ok((self.handle.encode().map_err(told)?, passkey))
    }
}

/// What is asked of whoever signs in: by whatever passkey of this place they have.
pub(super) fn ask(
    party: &RelyingParty,
) -> Result<(DiscoverableAuthenticationServerState, String), String> {
    let options = DiscoverableCredentialRequestOptions::passkey(&party.place);
    let (state, client) = options.start_ceremony().map_err(told)?;
    Ok((state, serde_json::to_string(&client).map_err(told)?))
}

/// What a browser answered: who it says it is, which is not proven yet.
pub(super) struct Shown(DiscoverableAuthentication64);

impl Shown {
    pub(super) fn read(answer: &str) -> Result<Self, String> {
        let read = DiscoverableAuthentication64::from_json_relaxed(answer.as_bytes());
        read.map(Self).map_err(told)
    }

    /// Whether it answers this question.
    pub(super) fn answers(&self, asked: &DiscoverableAuthenticationServerState) -> bool {
        let asked = std::borrow::Borrow::<SentChallenge>::borrow(asked);
        self.0.challenge_relaxed().is_ok_and(|one| one == *asked)
    }

    /// Of whom, in base64url.
    pub(super) fn handle(&self) -> Result<String, String> {
        let handle = self.0.response().user_handle().encode().map_err(told)?;
        Ok(URL_SAFE_NO_PAD.encode(handle))
    }

    /// The passkey's own name, in base64url.
    pub(super) fn id(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.raw_id())
    }
}

impl Passkey {
    fn descriptor(&self) -> Result<PublicKeyCredentialDescriptor<Vec<u8>>, String> {
        let id = URL_SAFE_NO_PAD.decode(&self.id).map_err(told)?;
        Ok(PublicKeyCredentialDescriptor {
            id: CredentialId::decode(id).map_err(told)?,
            // No hint: any of the ways to reach a device may be the one.
            transports: AuthTransports::decode(0).map_err(told)?,
        })
    }

    /// The passkey after it was shown; `Err`: what was shown proves nothing, and why.
    pub(super) fn after(
        &self,
        party: &RelyingParty,
        asked: DiscoverableAuthenticationServerState,
        shown: &Shown,
        now: Timestamp,
    ) -> Result<Self, String> {
        if self.place != party.name() {
            return Err(format!("it was made for {}", self.place));
        }
        let key = URL_SAFE_NO_PAD.decode(&self.key).map_err(told)?;
        let state = URL_SAFE_NO_PAD.decode(&self.state).map_err(told)?;
        let state = <[u8; 7]>::try_from(state).map_err(|_| "its state is cut".to_owned())?;
        let mut known = AuthenticatedCredential::new(
            shown.0.raw_id(),
            shown.0.response().user_handle(),
            StaticState::decode(key.as_slice()).map_err(told)?,
            DynamicState::decode(state).map_err(told)?,
        )
        .map_err(told)?;
        let options = AuthenticationVerificationOptions::<&str, &str> {
            allowed_origins: &[&party.origin],
            error_on_unsolicited_extensions: false,
            ..AuthenticationVerificationOptions::default()
        };
        let proven = asked.verify(&party.place, &shown.0, &mut known, &options);
        proven.map_err(told)?;
        let mut after = self.clone();
        after.used = Some(now.to_rfc3339());
        after.state = URL_SAFE_NO_PAD.encode(known.dynamic_state().encode().map_err(told)?);
        Ok(after)
    }
}

fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}
