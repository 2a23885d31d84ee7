//! What commands share: flags, configuration, the way to the server.

use std::path::PathBuf;

use crate::certificates::of_next_hops;
use crate::client::{self, Api};
use crate::config::{Config, Surroundings};
use crate::failure::Failure;
use crate::flags::Global;
use crate::output::Output;
use crate::remote::Remote;
use crate::wiring;

/// One run of the program.
pub(crate) struct Session {
    global: Global,
    /// Where answers go.
    pub(super) output: Output,
}

impl Session {
    pub(crate) fn new(global: Global) -> Self {
        let output = Output::new(global.json);
        Self { global, output }
    }

    /// The bootstrap file, or its defaults.
    pub(super) fn config(&self) -> Result<Config, Failure> {
        let surroundings = Surroundings::of_this_process();
        let (file, data_dir) = (
            self.global.config.as_deref(),
            self.global.data_dir.as_deref(),
        );
        Ok(Config::load(file, data_dir, &surroundings)?)
    }

    /// The running server, for changes.
    pub(super) async fn api(&self) -> Result<Api, Failure> {
        if let Some(remote) = self.remote()? {
            return Ok(Api::Remote(remote));
        }
        let (socket, _) = self.socket()?;
        if client::answers(&socket).await? {
            return Ok(Api::Socket(socket));
        }
        Err(Failure::NotRunning { socket })
    }

    /// The running server, or the data folder it left, for questions.
    pub(super) async fn api_for_reading(&self) -> Result<Api, Failure> {
        if let Some(remote) = self.remote()? {
            return Ok(Api::Remote(remote));
        }
        let (socket, config) = self.socket()?;
        if client::answers(&socket).await? {
            return Ok(Api::Socket(socket));
        }
        if !wiring::absolute(&config.data_dir).exists() {
            return Err(Failure::NotRunning { socket });
        }
        let api = wiring::open_for_reading(&config).await;
        api.map(Api::Local)
            .map_err(|error| Failure::Failed(error.to_string()))
    }

    /// The server that `--server` names.
    fn remote(&self) -> Result<Option<Remote>, Failure> {
        let Some(url) = &self.global.server else {
            return Ok(None);
        };
        let tls = || {
            let believed = self.config()?.deliver.extra_ca;
            of_next_hops(&believed).map_err(Failure::Failed)
        };
        Remote::new(url, tls).map(Some)
    }

    fn socket(&self) -> Result<(PathBuf, Config), Failure> {
        let config = self.config()?;
        Ok((
            wiring::control_socket(&wiring::absolute(&config.data_dir)),
            config,
        ))
    }
}
