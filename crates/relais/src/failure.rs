//! Why a command failed, in one sentence with a fix, and the exit code that scripts rely on.

use std::path::PathBuf;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// 1.
    #[error("{0}")]
    Failed(String),
    /// 1: somebody else changed the settings in between; worth a second try by the program.
    #[error("{0}")]
    Conflict(String),
    /// 2.
    #[error("{0}")]
    Usage(String),
    /// 3.
    #[error("{0}")]
    NotFound(String),
    /// 4; empty: all was said already.
    #[error("{0}")]
    CheckFailed(String),
    /// 75.
    #[error(
        "Relais is not running here: no socket at {}; start it with `relais serve`",
        .socket.display()
    )]
    NotRunning {
        /// Where it should be.
        socket: PathBuf,
    },
    /// 75.
    #[error("{0}")]
    TryLater(String),
    /// 0: the reader of our output went away (`relais trace | head`).
    #[error("")]
    ReaderGone,
}

impl Failure {
    /// For scripts.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::ReaderGone => 0,
            Self::Failed(_) | Self::Conflict(_) => 1,
            Self::Usage(_) => 2,
            Self::NotFound(_) => 3,
            Self::CheckFailed(_) => 4,
            Self::NotRunning { .. } | Self::TryLater(_) => 75,
        }
    }
}

impl From<crate::config::ConfigError> for Failure {
    fn from(error: crate::config::ConfigError) -> Self {
        Self::Failed(error.to_string())
    }
}
