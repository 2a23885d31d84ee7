//! The generated reference: one page each for settings, bootstrap file, replies, events, commands.
//! Everything comes from the tables that the program itself works by.

pub(crate) mod json_schema;

use std::fmt::Write as _;

use relais_policy::document::schema::{self, DefaultValue};
use relais_smtp::refusal::CATALOGUE;
use relais_store::trace::{EVENT_FIELDS, EventKind, Presence};

use crate::config::keys::{self, Fallback};

const HEAD: &str =
    "<!-- Written by `relais reference --write docs/reference`. Do not edit by hand. -->\n\n";

/// One page.
pub(crate) struct Page {
    /// Its name in `docs/reference`.
    pub(crate) file: &'static str,
    /// Markdown.
    pub(crate) text: String,
}

/// All pages, and the description of the API. `program`: the command line.
pub(crate) fn pages(program: clap::Command) -> Vec<Page> {
    vec![
        Page {
            file: "settings.md",
            text: settings(),
        },
        Page {
            file: "config.md",
            text: config(),
        },
        Page {
            file: "replies.md",
            text: replies(),
        },
        Page {
            file: "events.md",
            text: events(),
        },
        Page {
            file: "commands.md",
            text: commands(program),
        },
        Page {
            file: "openapi.json",
            text: openapi(),
        },
    ]
}

/// A cell of a table: a bar would end it.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn code(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!("`{}`", cell(text))
    }
}

fn settings() -> String {
    let mut page = format!(
        "# Settings\n\n{HEAD}What `relais apply` reads and `relais export` writes: one document, \
         kept in the store, each change a version with an audit entry. An applied object is \
         replaced whole; absent keys take their defaults.\n"
    );
    for section in schema::sections() {
        let _ = write!(
            page,
            "\n## `{}`\n\n| key | value | default | bound | |\n|---|---|---|---|---|\n",
            section.heading()
        );
        for setting in section.keys {
            let default = match setting.default {
                DefaultValue::Required => "required".to_owned(),
                DefaultValue::Absent => "none".to_owned(),
                DefaultValue::Toml(text) => code(text),
            };
            let _ = writeln!(
                page,
                "| `{}` | {} | {default} | {} | {} |",
                setting.key,
                cell(&setting.kind.describe()),
                cell(setting.bound),
                cell(setting.doc)
            );
        }
    }
    page
}

fn config() -> String {
    let mut page = format!(
        "# Bootstrap file `relais.toml`\n\n{HEAD}Looked for in `--config`, `$RELAIS_CONFIG`, \
         `/etc/relais/relais.toml`; without any, everything has its default. A variable overrides \
         a key: `RELAIS_ADMIN__ADDRESS`, `RELAIS_LISTENER__0__ADDRESS`; lists are separated by \
         commas. Unknown keys are errors, unknown variables only warn.\n"
    );
    for section in keys::SECTIONS {
        let _ = write!(
            page,
            "\n## `{}`\n\n{}\n\n| key | value | default | |\n|---|---|---|---|\n",
            section.heading(),
            section.words
        );
        for key in section.keys {
            let default = match key.default {
                Fallback::Required => "required".to_owned(),
                Fallback::Found(words) => cell(words),
                Fallback::Toml(text) => code(text),
            };
            let _ = writeln!(
                page,
                "| `{}` | {} | {default} | {} |",
                key.name,
                cell(&key.kind.describe()),
                cell(key.words)
            );
        }
    }
    page
}

fn replies() -> String {
    let mut page = format!(
        "# Replies\n\n{HEAD}Every reason why a client is refused, with its one reply: `code enhanced \
         text (TOKEN REFERENCE)`. The reference is new for each refusal; `relais why REFERENCE` \
         explains it.\n\n| token | stage | reply | cause | what to do |\n|---|---|---|---|---|\n"
    );
    for entry in CATALOGUE {
        let _ = writeln!(
            page,
            "| `{}` | {} | `{} {} {}` | {} | {} |",
            entry.token(),
            cell(entry.stage),
            entry.code().get(),
            entry.status(),
            cell(entry.pattern()),
            cell(entry.cause_en),
            cell(entry.fix_en)
        );
    }
    page.push_str("\n## En français\n\n| jeton | cause | que faire |\n|---|---|---|\n");
    for entry in CATALOGUE {
        let _ = writeln!(
            page,
            "| `{}` | {} | {} |",
            entry.token(),
            cell(entry.cause_fr),
            cell(entry.fix_fr)
        );
    }
    page
}

fn events() -> String {
    let mut page = format!(
        "# Events\n\n{HEAD}One name for trace, log, metric (`relais_events_total{{event=\"…\"}}`) \
         and API.\n\n| event | status | |\n|---|---|---|\n"
    );
    for kind in EventKind::ALL {
        let status = kind.status().unwrap_or("");
        let _ = writeln!(
            page,
            "| `{}` | {status} | {} |",
            kind.name(),
            cell(kind.help())
        );
    }
    page.push_str("\n## Fields\n\n`relais trace --json` prints one object a line.\n\n| field | there | |\n|---|---|---|\n");
    for field in EVENT_FIELDS {
        let presence = match field.presence {
            Presence::Always => "always, else `null`",
            Presence::WhereKnown => "where known",
        };
        let _ = writeln!(
            page,
            "| `{}` | {presence} | {} |",
            field.name,
            cell(field.doc)
        );
    }
    page
}

fn openapi() -> String {
    let document = relais_admin::api::openapi_document();
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}

fn commands(program: clap::Command) -> String {
    let mut page = format!(
        "# Commands\n\n{HEAD}Exit codes: 0 ok, 1 error, 2 usage, 3 not found, 4 check failed, 75 try \
         later.\n"
    );
    let mut program = program.term_width(100);
    program.build();
    describe(&mut page, &program, "relais");
    page
}

fn describe(page: &mut String, command: &clap::Command, name: &str) {
    let _ = write!(page, "\n## `{name}`\n\n```text\n{}```\n", help(command));
    for inner in command
        .get_subcommands()
        .filter(|inner| !inner.is_hide_set())
    {
        describe(page, inner, &format!("{name} {}", inner.get_name()));
    }
}

/// The help text without colours and without spaces at line ends.
fn help(command: &clap::Command) -> String {
    let text = command.clone().render_help().to_string();
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim_end().to_owned() + "\n"
}
