//! Who may use the admin centre: local administrators, the link that makes the first one, and the
//! sessions of this moment. Passwords are kept as Argon2id, tokens as hashes; both compare in
//! constant time.
//!
//! Sessions outlive a restart. Not here: cookies and forms (`web/door.rs`).

pub(crate) mod issuer;
mod presence;
mod passkeys;
mod second;
mod factor;
mod passkey;
mod sessions;
mod coming;
mod strength;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::{OnceCell, Semaphore};

use relais_net::clock::{Chance, Moment};
use relais_net::sign_in::SignInClient;
use relais_policy::guessing::{Guesses, MayGuess};
use relais_policy::password::{NOBODYS_HASH, SALT_OCTETS, is_password, new_password, store};
use relais_policy::settings::Settings;
use relais_smtp::time::Timestamp;
use relais_store::door::Via;
use relais_store::shelf::{Shelf, ShelfAudit, ShelfChange};
use relais_store::store::Store;

pub(crate) use self::coming::{How, Tried};
pub(crate) use self::factor::{Factor, address as telephone_address, base32};
use self::issuer::UnderWay;
pub(crate) use self::passkey::{NoPasskeys, Passkey, RelyingParty};
use self::passkeys::Ceremonies;
pub(crate) use self::passkeys::{LABEL_CHARACTERS_MAX, PASSKEYS_MAX};
use self::second::Pending;
use self::sessions::Sessions;
pub(crate) use self::sessions::{Browser, IDLE_MAX, Session, id_of_token};
use self::strength::{is_guessable, words_of_place};
use crate::permission::{Reach, Rights, Role};
use crate::rates::Rates;
use crate::words::Language;

/// How long a set-up link opens its page.
pub const SETUP_LINK_LIFE: Duration = Duration::from_secs(60 * 60);
/// Shortest password that a person may choose, in characters. NIST SP 800-63B §3.1.1.2 asks for 15
/// where it is the only factor.
pub const PASSWORD_CHARACTERS_MIN: usize = 15;
/// Longest, in octets: hashing must not become work for others.
pub const PASSWORD_OCTETS_MAX: usize = 256;
/// Longest name, in octets.
pub const NAME_OCTETS_MAX: usize = 64;
/// Administrators of one installation.
pub const ADMINISTRATORS_MAX: usize = 200;
/// Hashes computed at the same time: each takes some 30 ms and 19 MiB.
const HASHES_MAX: usize = 2;
/// The link's key on its shelf: there is one at a time.
const LINK_KEY: &str = "current";

/// A person as stored.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Administrator {
    /// Unique, in lower case.
    pub(crate) name: String,
    pub(crate) role: Role,
    /// The only organisation that the person sees; none: all.
    #[serde(default)]
    pub(crate) organisation: Option<String>,
    /// Of it, the only inbound connector.
    #[serde(default)]
    pub(crate) connector: Option<String>,
    /// Argon2id, PHC form.
    password_hash: String,
    /// Asked for beside the password, if there is one.
    #[serde(default)]
    pub(crate) factor: Option<Factor>,
    /// Each of them lets the person in by itself.
    #[serde(default)]
    pub(crate) passkeys: Vec<Passkey>,
    /// How devices name the person, in base64url; there from the first passkey on.
    #[serde(default)]
    handle: Option<String>,
    /// `en`, `fr`; none: the browser's.
    #[serde(default)]
    pub(crate) language: Option<String>,
    /// RFC 3339.
    pub(crate) since: String,
}

impl Administrator {
    /// Role and reach.
    pub(crate) fn place_of(&self) -> Place {
        Place {
            role: self.role,
            organisation: self.organisation.clone(),
            connector: self.connector.clone(),
        }
    }

    /// Somebody who signed in with an issuer: nothing of them is kept but their session.
    pub(crate) fn of_issuer(name: &str, place: Place, language: Option<String>) -> Self {
        Self {
            name: name.to_owned(),
            role: place.role,
            organisation: place.organisation,
            connector: place.connector,
            password_hash: NOBODYS_HASH.to_owned(),
            factor: None,
            passkeys: Vec::new(),
            handle: None,
            language,
            since: String::new(),
        }
    }

    #[cfg(test)]
    pub(crate) fn for_tests(name: &str, role: Role) -> Self {
        let place = Place {
            role,
            ..Place::first()
        };
        Self::of_issuer(name, place, None)
    }

