//! What other people's scripts and eyes rely on: help and reference, as files. To accept a change:
//! `relais reference --write docs/reference`.

use crate::support::{bare, repository, run};

#[test]
fn the_reference_is_what_the_program_says_of_itself() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let target = folder.path().to_str().expect("UTF-8").to_owned();
    run(bare(&["reference", "--write", &target]), "").expect(0);
    for page in [
        "settings.md",
        "config.md",
        "replies.md",
        "events.md",
        "commands.md",
        "openapi.json",
    ] {
        let written = std::fs::read_to_string(folder.path().join(page)).expect("written");
        let file = repository("docs/reference").join(page);
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            written == kept,
            "docs/reference/{page} is out of date: run `relais reference --write docs/reference` and look at the difference"
        );
        assert!(written.len() > 500, "{page} is empty");
    }
}

#[test]
fn schemas_are_json() {
    for what in ["settings", "config", "events"] {
        let schema = run(bare(&["schema", what]), "").expect(0).json();
        assert_eq!(schema["type"], "object", "{what}");
    }
}

#[test]
fn usage_errors_have_exit_code_2() {
    for arguments in [
        &["servee"][..],
        &["queue", "retry"],
        &["simulate", "--ip", "printer"],
        &[],
    ] {
        run(bare(arguments), "").expect(2);
    }
    run(bare(&["--help"]), "").expect(0);
    run(bare(&["--version"]), "").expect(0);
}

#[test]
fn completion_is_written_for_every_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(bare(&["completion", shell]), "").expect(0);
        assert!(script.out.contains("relais"), "{shell}");
    }
}
