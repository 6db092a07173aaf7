//! Mints that are asked for at about the same time, in one request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::Credentials;
use crate::client::Inner;
use crate::error::Error;
use crate::request::{Minted, Request};

/// The mints that wait for others, by whose key they carry.
#[derive(Debug)]
pub(crate) struct Batches {
    within: Duration,
    most: usize,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    lots: HashMap<Credentials, Lot>,
    begun: u64,
}

#[derive(Debug)]
struct Lot {
    number: u64,
    places: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    request: Request,
    answer: oneshot::Sender<Result<Minted, Error>>,
}

impl Batches {
    pub(crate) fn new(within: Duration, most: usize) -> Self {
        Self { within, most, waiting: Mutex::default() }
    }

    /// Mints with whoever else asks in time.
    ///
    /// Requests are sent by a task, so that a caller who goes away takes nobody along; it ends with
    /// the answer.
    pub(crate) async fn mint(
        &self,
        inner: &Arc<Inner>,
        request: Request,
        credentials: Credentials,
    ) -> Result<Minted, Error> {
        let (answer, answered) = oneshot::channel();
        let (number, full) = self.join(Place { request, answer }, &credentials);
        if let Some(lot) = full {
            tokio::spawn(send(inner.clone(), lot, credentials));
        } else if let Some(number) = number {
            let (inner, within) = (inner.clone(), self.within);
            tokio::spawn(async move {
                tokio::time::sleep(within).await;
                let lot = inner.batches().and_then(|batches| batches.take(&credentials, number));
                if let Some(lot) = lot {
                    send(inner, lot, credentials).await;
                }
            });
        }
        let gone = Error::Unsendable { what: "the runtime stops".into() };
        answered.await.unwrap_or(Err(gone))
    }

    /// Takes a place. Answers the number of a lot that begins with it, and the lot that it fills.
    fn join(&self, place: Place, credentials: &Credentials) -> (Option<u64>, Option<Lot>) {
        let mut waiting = self.waiting();
        if let Some(lot) = waiting.lots.get_mut(credentials) {
            lot.places.push(place);
            if lot.places.len() < self.most {
                return (None, None);
            }
            return (None, waiting.lots.remove(credentials));
        }
        waiting.begun += 1;
        let number = waiting.begun;
        let lot = Lot { number, places: vec![place] };
        if self.most == 1 {
            return (None, Some(lot));
        }
        waiting.lots.insert(credentials.clone(), lot);
        (Some(number), None)
    }

    /// The lot of that number, if it was not full before its time.
    fn take(&self, credentials: &Credentials, number: u64) -> Option<Lot> {
        let mut waiting = self.waiting();
        let is_there = waiting.lots.get(credentials).is_some_and(|lot| lot.number == number);
        if is_there { waiting.lots.remove(credentials) } else { None }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Mints for a lot. One request that the service refuses must not cost the others their ids: then
/// each goes alone.
async fn send(inner: Arc<Inner>, lot: Lot, credentials: Credentials) {
    // Those who have gone away need no id.
    let places = lot.places.into_iter().filter(|place| !place.answer.is_closed());
    let (requests, answers): (Vec<_>, Vec<_>) =
        places.map(|place| (place.request, place.answer)).unzip();
    let minted = if requests.len() > 1 {
        inner.mint_batch(&requests, &credentials).await
    } else {
        Ok(Vec::new())
    };
    match minted {
        Ok(minted) if minted.len() == requests.len() => {
            for (answer, minted) in answers.into_iter().zip(minted) {
                // Who has gone away hears nothing.
                drop(answer.send(Ok(minted)));
            }
        }
        Ok(_) | Err(Error::Refused(_)) => {
            for (request, answer) in requests.iter().zip(answers) {
                drop(answer.send(inner.mint(request, &credentials).await));
            }
        }
        Err(error) => {
            for answer in answers {
                drop(answer.send(Err(error.clone())));
            }
        }
    }
}
