//! Flags that every command knows.

use std::path::PathBuf;

use clap::Args;

/// Heading of flags that every command knows.
const EVERYWHERE: &str = "Everywhere";

/// Flags of every command.
#[derive(Args, Clone, Debug)]
pub(crate) struct Global {
    /// Bootstrap file; else $RELAIS_CONFIG, else /etc/relais/relais.toml
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Data folder, with the control socket of the running server
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// JSON for scripts
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub(crate) json: bool,
    /// A server elsewhere, with a key in $RELAIS_API_KEY or the file $RELAIS_API_KEY_FILE
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "URL")]
    pub(crate) server: Option<String>,
}
