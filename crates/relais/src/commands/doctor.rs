//! `relais doctor`: every self-check, now.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use relais_admin::findings::name_of_check;

use super::session::Session;
use crate::failure::Failure;
use crate::output::{Output, Tone, clean};
use crate::words::Language;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Only this group
    #[arg(value_enum)]
    group: Option<Group>,
}

/// What checks are about.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Group {
    /// This machine: ports, clock, disk, certificates, addresses of clients
    Machine,
    /// DNS, port 25, smart hosts, our public address
    WayOut,
    /// Reverse names, SPF, DKIM, DMARC, blocklists
    World,
    /// Open-relay self-test, ranges, limits, administrators, backup
    Safety,
}

impl Group {
    const ALL: [Self; 4] = [Self::Machine, Self::WayOut, Self::World, Self::Safety];

    fn name(self) -> &'static str {
        match self {
            Self::Machine => "machine",
            Self::WayOut => "way-out",
            Self::World => "world",
            Self::Safety => "safety",
        }
    }

    fn title(self, language: Language) -> &'static str {
        match self {
            Self::Machine => language.pick("This machine", "Cette machine"),
            Self::WayOut => language.pick("The way out", "La voie de sortie"),
            Self::World => language.pick("How the world sees you", "Comment le monde vous voit"),
            Self::Safety => language.pick("Safety", "Sécurité"),
        }
    }
}

/// Exit code 4 when something is broken.
pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    let groups: Vec<_> = arguments.group.iter().map(|group| group.name()).collect();
    let api = session.api_for_reading().await?;
    let report = api
        .post("/checks", &json!({ "groups": groups }))
        .await?
        .value;
    let output = session.output;
    if output.json {
        output.value(&report)?;
    } else {
        show(output, &report, Language::of_environment())?;
    }
    if report["verdict"] == "broken" {
        return Err(Failure::CheckFailed(String::new()));
    }
    Ok(())
}

/// Each check in a line, and what to do beneath; `relais quickstart` shows the same.
pub(crate) fn show(output: Output, report: &Value, language: Language) -> Result<(), Failure> {
    let checks = report["checks"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    for group in Group::ALL {
        let mut of_group = checks
            .iter()
            .filter(|one| one["group"] == group.name())
            .peekable();
        if of_group.peek().is_none() {
            continue;
        }
        output.line(&output.paint(Tone::Heading, group.title(language)))?;
        for check in of_group {
            line(output, check, language)?;
        }
    }
    Ok(())
}

fn line(output: Output, check: &Value, language: Language) -> Result<(), Failure> {
    let text = |english: &str, french: &str| {
        let key = language.pick(english, french);
        clean(check[key].as_str().unwrap_or_default()).into_owned()
    };
    let plain = |key: &str| text(key, key);
    let verdict = plain("verdict");
    let (mark, word, tone) = mark(&verdict, language);
    let check = match language {
        Language::English => plain("check"),
        Language::French => name_of_check(language, &plain("check")),
    };
    let name = format!("{check} {}", plain("subject"));
    let head = output.paint(tone, &format!("{mark} {word}"));
    let colon = language.pick(":", "\u{202f}:");
    let detail = text("detail", "detail_fr");
    let detail = format!("{}{colon} {detail}", name.trim_end());
    output.paragraph(&format!("  {head}  "), 6, &detail)?;
    let fix = text("fix", "fix_fr");
    if !fix.is_empty() {
        output.paragraph("      ", 6, &text("why", "why_fr"))?;
        output.paragraph("      → ", 8, &fix)?;
    }
    Ok(())
}

fn mark(verdict: &str, language: Language) -> (&'static str, &'static str, Tone) {
    match verdict {
        "ok" => ("✓", "OK", Tone::Good),
        "advice" => ("·", language.pick("advice", "conseil"), Tone::Waiting),
        "attention" => ("!", language.pick("attention", "attention"), Tone::Waiting),
        "broken" => ("✕", language.pick("broken", "en panne"), Tone::Bad),
        "not-applicable" => (
            "–",
            language.pick("not applicable", "sans objet"),
            Tone::Waiting,
        ),
        _ => ("?", language.pick("unknown", "inconnu"), Tone::Waiting),
    }
}
