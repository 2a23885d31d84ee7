//! `manifest.json` of a backup: what it holds, file by file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digits::hexadecimal;
use crate::files::Fingerprint;

pub(super) const MANIFEST_NAME: &str = "manifest.json";

/// Form of the folder and of this file; a higher one is not read.
pub(super) const FORMAT: u32 = 1;

/// Longest manifest that is read: some 400,000 spool files.
pub(super) const MANIFEST_OCTETS_MAX: u64 = 64 * 1_024 * 1_024;

/// Fields may be added; what a reader does not know it passes over.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Manifest {
    pub(super) format: u32,
    /// Of Relais.
    pub(super) version: String,
    /// RFC 3339, UTC.
    pub(super) created_at: String,
    /// Of `queue.db`.
    pub(super) schema_version: i64,
    pub(super) settings_version: u64,
    pub(super) messages: u64,
    pub(super) recipients: u64,
    pub(super) trace_days: u64,
    /// Queue ids whose content was missing in the store.
    pub(super) without_content: Vec<String>,
    /// How many secrets are in it, by the master key that they are encrypted under, and that is
    /// not in it.
    #[serde(default)]
    pub(super) secrets: BTreeMap<String, u64>,
    /// Every file but this one.
    pub(super) files: Vec<ListedFile>,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct ListedFile {
    /// Relative to the backup, parts separated by `/`.
    pub(super) path: String,
    /// Octets.
    pub(super) size: u64,
    /// Lower-case hexadecimal, as `sha256sum` prints it.
    pub(super) sha256: String,
}

impl Manifest {
    pub(super) fn to_json(&self) -> Vec<u8> {
        // Cannot fail: no maps with other keys than texts, no number that JSON does not know.
        let mut json = serde_json::to_vec_pretty(self).unwrap_or_default();
        json.push(b'\n');
        json
    }
}

impl ListedFile {
    pub(super) fn new(path: &str, fingerprint: &Fingerprint) -> Self {
        Self {
            path: path.to_owned(),
            size: fingerprint.size,
            sha256: hexadecimal(&fingerprint.sha256),
        }
    }

    /// Whether a file with this fingerprint is the one listed.
    pub(super) fn is(&self, found: &Fingerprint) -> bool {
        self.size == found.size && self.sha256 == hexadecimal(&found.sha256)
    }

    /// A path that stays inside the folder it is joined to.
    pub(super) fn stays_inside(&self) -> bool {
        let part_is_plain =
            |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\0');
        self.path.split('/').all(part_is_plain)
    }
}
