//! The help of commands, and what is said of a command line that cannot be read, in French, where
//! the environment asks for it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::ExitCode;

use clap::builder::StyledStr;
use clap::{Arg, ArgAction, Command};

use crate::phrases::{Language, told};

/// A line of English, its French beneath, and an empty line.
const HELP: &str = include_str!("../locales/help.fr.txt");

/// Words with which a line of help or of a mistake begins.
const BEGINNINGS: [(&str, &str); 8] = [
    ("Commandes:", "Commandes\u{202f}:"),
    ("Partout:", "Partout\u{202f}:"),
    ("Usage:", "Utilisation\u{202f}:"),
    ("Options:", "Options\u{202f}:"),
    ("Arguments:", "Arguments\u{202f}:"),
    ("Possible values:", "Valeurs possibles\u{202f}:"),
    ("error:", "erreur\u{202f}:"),
    ("tip:", "conseil\u{202f}:"),
];
/// Words in brackets, anywhere.
const BRACKETS: [(&str, &str); 6] = [
    ("[default: ", "[par défaut\u{202f}: "),
    ("[possible values: ", "[valeurs possibles\u{202f}: "),
    ("[aliases: ", "[autres noms\u{202f}: "),
    ("[subcommands: ", "[commandes\u{202f}: "),
    ("<COMMAND>", "<COMMANDE>"),
    ("[COMMAND]", "[COMMANDE]"),
];

type Words = BTreeMap<&'static str, &'static str>;

/// The same commands, explained in French. What has no French stays as it is.
pub(crate) fn explained(program: Command) -> Command {
    let words = words();
    let version = Arg::new("version").short('V').long("version");
    let version = version
        .action(ArgAction::Version)
        .help(french(&words, "Print version"));
    let program = program.disable_version_flag(true).arg(version);
    explain(program, &words)
}

