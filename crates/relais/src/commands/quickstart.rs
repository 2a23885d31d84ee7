//! `relais quickstart`: the first steps in the terminal, by the engine of the pages. It starts the
//! server if none runs. `--yes` asks nothing, and lets nobody send: that is for a person to say.

use std::io::{self, BufRead, Write};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::session::Session;
use super::signals::{Signal, Signals};
use super::{admin, doctor};
use crate::client::{Api, encode};
use crate::failure::Failure;
use crate::output::{Output, Tone, clean};
use crate::wiring::{self, Server};
use crate::words::Language;

/// How long the test message is watched.
const WATCH_SECONDS: u64 = 60;
/// How often DNS is looked at while somebody publishes records.
const LOOKS_MAX: usize = 20;
/// What settles a message as far as a person who waits is concerned.
const SETTLED: [&str; 3] = [
    "recipient.delivered",
    "recipient.failed",
    "recipient.deferred",
];

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Ask nothing: take what is proposed
    #[arg(long)]
    yes: bool,
}

/// All steps; where the server was started here, it runs on until a signal.
pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    let (api, own) = match session.api().await {
        Ok(api) => (api, None),
        Err(Failure::NotRunning { .. }) => {
            let server = start(session).await?;
            (session.api().await?, Some(server))
        }
        Err(failure) => return Err(failure),
    };
    let steps = Steps {
        output: session.output,
        language: Language::of_environment(),
        ask: !arguments.yes,
        api,
    };
    let told = match &own {
        Some(server) => tokio::select! {
            told = steps.all(session) => told,
            never = keep_house(server) => never,
        },
        None => steps.all(session).await,
    };
    match own {
        Some(server) => told.and(serve(&steps, server).await),
        None => told,
    }
}

async fn start(session: &Session) -> Result<Server, Failure> {
    let started = wiring::start(&session.config()?, Arc::new(|_, _| {})).await;
    started.map_err(|error| Failure::Failed(error.to_string()))
}

/// Never ends.
async fn keep_house(server: &Server) -> Result<(), Failure> {
    loop {
        server.keep_house().await;
    }
}

async fn serve(steps: &Steps, server: Server) -> Result<(), Failure> {
    let (english, french) = (
        "Relais runs on in this terminal until Ctrl-C; `relais serve` is the same for a service.",
        "Relais continue dans ce terminal jusqu’à Ctrl-C\u{202f}; `relais serve` fait de même en service.",
    );
    steps.say(english, french)?;
    let mut signals = Signals::listen()
        .map_err(|error| Failure::Failed(format!("signals cannot be heard: {error}")))?;
    loop {
        tokio::select! {
            _ = keep_house(&server) => {}
            signal = signals.next() => if matches!(signal, Signal::End) { break },
        }
    }
    server.drain().await;
    Ok(())
}

/// What the six steps are called.
const YOU: (&str, &str) = ("You", "Vous");
const CHECKS: (&str, &str) = ("Checks", "Vérifications");
const DOMAIN: (&str, &str) = ("Your domain", "Votre domaine");
const LEAVE: (&str, &str) = ("How mail leaves", "Comment le courrier sort");
const SENDERS: (&str, &str) = ("Who may send", "Qui peut envoyer");
const PROVE: (&str, &str) = ("Prove it", "Faire la preuve");

struct Steps {
    output: Output,
    language: Language,
    ask: bool,
    api: Api,
}

impl Steps {
    async fn all(&self, session: &Session) -> Result<(), Failure> {
        self.you().await?;
        self.checks().await?;
        self.domain().await?;
        self.leave().await?;
        self.senders().await?;
        self.prove().await?;
        self.left().await?;
        admin::setup_link(session).await
    }

    fn say(&self, english: &str, french: &str) -> Result<(), Failure> {
        self.output.line(self.language.pick(english, french))
    }

    fn heading(&self, number: usize, (english, french): (&str, &str)) -> Result<(), Failure> {
        self.output.line("")?;
        let title = format!("{number}/6 {}", self.language.pick(english, french));
        self.output.line(&self.output.paint(Tone::Heading, &title))
    }