    /// As the audit tells it.
    fn place(&self) -> String {
        self.place_of().told()
    }
}

/// Which place a person gets.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Place {
    pub(crate) role: Role,
    #[serde(default)]
    pub(crate) organisation: Option<String>,
    #[serde(default)]
    pub(crate) connector: Option<String>,
}

impl Place {
    /// What it permits, and how far.
    pub(crate) fn rights(&self) -> Rights {
        let reach = match &self.organisation {
            None => Reach::Installation,
            Some(name) => Reach::Organisation {
                name: name.clone(),
                connector: self.connector.clone(),
            },
        };
        Rights::of_role(self.role, reach)
    }

    /// As the audit tells it: `owner of contoso`.
    fn told(&self) -> String {
        let role = self.role.name();
        match (&self.organisation, &self.connector) {
            (None, _) => role.to_owned(),
            (Some(name), None) => format!("{role} of {name}"),
            (Some(name), Some(connector)) => format!("{role} of {connector}, {name}"),
        }
    }

    /// Of whoever sets the installation up.
    fn first() -> Self {
        Self {
            role: Role::Owner,
            organisation: None,
            connector: None,
        }
    }

    /// One that there is: names are the settings', and an installer has a connector.
    pub(crate) fn checked(mut self, settings: &Settings) -> Result<Self, PeopleError> {
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        self.organisation = filled(self.organisation);
        self.connector = filled(self.connector);
        let organisation = match &self.organisation {
            Some(name) => {
                let found = settings.organisation(name);
                Some(found.ok_or_else(|| PeopleError::NoOrganisation(name.clone()))?)
            }
            None => None,
        };
        if self.role != Role::Installer {
            self.connector = None;
            return Ok(self);
        }
        let (Some(organisation), Some(connector)) = (organisation, &self.connector) else {
            return Err(PeopleError::Connectorless);
        };
        let mut connectors = organisation.inbound_connector.iter();
        if !connectors.any(|one| one.name == *connector) {
            return Err(PeopleError::NoConnector(connector.clone()));
        }
        Ok(self)
    }
}

/// Why somebody cannot be made, or cannot come in.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PeopleError {
    /// Of the form of names.
    #[error("a name has 1 to {NAME_OCTETS_MAX} of a-z, 0-9, dot, hyphen, underscore and @")]
    Name,
    /// There is one of that name.
    #[error("there is an administrator of that name already")]
    Taken,
    /// There is none of that name.
    #[error("there is no administrator of that name")]
    Unknown,
    /// Too short or too long.
    #[error("a password has at least {PASSWORD_CHARACTERS_MIN} characters and at most 256 octets")]
    Password,
    /// One that would be guessed.
    #[error(
        "this password would be guessed: it is one of those that leaks are full of, or made of \
         names of this place; take a sentence of your own"
    )]
    Guessable,
    /// Wrong name or password, which is not said.
    #[error("name or password is wrong")]
    Wrong,
    /// Too many wrong ones.
    #[error("too many wrong passwords; try again later")]
    Slowed,
    /// The link was used, is too old, or never was.
    #[error("this link was used, is older than 60 minutes, or was replaced by a newer one")]
    Link,
    /// As many as there may be.
    #[error("there are {ADMINISTRATORS_MAX} administrators already")]
    TooMany,
    /// Between password and code, or between picture and code, too much time passed.
    #[error("that took too long; begin again")]
    Late,
    /// Something is missing, or too long.
    #[error("issuer, client id, address, claim and at least one role are needed")]
    Incomplete,
    /// In clear anybody could be the issuer.
    #[error("the issuer and the admin centre must be reached by https")]
    NotHttps,
    /// Nothing comes into force that was not tried.
    #[error("there is no draft that was tried as it is: try it first")]
    Untried,
    /// Somebody must come in when the issuer does not answer.
    #[error("make a local owner of the installation first, for the day the issuer is away")]
    NoLocalOwner,
    /// A passkey without a name, or with too long a one.
    #[error("a passkey has a name of 1 to {LABEL_CHARACTERS_MAX} characters")]
    PasskeyName,
    /// As many as one person may have.
    #[error("there are {PASSKEYS_MAX} passkeys already: remove one first")]
    PasskeysFull,
    /// What was shown proves nothing.
    #[error("this passkey does not count: {0}")]
    Passkey(String),
    /// None is set up.
    #[error("no issuer is set up")]
    NoIssuer,
    /// The issuer knows them, and we do not.
    #[error("{0} has no role here")]
    NoRole(String),
    /// The same, while an issuer is tried: what it says of them.
    #[error("{0} has no role here")]
    NoRoleByDraft(String),
    /// What came from the issuer.
    #[error("{0}")]
    Issuer(String),
    /// The issuer cannot be asked.
    #[error("{0}")]
    IssuerAway(String),
    /// The last one who may manage people.
    #[error("the last owner of the installation cannot go or become less: make another one first")]
    LastOwner,
    /// No such organisation.
    #[error("there is no organisation {0}")]
    NoOrganisation(String),
    /// No such inbound connector.
    #[error("there is no inbound connector \"{0}\" in this organisation")]
    NoConnector(String),
    /// An installer without a place.
    #[error("an installer needs an organisation and one of its inbound connectors")]
    Connectorless,
    /// The store does not take it.
    #[error("{0}")]
    Store(String),
}

