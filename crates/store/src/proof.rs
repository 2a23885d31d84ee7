//! A change of the proof of a domain, as a value. Its table is in `embedded/proof_table.rs`; what a
//! proof is, and what a look into DNS means for it, in `relais_policy::proof`.

use relais_policy::proof::{Proof, ProofKey, Proofs};
use relais_policy::settings::Settings;
use relais_smtp::time::Timestamp;

use crate::door::Via;
use crate::trace::{Event, EventKind};

/// A change to be made.
#[derive(Clone, Debug)]
pub struct ProofChange {
    /// Of which proof.
    pub key: ProofKey,
    /// What it was made from; `None`: a token for a domain that has none.
    pub before: Option<Proof>,
    /// What it becomes.
    pub after: Proof,
    /// Who: a person, or `daily check`.
    pub actor: String,
    /// `socket`, `api`, `web`; `start` for what happened without a person.
    pub via: Via,
    /// When.
    pub time: Timestamp,
}

impl ProofChange {
    /// Whether it still fits what is in force: the domain is there, nobody changed the proof in
    /// between, and nobody else has come to have the domain.
    pub(crate) fn fits(&self, settings: &Settings) -> bool {
        let (organisation, domain) = (&*self.key.organisation, &self.key.domain);
        let was_in_force = (self.before.as_ref()).is_some_and(|one| one.standing.is_in_force());
        let comes_into_force = self.after.standing.is_in_force() && !was_in_force;
        settings.has_domain(&self.key)
            && settings.proof(organisation, domain) == self.before.as_ref()
            && !(comes_into_force && settings.is_taken(organisation, domain))
    }

    /// What it means to people, where it changes where the domain stands: the audit's act and
    /// lines.
    pub(crate) fn note(&self) -> Option<(&'static str, Vec<String>)> {
        let before = self.before.as_ref()?.standing.name();
        let after = self.after.standing.name();
        if before == after {
            return None;
        }
        let act = match after {
            "verified" => "domain.verified",
            "lapsing" => "domain.lapsing",
            "suspended" => "domain.suspended",
            _ => "domain.pending",
        };
        let ProofKey {
            organisation,
            domain,
        } = &self.key;
        let what = format!("organisation {organisation}, domain {domain}: {after}, was {before}");
        Some((act, vec![what, self.after.seen.clone()]))
    }

    /// `check.changed`, with the same words.
    pub(crate) fn event(&self, lines: &[String], settings_version: u64) -> Event {
        Event {
            organisation: Some((*self.key.organisation).into()),
            detail: Some(lines.join("; ").into()),
            settings_version: Some(settings_version),
            ..Event::new(self.time, EventKind::CheckChanged)
        }
    }
}

/// The proofs of domains that these settings do not have any more.
pub(crate) fn gone<'a>(
    before: &'a Proofs,
    after: &'a Settings,
) -> impl Iterator<Item = &'a ProofKey> {
    let keys = before.iter().map(|(key, _)| key);
    keys.filter(|key| after.proof(&key.organisation, &key.domain).is_none())
}

#[cfg(test)]
mod tests {
    use relais_policy::document::Document;
    use relais_policy::proof::{Finding, ProofToken};
    use relais_policy::settings::Mode;
    use relais_smtp::domain::Domain;

    use super::*;

    fn settings() -> Settings {
        let text = "[[organisation]]\nname = \"a\"\n[[organisation.domain]]\nname = \"x.test\"\n\
                    [[organisation]]\nname = \"b\"\n[[organisation.domain]]\nname = \"x.test\"\n";
        Settings::build(Mode::Hosted, 1, Document::from_toml(text).unwrap()).unwrap()
    }

    fn key(organisation: &str) -> ProofKey {
        ProofKey::new(organisation, &Domain::parse("x.test").unwrap())
    }

    fn change(organisation: &str, before: Option<&Proof>, after: &Proof) -> ProofChange {
        ProofChange {
            key: key(organisation),
            before: before.cloned(),
            after: after.clone(),
            actor: "anna".to_owned(),
            via: "socket".into(),
            time: Timestamp::from_millis(5),
        }
    }

    #[test]
    fn a_domain_comes_into_force_for_one_organisation_only() {
        let fresh = Proof::new(ProofToken::stored("t"), Timestamp::from_millis(0));
        let proved = fresh.after(Finding::Present, false, "seen", Timestamp::from_millis(1));
        let lapsing = proved.after(Finding::Absent, false, "gone", Timestamp::from_millis(2));
        let settings = settings();
        assert!(change("a", None, &fresh).fits(&settings));
        assert!(!change("c", None, &fresh).fits(&settings), "nobody");
        assert!(
            !change("a", Some(&fresh), &proved).fits(&settings),
            "no such proof"
        );
        let both = [(key("a"), fresh.clone()), (key("b"), fresh.clone())];
        let both = settings.with_proofs(both.into_iter().collect());
        assert!(!change("a", None, &fresh).fits(&both), "it has a token");
        assert!(change("a", Some(&fresh), &proved).fits(&both));
        let taken = both.with_proof(key("b"), proved.clone());
        assert!(!change("a", Some(&fresh), &proved).fits(&taken));
        assert!(change("b", Some(&proved), &lapsing).fits(&taken));
        let lapsing_elsewhere = taken.with_proof(key("b"), lapsing);
        assert!(!change("a", Some(&fresh), &proved).fits(&lapsing_elsewhere));
    }

    #[test]
    fn only_a_change_of_standing_is_noted() {
        let fresh = Proof::new(ProofToken::stored("t"), Timestamp::from_millis(0));
        let looked = fresh.after(Finding::Absent, false, "nothing", Timestamp::from_millis(1));
        let proved = fresh.after(
            Finding::Present,
            false,
            "ns1 shows it",
            Timestamp::from_millis(1),
        );
        assert_eq!(change("a", None, &fresh).note(), None);
        assert_eq!(change("a", Some(&fresh), &looked).note(), None);
        let change = change("a", Some(&fresh), &proved);
        let (act, lines) = change.note().unwrap();
        assert_eq!(act, "domain.verified");
        assert_eq!(
            lines,
            [
                "organisation a, domain x.test: verified, was pending",
                "ns1 shows it"
            ]
        );
        let event = change.event(&lines, 3);
        assert_eq!(event.organisation.as_deref(), Some("a"));
        assert_eq!(event.settings_version, Some(3));
    }
}
