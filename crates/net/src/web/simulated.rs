//! Simulated web servers: what they answer, and what was posted to them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::WebError;

/// What a simulated web knows. Cheap to clone; clones share it.
#[derive(Clone, Default)]
pub struct SimulatedWeb(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    pages: BTreeMap<String, Result<Vec<u8>, WebError>>,
    asked: Vec<String>,
    posted: Vec<(String, Vec<u8>)>,
}

impl SimulatedWeb {
    /// What an address answers from now on, to GET and, as far as it fails, to POST. Others cannot
    /// be reached.
    pub fn set(&self, address: &str, page: Result<Vec<u8>, WebError>) {
        self.lock().pages.insert(address.to_owned(), page);
    }

    /// The addresses that were asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        self.lock().asked.clone()
    }

    /// What was posted, in order.
    pub fn posted(&self) -> Vec<(String, Vec<u8>)> {
        self.lock().posted.clone()
    }

    pub(crate) fn get(&self, address: &str) -> Result<Vec<u8>, WebError> {
        let mut state = self.lock();
        state.asked.push(address.to_owned());
        let page = state.pages.get(address).cloned();
        page.unwrap_or(Err(WebError::NoConnection))
    }

    pub(crate) fn post(&self, address: &str, octets: Vec<u8>) -> Result<(), WebError> {
        self.get(address)?;
        self.lock().posted.push((address.to_owned(), octets));
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