impl From<relais_store::queue::StoreError> for PeopleError {
    fn from(error: relais_store::queue::StoreError) -> Self {
        Self::Store(error.to_string())
    }
}

#[derive(Deserialize, Serialize)]
struct Link {
    hash: String,
    expires_ms: i64,
}

/// Who acts, as the audit says it.
pub(crate) struct By<'a> {
    pub(crate) actor: &'a str,
    pub(crate) via: Via,
    pub(crate) now: Timestamp,
}

impl By<'_> {
    fn audit(&self, act: &'static str, detail: String) -> ShelfAudit {
        ShelfAudit {
            actor: self.actor.to_owned(),
            via: self.via,
            act,
            detail: vec![detail],
        }
    }
}

/// People and their sessions. Cheap to clone.
#[derive(Clone)]
pub struct People(Arc<Shared>);

struct Shared {
    /// Where the admin centre listens, if it does.
    address: Option<SocketAddr>,
    /// Whether everybody needs a second factor.
    demands_factor: bool,
    sessions: Mutex<Sessions>,
    /// Whether those of before the restart were read.
    loaded: OnceCell<()>,
    pending: Mutex<Pending>,
    ceremonies: Mutex<Ceremonies>,
    /// How often networks are asked for a passkey.
    questions: Rates,
    /// Asks issuers; none without a server.
    client: OnceLock<SignInClient>,
    under_way: Mutex<Vec<UnderWay>>,
    /// How often networks set out to an issuer.
    beginnings: Rates,
    /// How many wrong sign-ins were told of late.
    refusals: Rates,
    guesses: Mutex<Guesses>,
    started: Moment,
    hashing: Arc<Semaphore>,
    /// Held from reading to writing, so that a link makes one person and a name is one person's.
    changing: tokio::sync::Mutex<()>,
}

impl People {
    /// Nobody is signed in. `address`: where the admin centre listens. `demands_factor`: whether
    /// nobody goes on without a second factor; signing in with an issuer counts as one.
    pub fn new(address: Option<SocketAddr>, demands_factor: bool) -> Self {
        Self(Arc::new(Shared {
            address,
            demands_factor,
            sessions: Mutex::default(),
            loaded: OnceCell::new(),
            pending: Mutex::default(),
            ceremonies: Mutex::default(),
            questions: Rates::default(),
            client: OnceLock::new(),
            under_way: Mutex::default(),
            beginnings: Rates::default(),
            refusals: Rates::default(),
            guesses: Mutex::default(),
            started: Moment::now(),
            hashing: Arc::new(Semaphore::new(HASHES_MAX)),
            changing: tokio::sync::Mutex::new(()),
        }))
    }

