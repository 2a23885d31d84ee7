//! Who is signed in: by the hash of a token that only the browser has. Ends when idle, when old,
//! when the person signs out here or everywhere, and when their password or role changes. Kept on
//! a shelf, so that a restart signs nobody out.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use relais_net::clock::Chance;
use relais_net::sign_in::Leave;
use relais_smtp::secret::Secret;
use relais_smtp::time::Timestamp;

use super::{Administrator, Place, hash_of, hexadecimal, to_json};
use crate::permission::Rights;

/// Without a request a session ends after this. OWASP ASVS 5.0 §7.3.1.
pub(crate) const IDLE_MAX: Duration = Duration::from_secs(30 * 60);
/// It ends after this whatever happens. OWASP ASVS 5.0 §7.3.2.
pub(crate) const AGE_MAX: Duration = Duration::from_secs(12 * 3_600);
/// Sessions at the same time; the one that was idle longest goes first.
const SESSIONS_MAX: usize = 1_000;
/// How much of "seen last" a crash may forget: each request would be a write else.
const KEPT_EVERY: Duration = Duration::from_secs(60);
/// Characters that are kept of the name of a browser that nobody knows.
const BROWSER_CHARACTERS_MAX: usize = 50;
/// Characters of the hash by which a person names one of their sessions.
const NAME_CHARACTERS: usize = 16;

/// One person at one browser.
#[derive(Clone)]
pub(crate) struct Session {
    /// Whose.
    pub(crate) name: String,
    /// What they may do, and how far.
    pub(crate) rights: Rights,
    /// `en`, `fr`, as the person chose.
    pub(crate) language: Option<String>,
    /// In each form; a foreign page does not know it.
    pub(crate) form_token: String,
    /// Whether more than a password stands behind it: a second factor of ours, or an issuer.
    pub(crate) has_factor: bool,
}

impl Session {
    /// Whether a form was made by us for this session.
    pub(crate) fn is_form_token(&self, token: &str) -> bool {
        self.form_token.as_bytes().ct_eq(token.as_bytes()).into()
    }
}

/// From where somebody signs in.
#[derive(Clone, Copy)]
pub(crate) struct Browser<'a> {
    pub(crate) address: &'a str,
    /// `User-Agent`.
    pub(crate) name: &'a str,
}

/// With whom somebody signed in.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Came<'a> {
    /// With a password or a passkey of ours.
    Locally,
    /// With an issuer, where they can perhaps sign out too.
    ByIssuer(Option<&'a Leave>),
}

impl<'a> Came<'a> {
    fn leave(self) -> Option<&'a Leave> {
        match self {
            Self::Locally => None,
            Self::ByIssuer(leave) => leave,
        }
    }
}

/// As stored.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Kept {
    pub(crate) name: String,
    place: Place,
    language: Option<String>,
    began_ms: i64,
    seen_ms: i64,
    pub(crate) address: String,
    pub(crate) browser: String,
    /// Signed in with an issuer: no password of ours.
    #[serde(default)]
    pub(crate) sso: bool,
    /// Whether the person has a second factor.
    #[serde(default)]
    factor: bool,
    /// Where they sign out at the issuer too.
    #[serde(default)]
    leave: Option<String>,
    /// What the issuer knows the session by there. It proves who somebody is, so it is not kept:
    /// after a restart the issuer asks.
    #[serde(skip)]
    id_token: Option<Secret>,
    /// When it was written last.
    #[serde(skip)]
    kept_ms: i64,
}

impl Kept {
    pub(crate) fn began(&self) -> Timestamp {
        Timestamp::from_millis(self.began_ms)
    }

    pub(crate) fn seen(&self) -> Timestamp {
        Timestamp::from_millis(self.seen_ms)
    }

    /// The only organisation that the person sees.
    pub(crate) fn organisation(&self) -> Option<&str> {
        self.place.organisation.as_deref()
    }

    fn session(&self, token: &str) -> Session {
        Session {
            name: self.name.clone(),
            rights: self.place.rights(),
            language: self.language.clone(),
            has_factor: self.factor || self.sso,
            // Only the token's holder can say it, and it outlives a restart with the token.
            form_token: hash_of(&format!("form {token}")),
        }
    }

    fn is_over(&self, now: Timestamp) -> bool {
        now.since(self.seen()) >= IDLE_MAX || now.since(self.began()) >= AGE_MAX
    }
}

/// What is to be written after a change: put with a value, taken without.
pub(crate) type Writes = Vec<(String, Option<String>)>;

