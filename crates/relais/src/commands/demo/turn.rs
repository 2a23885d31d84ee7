//! The story is told: now whoever looks on tries it. A browser for the admin centre, and a printer
//! that nobody knows yet, which scans when Enter is pressed.

use std::io;
use std::net::IpAddr;
use std::thread;

use serde_json::json;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use super::scene::{HAND, KLARA, NEW_PRINTER, Scene};
use super::{Teller, letters, printer, program};
use crate::client::Api;
use crate::commands::signals::Signals;
use crate::failure::Failure;
use crate::wiring;

/// Enter pressed while a scan is under way is kept up to so often.
const PRESSES_MAX: usize = 4;

/// Keeps running, and tells what happens, until somebody ends it.
pub(super) async fn stay(
    scene: &Scene,
    teller: Teller,
    signals: &mut Signals,
) -> Result<(), Failure> {
    offer(scene, teller).await?;
    let mut presses = presses().map_err(|error| Failure::Failed(format!("input: {error}")))?;
    let mut live = scene.server.store.live();
    loop {
        tokio::select! {
            () = signals.next_end() => return Ok(()),
            Some(()) = presses.recv() => press(scene, teller).await?,
            events = live.recv() => match events {
                Ok(events) => events.iter().try_for_each(|event| teller.event(event))?,
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Ok(()),
            },
        }
    }
}

/// What there is to try.
async fn offer(scene: &Scene, teller: Teller) -> Result<(), Failure> {
    teller.heading(
        "Your turn (Ctrl-C ends it, and removes everything):",
        "À vous (Ctrl-C met fin à la démonstration et efface tout)\u{202f}:",
    )?;
    let socket = wiring::control_socket(scene.folder());
    let link = Api::Socket(socket).post("/setup-link", &json!({})).await?;
    let words = teller.language.pick(
        "Open the admin centre in a browser (single use, valid 60 minutes):",
        "Ouvrez le centre d’administration dans un navigateur (usage unique, valable 60 minutes)\u{202f}:",
    );
    teller.line(&format!("  {words}"))?;
    let address = link.value["address"].as_str().unwrap_or_default();
    teller.line(&format!("    {address}"))?;
    let stands = IpAddr::from(NEW_PRINTER);
    let words = teller.language.pick(
        "A new printer stands at {}, and no connector knows it: press Enter here, and it scans. \
         Then add it in the admin centre (Add device), and press Enter again.",
        "Une nouvelle imprimante se trouve en {}, et aucun connecteur ne la connaît\u{202f}: appuyez \
         ici sur Entrée, et elle numérise. Ajoutez-la ensuite dans le centre d’administration \
         (Ajouter un appareil), puis appuyez de nouveau sur Entrée.",
    );
    let words = words.replace("{}", &stands.to_string());
    teller.output.paragraph("  ", 2, &words)?;
    let words = teller
        .language
        .pick("In another terminal:", "Dans un autre terminal\u{202f}:");
    teller.line(&format!("  {words}"))?;
    let (relay, hand) = (scene.relay(), IpAddr::from(HAND));
    teller.line(&format!(
        "    swaks --server {relay} --local-interface {hand} --from you@contoso.test --to {KLARA}"
    ))?;
    let program = program(scene);
    for command in ["trace", "status", "queue list"] {
        teller.line(&format!("    {program} {command}"))?;
    }
    teller.line("")
}

/// A line of standard input is a press of Enter; none come once it is at its end. Reading it cannot
/// be given up, so a thread does it that ends with the program.
fn presses() -> io::Result<mpsc::Receiver<()>> {
    let (pressed, presses) = mpsc::channel(PRESSES_MAX);
    thread::Builder::new()
        .name("enter".to_owned())
        .spawn(move || {
            for line in io::stdin().lines() {
                if line.is_err() || pressed.blocking_send(()).is_err() {
                    return;
                }
            }
        })?;
    Ok(presses)
}

/// The new printer scans; what comes of it is told like everything that happens.
async fn press(scene: &Scene, teller: Teller) -> Result<(), Failure> {
    let scan = letters::scan("scan@contoso.test", KLARA);
    let reply = match printer(scene, (NEW_PRINTER, "printer-3"), &scan).await {
        Ok(reply) => reply,
        Err(error) => error.to_string(),
    };
    let words = teller.language.pick(
        "The new printer was told:",
        "Réponse à la nouvelle imprimante\u{202f}:",
    );
    teller.line(&format!("  {words} {reply}"))
}