    /// Where the admin centre listens.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.0.address
    }

    /// The sessions, for a moment.
    fn sessions(&self) -> std::sync::MutexGuard<'_, Sessions> {
        let locked = self.0.sessions.lock();
        locked.unwrap_or_else(PoisonError::into_inner)
    }

    /// Everybody, by name.
    pub(crate) async fn list(&self, store: &Store) -> Result<Vec<Administrator>, PeopleError> {
        let entries = store.shelf(Shelf::Administrator).await?;
        let read = |value: &str| serde_json::from_str(value).ok();
        let people = entries.iter().filter_map(|entry| read(&entry.value));
        Ok(people.collect())
    }

    pub(crate) async fn find(
        &self,
        store: &Store,
        name: &str,
    ) -> Result<Option<Administrator>, PeopleError> {
        let value = store.shelf_value(Shelf::Administrator, name).await?;
        Ok(value.and_then(|value| serde_json::from_str(&value).ok()))
    }

    /// A new link in place of any before; the token is told this once.
    pub(crate) async fn make_link(
        &self,
        store: &Store,
        chance: &Chance,
        by: &By<'_>,
    ) -> Result<(String, Timestamp), PeopleError> {
        let _changing = self.0.changing.lock().await;
        let token = new_password(|bound| chance.below(bound));
        let expires = by.now.after(SETUP_LINK_LIFE);
        let link = Link {
            hash: hash_of(&token),
            expires_ms: expires.as_millis(),
        };
        let detail = format!("valid until {}", expires.to_rfc3339());
        let change = ShelfChange::new(Shelf::SetupLink, by.now)
            .put(LINK_KEY, to_json(&link))
            .audited(by.audit("setup-link.made", detail));
        store.change_shelf(change).await?;
        Ok((token, expires))
    }

    /// Whether the token is the link's of now.
    pub(crate) async fn is_link(
        &self,
        store: &Store,
        token: &str,
        now: Timestamp,
    ) -> Result<bool, PeopleError> {
        let value = store.shelf_value(Shelf::SetupLink, LINK_KEY).await?;
        let link: Option<Link> = value.and_then(|value| serde_json::from_str(&value).ok());
        Ok(link.is_some_and(|link| {
            let is_same: bool = hash_of(token).as_bytes().ct_eq(link.hash.as_bytes()).into();
            is_same && now.as_millis() < link.expires_ms
        }))
    }

    /// The link's holder becomes an owner; the link is used up.
    pub(crate) async fn use_link(
        &self,
        store: &Store,
        chance: &Chance,
        (token, name, password): (&str, &str, &str),
        (peer, now): (IpAddr, Timestamp),
    ) -> Result<Administrator, PeopleError> {
        let name = read_name(name)?;
        check_password(&store.settings(), &name, password)?;
        let _changing = self.0.changing.lock().await;
        if !self.is_link(store, token, now).await? {
            return Err(PeopleError::Link);
        }
        self.must_be_free(store, &name).await?;
        let made = self
            .compose(chance, name, Place::first(), password, now)
            .await;
        // First the link, then the person: after a crash between the two a new link is made.
        let used = ShelfChange::new(Shelf::SetupLink, now).take(LINK_KEY);
        store.change_shelf(used).await?;
        let actor = format!("{} (web)", made.name);
        let by = By {
            actor: &actor,
            via: Via::named("web").coming_from(Some(peer)),
            now,
        };
        self.put(store, &made, &by, "admin.added").await?;
        Ok(made)
    }

    /// A person with a password made here, which is told this once.
    pub(crate) async fn add(
        &self,
        store: &Store,
        chance: &Chance,
        (name, place): (&str, Place),
        by: &By<'_>,
    ) -> Result<String, PeopleError> {
        let name = read_name(name)?;
        let _changing = self.0.changing.lock().await;
        self.must_be_free(store, &name).await?;
        let password = new_password(|bound| chance.below(bound));
        let made = self.compose(chance, name, place, &password, by.now).await;
        self.put(store, &made, by, "admin.added").await?;
        Ok(password)
    }

    /// A new password for a person; made here unless they chose one. Their sessions end.
    pub(crate) async fn set_password(
        &self,
        store: &Store,
        chance: &Chance,
        (name, chosen): (&str, Option<&str>),
        by: &By<'_>,
    ) -> Result<String, PeopleError> {
        let name = read_name(name)?;
        let password = match chosen {
            Some(password) => {
                check_password(&store.settings(), &name, password)?;
                password.to_owned()
            }
            None => new_password(|bound| chance.below(bound)),
        };
        let _changing = self.0.changing.lock().await;
        let found = self.find(store, &name).await?;
        let mut found = found.ok_or(PeopleError::Unknown)?;
        found.password_hash = self.hash(chance, &password).await;
        self.put(store, &found, by, "admin.password").await?;
        self.end_of(store, &name, None, by.now).await;
        Ok(password)
    }

    /// Remembers the language that a person reads.
    pub(crate) async fn set_language(
        &self,
        store: &Store,
        (name, language): (&str, Language),
        by: &By<'_>,
    ) -> Result<(), PeopleError> {
        let _changing = self.0.changing.lock().await;
        self.speak(store, name, language, by.now).await;
        // Of whoever signs in with an issuer only the session is kept.
        let Some(mut found) = self.find(store, name).await? else {
            return Ok(());
        };
        found.language = Some(language.pick("en", "fr").to_owned());
        self.put(store, &found, by, "admin.language").await
    }

    /// Name and password; as slow for a name that does not exist. Wrong ones are counted, and
    /// looked at no more when there are too many.
    pub(crate) async fn sign_in(
        &self,
        store: &Store,
        (name, password): (&str, &str),
        peer: IpAddr,
    ) -> Result<Administrator, PeopleError> {
        let name = name.trim().to_ascii_lowercase();
        let passed = || Moment::now().duration_since(self.0.started);
        let may = self.guesses().may_guess(&name, peer, passed());
        if matches!(may, MayGuess::No { .. }) || password.len() > PASSWORD_OCTETS_MAX {
            return Err(PeopleError::Slowed);
        }
        let found = match read_name(&name) {
            Ok(name) => self.find(store, &name).await?,
            Err(_) => None,
        };
        let hash = found.as_ref().map(|found| found.password_hash.clone());
        let hash = hash.unwrap_or_else(|| NOBODYS_HASH.to_owned());
        let given = password.to_owned();
        let is_right = self
            .work(move || is_password(given.as_bytes(), &hash))
            .await
            .unwrap_or(false);
        match found.filter(|_| is_right) {
            Some(found) => {
                self.guesses().succeeded(&name, peer);
                Ok(found)
            }
            None => {
                self.guesses().failed(&name, peer, passed());
                Err(PeopleError::Wrong)
            }
        }
    }

    /// Another role, another reach. Their sessions end: what they may do changed.
    pub(crate) async fn set_place(
        &self,
        store: &Store,
        (name, place): (&str, Place),
        by: &By<'_>,
    ) -> Result<(), PeopleError> {
        let _changing = self.0.changing.lock().await;
        let found = self.find(store, name).await?;
        let mut found = found.ok_or(PeopleError::Unknown)?;
        let before = found.place();
        let stays = place.role == Role::Owner && place.organisation.is_none();
        if !stays {
            self.must_not_be_last(store, name).await?;
        }
        found.role = place.role;
        found.organisation = place.organisation;
        found.connector = place.connector;
        let detail = format!("{name}: {before} -> {}", found.place());
        let change = ShelfChange::new(Shelf::Administrator, by.now)
            .put(name, to_json(&found))
            .audited(by.audit("admin.role", detail));
        store.change_shelf(change).await?;
        self.end_of(store, name, None, by.now).await;
        Ok(())
    }

    /// The person goes, with their sessions.
    pub(crate) async fn remove(
        &self,
        store: &Store,
        name: &str,
        by: &By<'_>,
    ) -> Result<(), PeopleError> {
        let _changing = self.0.changing.lock().await;
        let found = self.find(store, name).await?;
        let found = found.ok_or(PeopleError::Unknown)?;
        self.must_not_be_last(store, name).await?;
        let detail = format!("{name} ({})", found.place());
        let change = ShelfChange::new(Shelf::Administrator, by.now)
            .take(name)
            .audited(by.audit("admin.removed", detail));
        store.change_shelf(change).await?;
        self.end_of(store, name, None, by.now).await;
        Ok(())
    }

    /// Somebody must stay who can let others in.
    async fn must_not_be_last(&self, store: &Store, name: &str) -> Result<(), PeopleError> {
        let people = self.list(store).await?;
        let may_all = |one: &&Administrator| one.role == Role::Owner && one.organisation.is_none();
        let mut owners = people.iter().filter(may_all);
        let is_one = owners.clone().any(|one| one.name == name);
        if is_one && owners.all(|one| one.name == name) {
            return Err(PeopleError::LastOwner);
        }
        Ok(())
    }

    fn guesses(&self) -> std::sync::MutexGuard<'_, Guesses> {
        let locked = self.0.guesses.lock();
        locked.unwrap_or_else(PoisonError::into_inner)
    }

    async fn must_be_free(&self, store: &Store, name: &str) -> Result<(), PeopleError> {
        let people = self.list(store).await?;
        if people.iter().any(|one| one.name == name) {
            return Err(PeopleError::Taken);
        }
        if people.len() >= ADMINISTRATORS_MAX {
            return Err(PeopleError::TooMany);
        }
        Ok(())
    }

    async fn compose(
        &self,
        chance: &Chance,
        name: String,
        place: Place,
        password: &str,
        now: Timestamp,
    ) -> Administrator {
        Administrator {
            name,
            role: place.role,
            organisation: place.organisation,
            connector: place.connector,
            factor: None,
            passkeys: Vec::new(),
            handle: None,
            password_hash: self.hash(chance, password).await,
            language: None,
            since: now.to_rfc3339(),
        }
    }

    async fn hash(&self, chance: &Chance, password: &str) -> String {
        let salts: [[u8; SALT_OCTETS]; 2] = [chance.octets(), chance.octets()];
        let password = password.to_owned();
        let made = self.work(move || store(&password, salts).password_hash);
        // A hash that failed is nobody's password.
        made.await.unwrap_or_else(|| NOBODYS_HASH.to_owned())
    }

    /// Off the runtime's threads, few at a time: each of them takes memory and a core. For whatever
    /// is slow on purpose; none: it failed. Who goes away meanwhile leaves it running, and its
    /// place is free only when it is done.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let place = Arc::clone(&self.0.hashing).acquire_owned().await.ok()?;
        let work = move || {
            let _place = place;
            work()
        };
        tokio::task::spawn_blocking(work).await.ok()
    }

    async fn put(
        &self,
        store: &Store,
        person: &Administrator,
        by: &By<'_>,
        act: &'static str,
    ) -> Result<(), PeopleError> {
        let detail = format!("{} ({})", person.name, person.place());
        let change = ShelfChange::new(Shelf::Administrator, by.now)
            .put(&person.name, to_json(person))
            .audited(by.audit(act, detail));
        store.change_shelf(change).await?;
        Ok(())
    }
}

