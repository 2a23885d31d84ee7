//! The file of rules about next hops' replies: read at start, and again when it changes. A file
//! that cannot be read later changes nothing, and is told.

use std::path::PathBuf;
use std::sync::Arc;

use relais_policy::reply_rule::ReplyRules;
use relais_smtp::time::Timestamp;
use relais_store::trace::{Event, EventKind};
use tokio::sync::watch;

use crate::certificates::Signature;

/// Largest file in octets.
const FILE_OCTETS_MAX: u64 = 1 << 20;

/// The file, and who hears of it.
pub(crate) struct ReplyRuleFile {
    path: Option<PathBuf>,
    signature: Signature,
    rules: watch::Sender<Arc<ReplyRules>>,
}

impl ReplyRuleFile {
    /// Reads it; without a file our own rules hold. The error is a sentence.
    pub(crate) fn open(path: Option<PathBuf>) -> Result<Self, String> {
        let signature = Signature::of(path.as_slice());
        let rules = match &path {
            Some(path) => read(path)?,
            None => ReplyRules::default(),
        };
        let (rules, _) = watch::channel(Arc::new(rules));
        Ok(Self {
            path,
            signature,
            rules,
        })
    }

    /// The rules in force, always the newest.
    pub(crate) fn rules(&self) -> watch::Receiver<Arc<ReplyRules>> {
        self.rules.subscribe()
    }

    /// Reads the file again if it changed and stands still. To be called once a second.
    pub(crate) fn keep(&mut self, now: Timestamp) -> Option<Event> {
        let path = self.path.as_ref()?;
        if !self.signature.changed(std::slice::from_ref(path)) {
            return None;
        }
        self.signature = Signature::of(std::slice::from_ref(path));
        let detail = match read(path) {
            Ok(rules) => {
                let count = rules.iter().count();
                // Those who listened may be gone: nobody needs rules then.
                let _ = self.rules.send(Arc::new(rules));
                format!(
                    "reply rules: {} read again, {count} rules in force",
                    path.display()
                )
            }
            Err(because) => {
                tracing::error!("reply rules stay as they were: {because}");
                format!("reply rules stay as they were: {because}")
            }
        };
        let mut event = Event::new(now, EventKind::CheckChanged);
        event.detail = Some(detail.into());
        Some(event)
    }
}

fn read(path: &PathBuf) -> Result<ReplyRules, String> {
    let told = |because: &dyn std::fmt::Display| format!("{}: {because}", path.display());
    let size = std::fs::metadata(path).map_err(|error| told(&error))?.len();
    if size > FILE_OCTETS_MAX {
        return Err(told(&format!("larger than {FILE_OCTETS_MAX} octets")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| told(&error))?;
    ReplyRules::from_toml(&text).map_err(|error| told(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str = "built_in = false\n[[rule]]\nname = \"a\"\nreply = [\"421 *\"]\n\
                        back_off = \"1m\"\n";

    #[test]
    fn a_file_that_changes_is_read_again_and_one_with_a_mistake_changes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rules.toml");
        std::fs::write(&path, RULE).expect("written");
        let mut file = ReplyRuleFile::open(Some(path.clone())).expect("right");
        let rules = file.rules();
        let count = || rules.borrow().iter().count();
        assert_eq!(count(), 1);
        let now = Timestamp::default();
        assert!(file.keep(now).is_none());
        // Seen to have changed, then seen to stand still.
        std::fs::write(&path, "rule = 1").expect("written");
        assert!(file.keep(now).is_none());
        let told = file.keep(now).expect("told").detail.expect("why");
        assert!(told.contains("stay as they were"), "{told}");
        assert_eq!(count(), 1);
        let two = RULE.to_owned() + &RULE.replace("built_in = false\n", "");
        std::fs::write(&path, two).expect("written");
        assert!(file.keep(now).is_none());
        assert!(file.keep(now).is_some());
        assert_eq!(count(), 2);
        assert!(file.keep(now).is_none());
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = ReplyRuleFile::open(Some("/nonexistent/rules.toml".into())).err();
        assert!(error.is_some_and(|error| error.starts_with("/nonexistent/rules.toml: ")));
    }
}
