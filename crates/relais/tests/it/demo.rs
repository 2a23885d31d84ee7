//! The demo is the first thing that people try: it must come out well, quickly, in both languages.

use crate::support::{bare, run};

#[test]
fn the_demo_ends_with_0_and_tells_the_story_of_each_message() {
    let told = run(bare(&["demo", "--once", "--lang", "en"]), "").expect(0);
    for words in [
        "Accepted from 127.0.0.9 (printer-2) by connector \"Printers\"",
        "Repaired on the way in: ",
        "Delivered to <klara@fabrikam.example>",
        "Failed for <nobody@fabrikam.example>: 550 5.1.1 No such mailbox here",
        "Told <anna@contoso.test> by a notice",
        "Refused for 127.0.0.66",
        "SRC-UNKNOWN",
        "\n  What to do: ",
    ] {
        assert!(told.out.contains(words), "{words}\n{}", told.out);
    }
    assert!(!told.out.contains("FAIL"), "{}", told.out);
    // Nothing is left that a command could ask.
    assert!(!told.out.contains("--data-dir"), "{}", told.out);
}

#[test]
fn the_demo_speaks_french_by_the_environment() {
    let mut command = bare(&["demo", "--once"]);
    command.env_remove("LC_ALL").env("LANG", "fr_FR.UTF-8");
    let told = run(command, "").expect(0);
    assert!(
        told.out
            .contains("Tout s’est-il passé comme prévu\u{202f}?"),
        "{}",
        told.out
    );
    assert!(told.out.contains(", 1,4\u{202f}Mo."), "{}", told.out);
    assert!(!told.out.contains("iB"), "{}", told.out);
    assert!(
        told.out.contains("Remis à <klara@fabrikam.example>"),
        "{}",
        told.out
    );
}