    /// What is proposed where nothing is typed, asked, or left to be read.
    fn question(&self, (english, french): (&str, &str), proposed: &str) -> Result<String, Failure> {
        if !self.ask {
            return Ok(proposed.to_owned());
        }
        let words = self.language.pick(english, french);
        let colon = self.language.pick(":", "\u{202f}:");
        let shown = match proposed {
            "" => format!("{words}{colon} "),
            proposed => format!("{words} [{proposed}]{colon} "),
        };
        let broken = |error: io::Error| Failure::Failed(format!("the terminal: {error}"));
        let mut stdout = io::stdout().lock();
        stdout
            .write_all(shown.as_bytes())
            .and_then(|()| stdout.flush())
            .map_err(broken)?;
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map_err(broken)?;
        Ok(match line.trim() {
            "" => proposed.to_owned(),
            typed => typed.to_owned(),
        })
    }

    fn is_yes(&self, words: (&str, &str), proposed: bool) -> Result<bool, Failure> {
        let letters = self.language.pick(("y", "n"), ("o", "n"));
        let answer = self.question(words, if proposed { letters.0 } else { letters.1 })?;
        Ok(answer.to_lowercase().starts_with(letters.0))
    }

    async fn state(&self) -> Result<Value, Failure> {
        Ok(self.api.get("/first-steps", &[]).await?.value)
    }

    async fn you(&self) -> Result<(), Failure> {
        self.heading(1, YOU)?;
        let state = self.state().await?;
        let (known, hostname) = (&state["organisation"], text(&state["hostname"]));
        let parent = parent(&hostname);
        let word = parent.split('.').next().unwrap_or_default();
        let or = |known: &Value, guess: String| match text(known) {
            known if known.is_empty() => guess,
            known => known,
        };
        let name = self.question(
            (
                "What your organisation is called",
                "Le nom de votre organisation",
            ),
            &or(&known["display_name"], word.to_owned()),
        )?;
        let guess = if parent.is_empty() {
            String::new()
        } else {
            format!("postmaster@{parent}")
        };
        let postmaster = self.question(
            (
                "Whom Relais writes to, an address",
                "À qui Relais écrit, une adresse",
            ),
            &or(&known["postmaster"], guess),
        )?;
        let language = or(
            &known["language"],
            self.language.pick("en", "fr").to_owned(),
        );
        let body = json!({ "display_name": name, "postmaster": postmaster, "language": language });
        self.api.post("/first-steps/you", &body).await?;
        Ok(())
    }

    async fn checks(&self) -> Result<(), Failure> {
        self.heading(2, CHECKS)?;
        let report = self.api.post("/checks", &json!({})).await?.value;
        doctor::show(self.output, &report, self.language)
    }

    async fn domain(&self) -> Result<(), Failure> {
        self.heading(3, DOMAIN)?;
        let state = self.state().await?;
        let proposed = match text(&state["domain"]["name"]) {
            known if known.is_empty() => parent(&text(&state["hostname"])),
            known => known,
        };
        let name = self.question(
            (
                "The domain that your mail comes from",
                "Le domaine d’où vient votre courrier",
            ),
            &proposed,
        )?;
        if name.is_empty() {
            return Ok(());
        }
        // Another name than the one that is not proved yet was mistyped before.
        let known = text(&state["domain"]["name"]);
        let is_open = !known.is_empty() && !is_verified(&state);
        let instead_of = if is_open { known.as_str() } else { "" };
        let body = json!({ "name": name, "instead_of": instead_of });
        let state = self.api.post("/first-steps/domain", &body).await?.value;
        let name = match is_open {
            true => text(&state["domain"]["name"]),
            false => name.rsplit('@').next().unwrap_or_default().to_owned(),
        };
        if is_verified(&state) {
            return self.say("It is verified.", "Il est vérifié.");
        }
        self.records(&name).await?;
        self.verify(&name).await
    }

