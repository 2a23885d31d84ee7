//! The public suffix list against its own vectors, which stay outside of the repository:
//! `RELAIS_TESTDATA` names their folder.

use std::path::{Path, PathBuf};

use relais_policy::registered::organisational_domain;
use relais_smtp::domain::Domain;

/// The list's own vectors. Those with a leading dot or nothing at all are no domains here, and
/// are so refused before; names in Unicode are compared as A-labels, which `Domain` is.
#[test]
#[expect(clippy::disallowed_methods, reason = "vectors are read where they lie")]
fn the_vectors_of_the_list_hold() {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/testdata");
    let root = std::env::var_os("RELAIS_TESTDATA").map_or_else(beside, PathBuf::from);
    let Ok(text) = std::fs::read_to_string(root.join("idna/test_psl.txt")) else {
        eprintln!("SKIPPED: no idna/test_psl.txt (RELAIS_TESTDATA names its folder)");
        return;
    };
    let (mut seen, mut none) = (0, 0);
    for line in text.lines() {
        let arguments = line.strip_prefix("checkPublicSuffix(");
        let Some(arguments) = arguments.and_then(|rest| rest.strip_suffix(");")) else {
            continue;
        };
        let (name, expected) = arguments.split_once(", ").unwrap();
        let Ok(name) = Domain::parse(name.trim_matches('\'')) else {
            assert_eq!(expected, "null", "{line}");
            none += 1;
            continue;
        };
        let expected = match expected {
            "null" => None,
            expected => Some(Domain::parse(expected.trim_matches('\'')).unwrap()),
        };
        if line.contains("(null,") {
            continue;
        }
        assert_eq!(organisational_domain(&name), expected, "{line}");
        seen += 1;
    }
    assert!(seen >= 70 && none == 4, "{seen} {none}");
}
