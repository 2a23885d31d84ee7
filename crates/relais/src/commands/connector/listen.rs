//! `relais connector inbound listen`: press Scan now, and see what the device and the relay say,
//! line by line; at the end the message's name, or the refusal with its cause and fix.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use relais_policy::document::Span;

use super::super::session::Session;
use crate::failure::Failure;
use crate::output::{Output, Tone, clean, complain};
use crate::words::{Language, advice, reference, token};

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Its name
    name: String,
    /// Whose; may be left out where there is only one
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
    /// How long to wait for a message, or for a refusal: 90s, 5m, 1h
    #[arg(long, value_name = "SPAN", default_value = "5m")]
    timeout: Span,
}

pub(super) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    let mut query = vec![("name", arguments.name.clone())];
    query.extend(arguments.organisation.map(|name| ("organisation", name)));
    let mut listening = Listening {
        output: session.output,
        language: Language::of_environment(),
        name: arguments.name,
        replies: BTreeMap::new(),
        verdict: None,
    };
    let api = session.api().await?;
    let heard = api.follow("/connectors/inbound/listen", &query, |line| {
        listening.hear(line)
    });
    let timeout = Duration::from_secs(arguments.timeout.0);
    match tokio::time::timeout(timeout, heard).await {
        Ok(ended) => ended?,
        Err(_) => return Err(listening.nobody_came()),
    }
    match listening.verdict {
        Some(Verdict::Accepted) => Ok(()),
        Some(Verdict::Refused) => Err(Failure::CheckFailed(String::new())),
        None => Err(Failure::TryLater("the server ended".to_owned())),
    }
}

/// How the device's session ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    Accepted,
    Refused,
}

struct Listening {
    output: Output,
    language: Language,
    name: String,
    /// The last reply of each session that says how it went.
    replies: BTreeMap<u64, String>,
    verdict: Option<Verdict>,
}

impl Listening {
    /// One line of the server; the end of a session that had a result is the end.
    fn hear(&mut self, line: &str) -> Result<ControlFlow<()>, Failure> {
        let Ok(heard) = serde_json::from_str::<Value>(line) else {
            return Ok(ControlFlow::Continue(()));
        };
        if let Some(missed) = heard["missed"].as_u64() {
            complain(&format!("{missed} lines were missed: they came too fast"));
            return Ok(ControlFlow::Continue(()));
        }
        if self.output.json {
            self.output.value(&heard)?;
        }
        let session = heard["session"].as_u64().unwrap_or_default();
        let text = heard["line"].as_str().unwrap_or_default();
        match heard["said"].as_str() {
            Some("server") if is_result(text) => {
                self.replies.insert(session, text.to_owned());
            }
            Some("ended") => {
                self.show(&heard)?;
                return self.end(session);
            }
            _ => {}
        }
        self.show(&heard)?;
        Ok(ControlFlow::Continue(()))
    }

    fn show(&self, heard: &Value) -> Result<(), Failure> {
        if self.output.json {
            return Ok(());
        }
        let word = |key: &str| clean(heard[key].as_str().unwrap_or_default()).into_owned();
        let (client, text) = (word("client"), word("line"));
        let pick = |english: String, french: String| self.language.pick(english, french);
        let line = match heard["said"].as_str().unwrap_or_default() {
            "listening" => {
                let (name, state) = (word("connector"), word("state"));
                pick(
                    format!("Listening for {name} ({state}). Press Scan now on the device."),
                    format!("À l’écoute de {name} ({state}). Lancez une numérisation."),
                )
            }
            "began" => pick(
                format!("{client} connected"),
                format!("{client} se connecte"),
            ),
            "client" => format!("  > {text}"),
            "server" => format!("  < {text}"),
            "note" => format!("  ({text})"),
            "stranger" => return self.show_stranger(&client, &text),
            "ended" => pick(format!("{client} left"), format!("{client} est parti")),
            _ => return Ok(()),
        };
        self.output.line(&line)
    }