fn read_name(text: &str) -> Result<String, PeopleError> {
    let name = text.trim().to_ascii_lowercase();
    let fits = |one: u8| one.is_ascii_alphanumeric() || b".-_@".contains(&one);
    let is_name = !name.is_empty() && name.len() <= NAME_OCTETS_MAX && name.bytes().all(fits);
    is_name.then_some(name).ok_or(PeopleError::Name)
}

fn check_password(settings: &Settings, name: &str, password: &str) -> Result<(), PeopleError> {
    let is_long = password.chars().count() >= PASSWORD_CHARACTERS_MIN;
    if !is_long || password.len() > PASSWORD_OCTETS_MAX {
        return Err(PeopleError::Password);
    }
    if is_guessable(password, &words_of_place(settings, name)) {
        return Err(PeopleError::Guessable);
    }
    Ok(())
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("texts and numbers can be written")
}

/// SHA-256 in hexadecimal: tokens have 115 bits and more of chance, so that no slow hash is needed.
pub(crate) fn hash_of(token: &str) -> String {
    hexadecimal(&Sha256::digest(token.as_bytes()))
}

pub(crate) fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::future::poll_fn;
    use std::pin::{Pin, pin};
    use std::sync::mpsc;
    use std::task::Poll;

    use tokio::sync::OwnedSemaphorePermit;

    use super::*;

    /// Asks once, and says whether it was done.
    pub(crate) async fn is_done(asked: &mut (impl Future + Unpin)) -> bool {
        poll_fn(|task| Poll::Ready(Pin::new(&mut *asked).poll(task).is_ready())).await
    }

    /// Every place for slow work, taken.
    pub(crate) async fn all_places(people: &People) -> OwnedSemaphorePermit {
        let hashing = Arc::clone(&people.0.hashing);
        let all = u32::try_from(HASHES_MAX).expect("few");
        hashing.acquire_many_owned(all).await.expect("open")
    }

    #[tokio::test]
    async fn whoever_goes_away_frees_no_place_before_the_work_is_done() {
        let people = People::new(None, false);
        let (begun, begins) = mpsc::channel();
        let mut gates = Vec::new();
        for _ in 0..HASHES_MAX {
            let (gate, held) = mpsc::channel::<()>();
            gates.push(gate);
            let begun = begun.clone();
            let work = people.work(move || {
                begun.send(()).expect("the test");
                held.recv()
            });
            let mut work = Box::pin(work);
            assert!(!is_done(&mut work).await);
            begins.recv().expect("it has begun");
            // A browser closes its connection.
            drop(work);
        }
        let mut next = pin!(people.work(|| ()));
        assert!(!is_done(&mut next).await);
        assert_eq!(people.0.hashing.available_permits(), 0);
        drop(gates);
        assert_eq!(next.await, Some(()));
    }
}
