//! Who is signed in: by the hash of a token that only the browser has. Ends when idle, when old,
//! when the person signs out, and when the password changes.

use std::collections::HashMap;
use std::time::Duration;

use subtle::ConstantTimeEq;

use relais_net::clock::{Chance, Moment};

use super::{Administrator, hash_of, hexadecimal};
use crate::permission::Rights;

/// Without a request a session ends after this. OWASP ASVS 5.0 §7.3.1.
pub(crate) const IDLE_MAX: Duration = Duration::from_secs(30 * 60);
/// It ends after this whatever happens. OWASP ASVS 5.0 §7.3.2.
pub(crate) const AGE_MAX: Duration = Duration::from_secs(12 * 3_600);
/// Sessions at the same time; the one that was idle longest goes first.
const SESSIONS_MAX: usize = 1_000;

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
    began: Moment,
    seen: Moment,
}

impl Session {
    /// Whether a form was made by us for this session.
    pub(crate) fn is_form_token(&self, token: &str) -> bool {
        self.form_token.as_bytes().ct_eq(token.as_bytes()).into()
    }

    fn is_over(&self, now: Moment) -> bool {
        now.duration_since(self.seen) >= IDLE_MAX || now.duration_since(self.began) >= AGE_MAX
    }
}

/// All of them, by the hash of their token.
#[derive(Default)]
pub(crate) struct Sessions(HashMap<String, Session>);

impl Sessions {
    /// A new one; its token is told this once.
    pub(crate) fn begin(&mut self, person: &Administrator, chance: &Chance, now: Moment) -> String {
        self.0.retain(|_, session| !session.is_over(now));
        if self.0.len() >= SESSIONS_MAX {
            let oldest = self.0.iter().min_by_key(|(_, session)| session.seen);
            let oldest = oldest.map(|(hash, _)| hash.clone());
            oldest.and_then(|hash| self.0.remove(&hash));
        }
        let token = hexadecimal(&chance.octets::<32>());
        let session = Session {
            name: person.name.clone(),
            rights: person.rights(),
            language: person.language.clone(),
            form_token: hexadecimal(&chance.octets::<32>()),
            began: now,
            seen: now,
        };
        self.0.insert(hash_of(&token), session);
        token
    }

    /// The one of this token, if it is not over; it counts as seen.
    pub(crate) fn touch(&mut self, token: &str, now: Moment) -> Option<Session> {
        let hash = hash_of(token);
        let session = self.0.get_mut(&hash)?;
        if session.is_over(now) {
            self.0.remove(&hash);
            return None;
        }
        session.seen = now;
        Some(session.clone())
    }

    /// The person signs out here.
    pub(crate) fn end(&mut self, token: &str) {
        self.0.remove(&hash_of(token));
    }

    /// All of a person: the password changed.
    pub(crate) fn revoke_all_of(&mut self, name: &str) {
        self.0.retain(|_, session| session.name != name);
    }

    /// All of a person read this language from now on.
    pub(crate) fn set_language(&mut self, name: &str, language: &str) {
        let theirs = self.0.values_mut().filter(|session| session.name == name);
        for session in theirs {
            session.language = Some(language.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::permission::Role;

    fn person(name: &str) -> Administrator {
        Administrator {
            name: name.to_owned(),
            role: Role::Owner,
            organisation: None,
            connector: None,
            password_hash: String::new(),
            language: None,
            since: String::new(),
        }
    }

    #[test]
    fn a_session_ends_when_idle_and_when_old_and_its_token_is_kept_nowhere() {
        let (mut sessions, chance, now) = (Sessions::default(), Chance::seeded(1), Moment::now());
        let token = sessions.begin(&person("anna"), &chance, now);
        assert!(!sessions.0.contains_key(&token));
        assert!(sessions.touch("other", now).is_none());
        let mut time = now;
        while time + IDLE_MAX / 2 < now + AGE_MAX {
            time += IDLE_MAX / 2;
            assert!(sessions.touch(&token, time).is_some());
        }
        assert!(sessions.touch(&token, now + AGE_MAX).is_none());
        let token = sessions.begin(&person("anna"), &chance, now);
        assert!(sessions.touch(&token, now + IDLE_MAX).is_none());
        assert!(sessions.touch(&token, now).is_none(), "it stays ended");
    }

    #[test]
    fn a_person_signs_out_at_one_browser_and_a_password_change_ends_all_of_theirs() {
        let (mut sessions, chance, now) = (Sessions::default(), Chance::seeded(2), Moment::now());
        let one = sessions.begin(&person("anna"), &chance, now);
        let two = sessions.begin(&person("anna"), &chance, now);
        let other = sessions.begin(&person("bert"), &chance, now);
        sessions.end(&one);
        assert!(sessions.touch(&one, now).is_none() && sessions.touch(&two, now).is_some());
        sessions.revoke_all_of("anna");
        assert!(sessions.touch(&two, now).is_none() && sessions.touch(&other, now).is_some());
    }

    #[test]
    fn sessions_are_bounded_and_forms_belong_to_one() {
        let (mut sessions, chance, now) = (Sessions::default(), Chance::seeded(3), Moment::now());
        let first = sessions.begin(&person("anna"), &chance, now);
        let later = now + Duration::from_secs(1);
        let tokens = (0..SESSIONS_MAX).map(|_| sessions.begin(&person("anna"), &chance, later));
        let tokens: Vec<_> = tokens.collect();
        assert_eq!(sessions.0.len(), SESSIONS_MAX);
        assert!(sessions.touch(&first, later).is_none());
        let form = |sessions: &mut Sessions, at: usize| {
            sessions
                .touch(&tokens[at], later)
                .expect("there")
                .form_token
        };
        let (one, two) = (form(&mut sessions, 0), form(&mut sessions, 1));
        let session = sessions.touch(&tokens[0], later).expect("there");
        assert!(session.is_form_token(&one));
        assert!(!session.is_form_token(&two) && !session.is_form_token(""));
    }
}