    async fn records(&self, name: &str) -> Result<(), Failure> {
        let path = format!("/domains/{}/records", encode(name));
        let records = self.api.get(&path, &[]).await?.value;
        let row = |one: &Value| {
            let cell = |key: &str| clean(&text(&one[key])).into_owned();
            vec![cell("state"), cell("name"), cell("type"), cell("value")]
        };
        let records = records["records"].as_array().into_iter().flatten();
        for one in records.map(row) {
            self.output.line(&format!("  {}", one.join("  ")))?;
        }
        Ok(())
    }

    /// By its record, or by hand for a private name; or later.
    async fn verify(&self, name: &str) -> Result<(), Failure> {
        let path = format!("/domains/{}/verify", encode(name));
        for _ in 0..LOOKS_MAX {
            let wanted = (
                "Look at DNS now, not later (y or n)",
                "Vérifier le DNS maintenant, et non plus tard (o ou n)",
            );
            if !self.is_yes(wanted, !self.ask)? {
                break;
            }
            self.api.post(&path, &json!({})).await?;
            if is_verified(&self.state().await?) {
                return self.say("It is verified.", "Il est vérifié.");
            }
            self.say(
                "The record is not there yet.",
                "L’enregistrement n’y est pas encore.",
            )?;
            if !self.ask {
                break;
            }
        }
        let by_hand = (
            "Is it a private name that nobody else has, to be taken without a record (y or n)",
            "Est-ce un nom privé, à vous seul, à accepter sans enregistrement (o ou n)",
        );
        if self.is_yes(by_hand, false)? {
            self.api.post(&path, &json!({ "assume": true })).await?;
            return Ok(());
        }
        self.say(
            "Until it is verified, mail from it is refused.",
            "Tant qu’il n’est pas vérifié, son courrier est refusé.",
        )
    }

    async fn leave(&self) -> Result<(), Failure> {
        self.heading(4, LEAVE)?;
        let answer = self.api.get("/first-steps/ways", &[]).await?.value;
        let ways = answer["ways"].as_array().into_iter().flatten();
        let usable = |one: &&Value| one["fits"] == true && one["elsewhere"] == false;
        let ways: Vec<_> = ways.filter(usable).collect();
        let title = self.language.pick("title", "title_fr");
        for (at, way) in ways.iter().enumerate() {
            self.output
                .line(&format!("  {} {}", at + 1, text(&way[title])))?;
        }
        // Without a person only what needs nothing typed.
        let proposed = ways.iter().position(|way| way["name"] == "direct");
        let proposed = proposed.map(|at| (at + 1).to_string()).unwrap_or_default();
        let words = (
            "Number, or nothing for later",
            "Numéro, ou rien pour plus tard",
        );
        let chosen = self.question(words, &proposed)?;
        let Some(way) = chosen
            .parse()
            .ok()
            .and_then(|at: usize| ways.get(at.checked_sub(1)?))
        else {
            return self.say("Later.", "Plus tard.");
        };
        let asks = |field: &str| {
            way["asks"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|it| it == field)
        };
        let language = self.language.pick("en", "fr");
        let mut body = json!({ "way": way["name"], "language": language });
        for (field, english, french, proposed) in [
            (
                "smart_host",
                "Smart host, host:port",
                "Hôte intelligent, hôte:port",
                text(&way["smart_host"]),
            ),
            (
                "user",
                "User, or nothing",
                "Utilisateur, ou rien",
                String::new(),
            ),
        ] {
            if asks(field) {
                body[field] = json!(self.question((english, french), &proposed)?);
            }
        }
        if !text(&body["user"]).is_empty() {
            let words = ("Password, kept as a secret", "Mot de passe, gardé secret");
            body["password"] = json!(self.question(words, "")?);
        }
        self.api.post("/first-steps/ways", &body).await?;
        Ok(())
    }

