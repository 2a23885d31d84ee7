//! `relais backup`: a copy of everything while mail goes on, its check, and the way back.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use relais_net::clock::Clock;
use relais_store::backup::{self, BackupError, RestoredQueue};

use super::session::Session;
use crate::client::Api;
use crate::failure::Failure;
use crate::output::size;
use crate::wiring;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Copy everything into a new folder, while mail goes on
    Create {
        /// A folder that does not exist yet
        target: PathBuf,
    },
    /// Put a backup into an empty data folder; the queue is held, so that nothing is sent twice
    Restore {
        /// A backup
        folder: PathBuf,
        /// Try the queue again at once; what was delivered after the backup is sent twice
        #[arg(long)]
        release_queue: bool,
    },
    /// Read all of a backup, and check it; exit code 4 if it is damaged
    Verify {
        /// A backup
        folder: PathBuf,
    },
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    match arguments.verb {
        Verb::Create { target } => create(session, &wiring::absolute(&target)).await,
        Verb::Restore {
            folder,
            release_queue,
        } => {
            let queue = if release_queue {
                RestoredQueue::Released
            } else {
                RestoredQueue::Held
            };
            restore(session, &folder, queue).await
        }
        Verb::Verify { folder } => verify(session, &folder),
    }
}

/// By the running server, or from the data folder it left.
async fn create(session: &Session, target: &Path) -> Result<(), Failure> {
    match session.api_for_reading().await? {
        // That of a server elsewhere offers no backup, and says so.
        api @ (Api::Socket(_) | Api::Remote(_)) => {
            api.post("/backup", &json!({ "target": target })).await?;
        }
        Api::Local(_) => {
            let data_dir = wiring::absolute(&session.config()?.data_dir);
            backup::create(&data_dir, target, Clock::system().now()).map_err(failure)?;
        }
    }
    // What was written is what counts: it is read again, all of it.
    verify(session, target)
}

async fn restore(session: &Session, folder: &Path, queue: RestoredQueue) -> Result<(), Failure> {
    match session.api().await {
        Err(Failure::NotRunning { .. }) => {}
        Ok(_) => {
            return Err(Failure::Failed(
                "Relais is running: stop it before a restore".to_owned(),
            ));
        }
        Err(failure) => return Err(failure),
    }
    let data_dir = wiring::absolute(&session.config()?.data_dir);
    let actor = format!("uid {}", rustix::process::getuid().as_raw());
    let now = Clock::system().now();
    let restored = backup::restore(folder, &data_dir, queue, &actor, now).map_err(failure)?;
    if session.output.json {
        return session.output.value(&json!({
            "data_dir": data_dir,
            "created_at": restored.created_at,
            "messages": restored.messages,
            "recipients": restored.recipients,
            "held": restored.held,
            "settings_version": restored.settings_version,
            "trace_days": restored.trace_days,
            "secrets": restored.secrets,
        }));
    }
    restored
        .lines()
        .iter()
        .try_for_each(|line| session.output.line(line))
}

fn verify(session: &Session, folder: &Path) -> Result<(), Failure> {
    let verified = backup::verify(folder).map_err(failure)?;
    if session.output.json {
        return session.output.value(&json!({
            "folder": folder,
            "created_at": verified.created_at,
            "version": verified.version,
            "messages": verified.messages,
            "recipients": verified.recipients,
            "without_content": verified.without_content,
            "settings_version": verified.settings_version,
            "trace_days": verified.trace_days,
            "secrets": verified.secrets,
            "files": verified.files,
            "octets": verified.octets,
        }));
    }
    session.output.line(&format!(
        "{} is whole: of {}, settings version {}, {} messages with {} recipients, {} days of \
         trace, {} in {} files.",
        folder.display(),
        verified.created_at,
        verified.settings_version,
        verified.messages,
        verified.recipients,
        verified.trace_days,
        size(verified.octets),
        verified.files
    ))?;
    for (key, count) in &verified.secrets {
        session.output.line(&backup::secrets_line(key, *count))?;
    }
    for id in &verified.without_content {
        session.output.line(&format!(
            "{id}: its content was missing in the store already"
        ))?;
    }
    Ok(())
}

fn failure(error: BackupError) -> Failure {
    match error {
        BackupError::Damaged(_) => Failure::CheckFailed(error.to_string()),
        BackupError::TargetExists(_)
        | BackupError::DataFolderNotEmpty(_)
        | BackupError::NotABackup { .. }
        | BackupError::File(_)
        | BackupError::Store(_)
        | BackupError::Database { .. } => Failure::Failed(error.to_string()),
    }
}
