//! The help of commands in French, where the environment asks for it.

use std::collections::BTreeMap;

use clap::builder::StyledStr;
use clap::{Arg, ArgAction, Command};

/// A line of English, its French beneath, and an empty line.
const HELP: &str = include_str!("../locales/help.fr.txt");

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
        let help = program.render_help().to_string();
        for part in [
            "Commandes:",
            "La file d’attente",
            "Afficher l’aide",
            "Partout:",
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
}
