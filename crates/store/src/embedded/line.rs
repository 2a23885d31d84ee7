//! The way to the writer: a line with a bounded number of places. Callers wait for a place without
//! blocking; the writer waits for work on a thread of its own.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::StoreError;

/// Operations that may wait for the writer; more wait at the door.
const PLACES: usize = 1_024;
/// Patient operations alone wait this long for one that is not.
const COMPANY_DELAY: Duration = Duration::from_millis(1);
/// So many patient ones are company enough for each other.
const COMPANY: usize = 16;

/// The callers' end. Clones share the line.
pub(super) struct Door<T> {
    sender: Sender<T>,
    places: Arc<Semaphore>,
}

/// A place in the line, to be taken.
pub(super) struct Place<'a, T> {
    door: &'a Door<T>,
    permit: SemaphorePermit<'a>,
}

/// The writer's end.
pub(super) struct Line<T> {
    receiver: Receiver<T>,
    places: Arc<Semaphore>,
}

/// Makes both ends.
pub(super) fn line<T>() -> (Door<T>, Line<T>) {
    let (sender, receiver) = channel();
    let places = Arc::new(Semaphore::new(PLACES));
    (
        Door {
            sender,
            places: places.clone(),
        },
        Line { receiver, places },
    )
}

impl<T> Clone for Door<T> {
    fn clone(&self) -> Self {
        Self {
            sender: self.sender.clone(),
            places: self.places.clone(),
        }
    }
}

impl<T> Door<T> {
    /// Waits for a place.
    pub(super) async fn place(&self) -> Result<Place<'_, T>, StoreError> {
        let permit = self
            .places
            .acquire()
            .await
            .map_err(|_| StoreError::Closed)?;
        Ok(Place { door: self, permit })
    }

    /// Waits for a place and takes it.
    pub(super) async fn send(&self, op: T) -> Result<(), StoreError> {
        self.place().await?.take(op)
    }

    /// From a thread of our own, for the few operations that such threads have: no place is asked
    /// for.
    pub(super) fn send_beside(&self, op: T) -> Result<(), StoreError> {
        self.sender.send(op).map_err(|_| StoreError::Closed)
    }
}

impl<T> Place<'_, T> {
    /// Takes the place: does not wait.
    pub(super) fn take(self, op: T) -> Result<(), StoreError> {
        // The writer frees the place when it takes the operation.
        self.permit.forget();
        self.door.send_beside(op)
    }
}

impl<T> Line<T> {
    /// Everything that waits; waits itself if nothing does. While all that waits is patient, and
    /// not much, a moment more. False: nobody can ask any more.
    pub(super) fn take(&self, waiting: &mut Vec<T>, is_patient: impl Fn(&T) -> bool) -> bool {
        let Ok(first) = self.receiver.recv() else {
            return false;
        };
        waiting.push(first);
        loop {
            let room = PLACES.saturating_sub(waiting.len());
            waiting.extend(self.receiver.try_iter().take(room));
            if waiting.len() >= COMPANY || !waiting.iter().all(&is_patient) {
                break;
            }
            match self.receiver.recv_timeout(COMPANY_DELAY) {
                Ok(op) => waiting.push(op),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        // Those that came beside the line took no place.
        let taken = PLACES.saturating_sub(self.places.available_permits());
        self.places.add_permits(taken.min(waiting.len()));
        true
    }
}

impl<T> Drop for Line<T> {
    fn drop(&mut self) {
        self.places.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_line_makes_callers_wait_and_a_closed_one_tells_them() {
        let (door, line) = line();
        for number in 0..PLACES {
            door.send(number).await.unwrap();
        }
        let mut more = std::pin::pin!(door.send(PLACES));
        let waits = std::future::poll_fn(|context| {
            std::task::Poll::Ready(more.as_mut().poll(context).is_pending())
        });
        assert!(waits.await);
        let mut taken = Vec::new();
        assert!(line.take(&mut taken, |_| false));
        assert_eq!(taken.len(), PLACES);
        more.await.unwrap();
        drop(line);
        assert_eq!(door.send(0).await, Err(StoreError::Closed));
    }

    #[tokio::test]
    async fn a_place_that_is_not_taken_is_free_again() {
        let (door, line) = line::<usize>();
        for _ in 0..PLACES + 1 {
            drop(door.place().await.unwrap());
        }
        door.send(1).await.unwrap();
        let mut taken = Vec::new();
        // Patient and alone: taken after a moment all the same.
        assert!(line.take(&mut taken, |_| true));
        assert_eq!(taken, [1]);
        drop(door);
        assert!(!line.take(&mut taken, |_| true));
    }
}