    /// Perhaps it is the device, under an address that the connector does not know.
    fn show_stranger(&self, client: &str, reply: &str) -> Result<(), Failure> {
        let adopt = match reference(reply) {
            Some(reference) => {
                let name = &self.name;
                format!(": relais attempts adopt {reference} --name \"{name}\"")
            }
            None => String::new(),
        };
        let line = self.language.pick(
            format!("{client} is of no connector and got {reply}. If it is the device{adopt}"),
            format!(
                "{client} n’est d’aucun connecteur et a reçu {reply}. Si c’est l’appareil{adopt}"
            ),
        );
        self.output.line(&self.output.paint(Tone::Waiting, &line))
    }

    /// A session without a result was a test of the connection, or a first look: the next one may
    /// bring the message.
    fn end(&mut self, session: u64) -> Result<ControlFlow<()>, Failure> {
        let Some(reply) = self.replies.remove(&session) else {
            return Ok(ControlFlow::Continue(()));
        };
        let accepted = reply.starts_with('2');
        self.verdict = Some(if accepted {
            Verdict::Accepted
        } else {
            Verdict::Refused
        });
        if !self.output.json {
            self.show_result(&reply, accepted)?;
        }
        Ok(ControlFlow::Break(()))
    }

    fn show_result(&self, reply: &str, accepted: bool) -> Result<(), Failure> {
        let (tone, word) = if accepted {
            (Tone::Good, self.language.pick("Accepted", "Accepté"))
        } else {
            (Tone::Bad, self.language.pick("Refused", "Refusé"))
        };
        let line = format!("{word}: {}", clean(reply));
        self.output.line(&self.output.paint(tone, &line))?;
        let Some((cause, fix)) = advice(reply, self.language) else {
            return Ok(());
        };
        self.output.line(&format!("  {cause}"))?;
        self.output.line(&format!("  {fix}"))
    }

    fn nobody_came(&self) -> Failure {
        let name = &self.name;
        Failure::CheckFailed(self.language.pick(
            format!(
                "no message of {name} came: check the server's name and port in the device, and \
                 `relais attempts list`"
            ),
            format!(
                "aucun message de {name} n’est arrivé\u{202f}: vérifiez le nom du serveur et le port \
                 dans l’appareil, puis «\u{202f}relais attempts list\u{202f}»"
            ),
        ))
    }
}

/// A message accepted, or anything refused: unknown commands and the like are no result.
fn is_result(reply: &str) -> bool {
    let queued = reply.starts_with("250 2.0.0 Queued as ");
    let refused = reply.starts_with(['4', '5']) && token(reply).is_some_and(|it| it != "SYNTAX");
    queued || refused
}

#[cfg(test)]
mod tests {
    use relais_smtp::refusal::CATALOGUE;

    use super::*;

    #[test]
    fn a_result_is_a_message_or_a_refusal_and_no_slip() {
        for (reply, expected) in [
            ("250 2.0.0 Queued as 0N4R7T2M9QK3P", true),
            ("250 2.1.5 OK", false),
            (
                "550 5.7.1 Sender domain not verified: a.test (FROM-DOMAIN 7F3K2)",
                true,
            ),
            ("500 5.5.1 Unknown command (SYNTAX 7F3K2)", false),
            ("354 Start", false),
        ] {
            assert_eq!(is_result(reply), expected, "{reply}");
        }
    }

    #[test]
    fn every_refusal_has_its_advice_in_both_languages() {
        let reference = relais_smtp::identifier::Reference::from_bits(1);
        for entry in CATALOGUE {
            let reply = (entry.sample)().reply(reference).to_string();
            let english = advice(&reply, Language::English);
            let known = CATALOGUE
                .iter()
                .any(|one| english == Some((one.cause_en, one.fix_en)));
            assert!(
                known && advice(&reply, Language::French).is_some(),
                "{reply}"
            );
        }
    }
}