/// Says what is wrong with the command line, or what was asked of it, and ends.
pub(crate) fn end(error: &clap::Error) -> ExitCode {
    let text = in_french(&error.render().to_string());
    // If nobody reads it there is nobody to tell.
    let _ = match error.use_stderr() {
        true => std::io::stderr().write_all(text.as_bytes()),
        false => std::io::stdout().write_all(text.as_bytes()),
    };
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// What the reader of command lines says, which knows English only.
fn in_french(text: &str) -> String {
    let mut french = String::with_capacity(text.len() + 64);
    for line in text.split_inclusive('\n') {
        french.push_str(&line_in_french(line));
    }
    french
}

fn line_in_french(line: &str) -> String {
    let bare = line.trim_start();
    let indent = &line[..line.len() - bare.len()];
    let mut beginnings = BEGINNINGS.iter();
    let beginning = beginnings.find(|(english, _)| bare.starts_with(english));
    let (lead, rest) = match beginning {
        Some((english, french)) => (*french, &bare[english.len()..]),
        None => ("", bare),
    };
    let (rest, end) = match rest.strip_suffix('\n') {
        Some(rest) => (rest, "\n"),
        None => (rest, ""),
    };
    let mut said = told(Language::French, rest).into_owned();
    for (english, french) in BRACKETS {
        said = said.replace(english, french);
    }
    format!("{indent}{lead}{said}{end}")
}

fn words() -> Words {
    let lines = HELP.lines().filter(|line| !line.starts_with('#'));
    let lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    let pairs = lines.chunks_exact(2);
    pairs
        .filter_map(|pair| Some((*pair.first()?, *pair.get(1)?)))
        .collect()
}

/// Paragraph by paragraph.
fn french(words: &Words, english: &str) -> String {
    let paragraphs = english.split("\n\n");
    let french = paragraphs.map(|one| words.get(one).copied().unwrap_or(one));
    french.collect::<Vec<_>>().join("\n\n")
}

fn explain(command: Command, words: &Words) -> Command {
    let text = |styled: Option<&StyledStr>| styled.map(|text| french(words, &text.to_string()));
    let (about, after) = (text(command.get_about()), text(command.get_after_help()));
    let help = Arg::new("help").short('h').long("help");
    let help = help
        .action(ArgAction::Help)
        .help(french(words, "Print help"));
    let mut command = command
        .subcommand_help_heading("Commandes")
        .mut_args(|argument| explain_argument(argument, words))
        .mut_subcommands(|inner| explain(inner, words))
        .disable_help_flag(true)
        .arg(help);
    if let Some(about) = about {
        command = command.about(about);
    }
    if let Some(after) = after {
        command = command.after_help(after);
    }
    command
}

fn explain_argument(argument: Arg, words: &Words) -> Arg {
    let help = argument
        .get_help()
        .map(|text| french(words, &text.to_string()));
    let heading = argument.get_help_heading();
    let heading = heading.and_then(|heading| words.get(heading).copied());
    let argument = match help {
        Some(help) => argument.help(help),
        None => argument,
    };
    match heading {
        Some(heading) => argument.help_heading(heading),
        None => argument,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    /// Every text of help, and of all below.
    fn texts(command: &Command, found: &mut BTreeSet<String>) {
        let mut add = |text: Option<&StyledStr>| {
            let text = text.map(ToString::to_string).unwrap_or_default();
            found.extend(text.split("\n\n").map(ToOwned::to_owned));
        };
        add(command.get_about());
        add(command.get_after_help());
        for argument in command.get_arguments() {
            add(argument.get_help());
        }
        for inner in command
            .get_subcommands()
            .filter(|inner| !inner.is_hide_set())
        {
            texts(inner, found);
        }
    }

    #[test]
    fn every_text_of_help_is_there_in_french_and_none_is_left_over() {
        let mut found =
            BTreeSet::from(["Print help", "Print version", "Everywhere"].map(str::to_owned));
        texts(&Cli::command(), &mut found);
        found.remove("");
        let words = words();
        let lacks: Vec<_> = found
            .iter()
            .filter(|text| !words.contains_key(&***text))
            .collect();
        let over: Vec<_> = words
            .keys()
            .filter(|text| !found.contains(**text))
            .collect();
        assert!(
            lacks.is_empty() && over.is_empty(),
            "no French for {lacks:#?}; no help says {over:#?}"
        );
    }

    #[test]
    fn help_in_french_explains_the_same_commands() {
        let mut program = explained(Cli::command());
        program.build();
        let help = in_french(&program.render_help().to_string());
        for part in [
            "Utilisation\u{202f}: relais",
            "<COMMANDE>",
            "Commandes\u{202f}:",
            "La file d’attente",
            "Afficher l’aide",
            "Partout\u{202f}:",
        ] {
            assert!(help.contains(part), "{part}: {help}");
        }
        let queue = program.find_subcommand("queue").expect("a command");
        let list = queue.find_subcommand("list").expect("a command");
        let help = list.clone().render_help().to_string();
        assert!(help.contains("Domaine destinataire"), "{help}");
        let matches = explained(Cli::command()).try_get_matches_from(["relais", "queue", "list"]);
        assert!(matches.is_ok(), "{matches:?}");
    }

    #[test]
    fn a_command_line_that_cannot_be_read_is_told_in_french() {
        for (typed, said) in [
            (
                &["queue", "list", "--nope"][..],
                "argument inattendu '--nope'",
            ),
            (&["queu"], "commande inconnue 'queu'"),
            (
                &["queu"],
                "il existe une commande semblable\u{202f}: 'queue'",
            ),
            (&["why"], "il manque ces arguments obligatoires"),
            (
                &["doctor", "moon"],
                "valeur 'moon' incorrecte pour '[GROUP]'",
            ),
            (&["doctor", "moon"], "[valeurs possibles\u{202f}: machine"),
            (
                &["audit", "list", "--limit", "x"],
                "incorrecte pour '--limit",
            ),
            (&["audit", "list", "--limit"], "demande une valeur"),
            (&["queue", "list", "--json", "--json"], "qu’une fois"),
        ] {
            let typed = [&["relais"][..], typed].concat();
            let read = explained(Cli::command()).try_get_matches_from(typed);
            let error = read.expect_err("it cannot be read");
            let told = in_french(&error.render().to_string());
            assert!(told.contains(said), "{said}: {told}");
            assert!(told.starts_with("erreur\u{202f}: "), "{told}");
            assert!(
                told.contains("Pour en savoir plus, essayez '--help'."),
                "{told}"
            );
            for english in ["error", "Usage", "tip:", "For more", "possible values"] {
                assert!(!told.contains(english), "{english}: {told}");
            }
        }
    }
}