/// One session as its person sees it.
pub(crate) struct Listed {
    /// Names it among theirs.
    pub(crate) id: String,
    pub(crate) kept: Kept,
}

/// All of them, by the hash of their token.
#[derive(Default)]
pub(crate) struct Sessions(HashMap<String, Kept>);

impl Sessions {
    /// As they were before the restart; what cannot be read is none.
    pub(crate) fn load(entries: impl Iterator<Item = (String, String)>) -> Self {
        let read = |(hash, value): (String, String)| {
            let mut kept: Kept = serde_json::from_str(&value).ok()?;
            kept.kept_ms = kept.seen_ms;
            Some((hash, kept))
        };
        Self(entries.filter_map(read).collect())
    }

    /// A new one; its token is told this once.
    pub(crate) fn begin(
        &mut self,
        (person, came): (&Administrator, Came<'_>),
        browser: Browser<'_>,
        chance: &Chance,
        now: Timestamp,
    ) -> (String, Writes) {
        let mut writes = self.take(|session| session.is_over(now));
        if self.0.len() >= SESSIONS_MAX {
            let oldest = self.0.iter().min_by_key(|(_, session)| session.seen_ms);
            let oldest = oldest.map(|(hash, _)| hash.clone());
            if let Some(hash) = oldest {
                self.0.remove(&hash);
                writes.push((hash, None));
            }
        }
        let token = hexadecimal(&chance.octets::<32>());
        let session = Kept {
            name: person.name.clone(),
            place: person.place_of(),
            language: person.language.clone(),
            began_ms: now.as_millis(),
            seen_ms: now.as_millis(),
            address: browser.address.to_owned(),
            browser: known_as(browser.name),
            sso: came != Came::Locally,
            leave: came.leave().map(|leave| leave.address.clone()),
            id_token: came.leave().and_then(|leave| leave.token.clone()),
            factor: person.has_factor(),
            kept_ms: now.as_millis(),
        };
        let hash = hash_of(&token);
        writes.push((hash.clone(), Some(to_json(&session))));
        self.0.insert(hash, session);
        (token, writes)
    }

    /// The one of this token, if it is not over; it counts as seen.
    pub(crate) fn touch(&mut self, token: &str, now: Timestamp) -> (Option<Session>, Writes) {
        let hash = hash_of(token);
        let Some(kept) = self.0.get_mut(&hash) else {
            return (None, Writes::new());
        };
        if kept.is_over(now) {
            self.0.remove(&hash);
            return (None, vec![(hash, None)]);
        }
        kept.seen_ms = now.as_millis();
        let session = kept.session(token);
        let mut writes = Writes::new();
        if now.since(Timestamp::from_millis(kept.kept_ms)) >= KEPT_EVERY {
            kept.kept_ms = kept.seen_ms;
            writes.push((hash, Some(to_json(kept))));
        }
        (Some(session), writes)
    }

    /// The same, of who only listens: it does not count as seen.
    pub(crate) fn look(&self, token: &str, now: Timestamp) -> Option<Session> {
        let kept = self.0.get(&hash_of(token))?;
        (!kept.is_over(now)).then(|| kept.session(token))
    }

    /// The person signs out here: where they can sign out too.
    pub(crate) fn end(&mut self, token: &str) -> (Option<Leave>, Writes) {
        let hash = hash_of(token);
        let Some(had) = self.0.remove(&hash) else {
            return (None, Writes::new());
        };
        let token = had.id_token;
        let leave = had.leave.map(|address| Leave { address, token });
        (leave, vec![(hash, None)])
    }

    /// All of a person, or the one of theirs with this name.
    pub(crate) fn end_of(&mut self, name: &str, id: Option<&str>) -> Writes {
        let hashes = self.0.iter().filter(|(hash, session)| {
            session.name == name && id.is_none_or(|id| id_of(hash) == id)
        });
        let hashes: Vec<_> = hashes.map(|(hash, _)| hash.clone()).collect();
        for hash in &hashes {
            self.0.remove(hash);
        }
        hashes.into_iter().map(|hash| (hash, None)).collect()
    }

    /// Everybody who signed in with an issuer.
    pub(crate) fn end_sso(&mut self) -> Writes {
        self.take(|session| session.sso)
    }

    /// All of a person read this language from now on.
    pub(crate) fn set_language(&mut self, name: &str, language: &str) -> Writes {
        self.change(name, |session| session.language = Some(language.to_owned()))
    }

    /// A person has a second factor from now on, or none.
    pub(crate) fn set_factor(&mut self, name: &str, has: bool) -> Writes {
        self.change(name, |session| session.factor = has)
    }

    fn change(&mut self, name: &str, change: impl Fn(&mut Kept)) -> Writes {
        let all = self.0.iter_mut();
        let theirs = all.filter(|(_, session)| session.name == name);
        let mut writes = Writes::new();
        for (hash, session) in theirs {
            change(session);
            writes.push((hash.clone(), Some(to_json(session))));
        }
        writes
    }

    /// Of one person, the one seen last first.
    pub(crate) fn list(&self, name: &str, now: Timestamp) -> Vec<Listed> {
        let mut listed = self.all(now);
        listed.retain(|one| one.kept.name == name);
        listed
    }

    /// Of everybody, the one seen last first.
    pub(crate) fn all(&self, now: Timestamp) -> Vec<Listed> {
        let live = self.0.iter().filter(|(_, session)| !session.is_over(now));
        let listed = live.map(|(hash, session)| Listed {
            id: id_of(hash).to_owned(),
            kept: session.clone(),
        });
        let mut listed: Vec<_> = listed.collect();
        listed.sort_by_key(|one| std::cmp::Reverse(one.kept.seen_ms));
        listed
    }

    fn take(&mut self, is_over: impl Fn(&Kept) -> bool) -> Writes {
        let over = self.0.iter().filter(|(_, session)| is_over(session));
        let over: Vec<_> = over.map(|(hash, _)| hash.clone()).collect();
        for hash in &over {
            self.0.remove(hash);
        }
        over.into_iter().map(|hash| (hash, None)).collect()
    }
}

/// What people call a browser that names itself so: `Firefox, Windows`. Newer ones also name all
/// that they wish to be taken for, so the rarer mark counts.
fn known_as(user_agent: &str) -> String {
    const PROGRAMS: [(&str, &str); 7] = [
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("CriOS/", "Chrome"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ];
    const SYSTEMS: [(&str, &str); 7] = [
        ("Windows", "Windows"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Macintosh", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ];
    let find = |marks: &[(&str, &'static str)]| {
        let mut all = marks.iter().filter(|(mark, _)| user_agent.contains(mark));
        all.next().map(|(_, name)| *name)
    };
    match (find(&PROGRAMS), find(&SYSTEMS)) {
        (Some(program), Some(system)) => format!("{program}, {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => user_agent.chars().take(BROWSER_CHARACTERS_MAX).collect(),
    }
}

/// By which a person names one of their sessions: too short to be its hash.
pub(crate) fn id_of(hash: &str) -> &str {
    hash.get(..NAME_CHARACTERS).unwrap_or(hash)
}

/// The same, of a token.
pub(crate) fn id_of_token(token: &str) -> String {
    id_of(&hash_of(token)).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::permission::Role;

    const NOW: Timestamp = Timestamp::from_millis(1_795_514_400_000);
    const HERE: Browser<'static> = Browser {
        address: "192.0.2.1",
        name: "Firefox",
    };

    fn person(name: &str) -> Administrator {
        Administrator::for_tests(name, Role::Owner)
    }

    fn is_live(sessions: &mut Sessions, token: &str, now: Timestamp) -> bool {
        sessions.touch(token, now).0.is_some()
    }

    #[test]
    fn a_session_ends_when_idle_and_when_old_and_its_token_is_kept_nowhere() {
        let (mut sessions, chance) = (Sessions::default(), Chance::seeded(1));
        let (token, writes) = sessions.begin((&person("anna"), Came::Locally), HERE, &chance, NOW);
        assert!(!format!("{writes:?}").contains(&token));
        assert!(!is_live(&mut sessions, "other", NOW));
        let mut time = NOW;
        while time.since(NOW) + IDLE_MAX / 2 < AGE_MAX {
            time = time.after(IDLE_MAX / 2);
            assert!(is_live(&mut sessions, &token, time));
        }
        assert!(!is_live(&mut sessions, &token, NOW.after(AGE_MAX)));
        let (token, _) = sessions.begin((&person("anna"), Came::Locally), HERE, &chance, NOW);
        assert!(!is_live(&mut sessions, &token, NOW.after(IDLE_MAX)));
        assert!(!is_live(&mut sessions, &token, NOW), "it stays ended");
    }

    #[test]
    fn who_only_listens_is_idle_all_the_same() {
        let (mut sessions, chance) = (Sessions::default(), Chance::seeded(6));
        let (token, _) = sessions.begin((&person("anna"), Came::Locally), HERE, &chance, NOW);
        let late = NOW.after(IDLE_MAX / 2);
        let heard = sessions.look(&token, late).expect("live");
        assert!(heard.name == "anna" && sessions.look("other", late).is_none());
        assert!(sessions.look(&token, NOW.after(IDLE_MAX)).is_none());
        assert!(!is_live(&mut sessions, &token, NOW.after(IDLE_MAX)));
    }

    #[test]
    fn what_was_written_is_the_same_session_after_a_restart_with_the_same_forms() {
        let (mut sessions, chance) = (Sessions::default(), Chance::seeded(4));
        let (token, writes) = sessions.begin((&person("anna"), Came::Locally), HERE, &chance, NOW);
        let form = sessions.touch(&token, NOW).0.expect("live").form_token;
        let kept = writes.into_iter();
        let kept = kept.filter_map(|(hash, value)| Some((hash, value?)));
        let mut again = Sessions::load(kept);
        let session = again.touch(&token, NOW).0.expect("live");
        assert!(session.is_form_token(&form) && session.name == "anna");
        assert!(!is_live(&mut again, &token, NOW.after(IDLE_MAX)));
    }

    #[test]
    fn being_seen_is_written_once_a_minute() {
        let (mut sessions, chance) = (Sessions::default(), Chance::seeded(5));
        let (token, _) = sessions.begin((&person("anna"), Came::Locally), HERE, &chance, NOW);
        let second = Duration::from_secs(1);
        assert!(sessions.touch(&token, NOW.after(second)).1.is_empty());
        assert_eq!(sessions.touch(&token, NOW.after(KEPT_EVERY)).1.len(), 1);
        assert!(sessions.touch(&token, NOW.after(KEPT_EVERY)).1.is_empty());
    }

    #[test]
    fn a_person_signs_out_at_one_browser_or_at_all_and_others_stay() {
        let (mut sessions, chance) = (Sessions::default(), Chance::seeded(2));
        let mut begin = |name: &str| {
            sessions
                .begin((&person(name), Came::Locally), HERE, &chance, NOW)
                .0
        };
        let (one, two, three) = (begin("anna"), begin("anna"), begin("anna"));
        let other = begin("bert");
        assert_eq!(sessions.end(&one).1.len(), 1);
        assert!(!is_live(&mut sessions, &one, NOW) && is_live(&mut sessions, &two, NOW));
        assert_eq!(sessions.list("anna", NOW).len(), 2);
        sessions.end_of("anna", Some(&id_of_token(&two)));
        assert!(!is_live(&mut sessions, &two, NOW) && is_live(&mut sessions, &three, NOW));
        // Nobody ends another's by its name.
        sessions.end_of("anna", Some(&id_of_token(&other)));
        sessions.end_of("anna", None);
        assert!(!is_live(&mut sessions, &three, NOW) && is_live(&mut sessions, &other, NOW));
    }

    #[test]
    fn sessions_are_bounded_and_forms_belong_to_one() {
        let (mut sessions, chance) = (Sessions::default(), Chance::seeded(3));
        let anna = person("anna");
        let (first, _) = sessions.begin((&anna, Came::Locally), HERE, &chance, NOW);
        let later = NOW.after(Duration::from_secs(1));
        let tokens = (0..SESSIONS_MAX).map(|_| {
            sessions
                .begin((&anna, Came::Locally), HERE, &chance, later)
                .0
        });
        let tokens: Vec<_> = tokens.collect();
        assert_eq!(sessions.0.len(), SESSIONS_MAX);
        assert!(!is_live(&mut sessions, &first, later));
        let one = sessions.touch(&tokens[0], later).0.expect("live");
        let two = sessions.touch(&tokens[1], later).0.expect("live");
        assert!(one.is_form_token(&one.form_token));
        assert!(!one.is_form_token(&two.form_token) && !one.is_form_token(""));
    }

    #[test]
    fn a_browser_is_called_what_people_call_it() {
        let chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
                      Chrome/142.0.0.0 Safari/537.36";
        let safari = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 \
                      (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1";
        for (user_agent, name) in [
            (chrome.to_owned(), "Chrome, Linux"),
            (
                format!("{chrome} Edg/142.0.0.0").replace("X11; Linux", "Windows NT"),
                "Edge, Windows",
            ),
            (safari.to_owned(), "Safari, iPhone"),
            ("curl/8.0".to_owned(), "curl/8.0"),
            (String::new(), ""),
        ] {
            assert_eq!(known_as(&user_agent), name, "{user_agent}");
        }
        assert_eq!(
            known_as(&"é".repeat(300)).chars().count(),
            BROWSER_CHARACTERS_MAX
        );
    }
}