    async fn senders(&self) -> Result<(), Failure> {
        self.heading(5, SENDERS)?;
        let state = self.state().await?;
        let list = |key: &str| {
            let all = state[key].as_array().into_iter().flatten();
            all.map(text).collect::<Vec<_>>()
        };
        for network in list("networks") {
            self.output.line(&format!("  {network}"))?;
        }
        let words = (
            "Addresses or networks that may send, apart by spaces; nothing: later",
            "Adresses ou réseaux qui peuvent envoyer, séparés par des espaces\u{202f}; rien\u{202f}: plus tard",
        );
        let chosen = self.question(words, &list("senders").join(" "))?;
        let networks: Vec<_> = chosen.split_ascii_whitespace().collect();
        if networks.is_empty() {
            return self.say(
                "Later: whoever knocks is refused, and shown by `relais attempts list`.",
                "Plus tard\u{202f}: qui frappe est refusé, et montré par `relais attempts list`.",
            );
        }
        let body = json!({ "networks": networks });
        self.api.post("/first-steps/senders", &body).await?;
        Ok(())
    }

    async fn prove(&self) -> Result<(), Failure> {
        self.heading(6, PROVE)?;
        if !is_verified(&self.state().await?) {
            return self.say(
                "Nothing can be sent before the domain is verified; then: relais test --to ADDRESS.",
                "Rien ne peut partir avant que le domaine soit vérifié\u{202f}; ensuite\u{202f}: relais test --to \
                 ADRESSE.",
            );
        }
        let words = ("Send a test to, or nothing", "Envoyer un test à, ou rien");
        let to = self.question(words, "")?;
        if to.is_empty() {
            return Ok(());
        }
        let sent = self
            .api
            .post("/first-steps/prove", &json!({ "to": to }))
            .await?
            .value;
        watch(
            &self.api,
            self.output,
            self.language,
            &text(&sent["queue_id"]),
        )
        .await?;
        Ok(())
    }

    /// What is still to be done.
    async fn left(&self) -> Result<(), Failure> {
        let state = self.state().await?;
        let steps = state["steps"].as_array().into_iter().flatten();
        let left = steps
            .filter(|step| step["done"] == false)
            .map(|step| self.title(&text(&step["step"])));
        let left: Vec<_> = left.collect();
        if left.is_empty() {
            return self.say("All six steps are done.", "Les six étapes sont faites.");
        }
        let left = left.join(", ");
        let words = self.language.pick("Still to do:", "Reste à faire\u{202f}:");
        self.output.line(&format!("{words} {left}"))
    }

    /// What a step is called in its heading.
    fn title(&self, step: &str) -> String {
        let (english, french) = match step {
            "you" => YOU,
            "checks" => CHECKS,
            "domain" => DOMAIN,
            "leave" => LEAVE,
            "senders" => SENDERS,
            "prove" => PROVE,
            other => (other, other),
        };
        self.language.pick(english, french).to_owned()
    }
}

/// Tells what happens to a message until it is settled for now, but to a program nothing; whether
/// it was delivered.
pub(crate) async fn watch(
    api: &Api,
    output: Output,
    language: Language,
    queue_id: &str,
) -> Result<bool, Failure> {
    let path = format!("/why/{}", encode(queue_id));
    let mut shown = 0;
    for _ in 0..WATCH_SECONDS {
        let answer = api.get(&path, &[]).await?.value;
        let events = answer["events"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        for event in events.iter().skip(shown).filter(|_| !output.json) {
            let read = relais_store::trace::Event::from_json(&event.to_string());
            if let Ok(event) = read {
                output.line(&format!("  {}", crate::words::sentence(&event, language)))?;
            }
        }
        shown = shown.max(events.len());
        let last = events
            .iter()
            .rev()
            .find_map(|event| SETTLED.iter().find(|kind| event["event"] == **kind));
        if let Some(kind) = last {
            return Ok(*kind == "recipient.delivered");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(false)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// `relay.contoso.test` → `contoso.test`; nothing of a name that has no parent to send from.
fn parent(hostname: &str) -> String {
    match hostname.split_once('.') {
        Some((_, parent)) if parent.contains('.') => parent.to_owned(),
        _ => String::new(),
    }
}

fn is_verified(state: &Value) -> bool {
    state["domain"]["state"] == "verified" || state["domain"]["state"] == "lapsing"
}
