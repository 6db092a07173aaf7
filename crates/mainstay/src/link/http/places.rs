//! Where the service of an HTTP link is: one place or several.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay_core::config::{ConfigError, in_range};
use mainstay_core::link::{ENDPOINTS_MAX, EndpointView, Endpoints, Probed};
use mainstay_core::policy::outcome::Outcome;
use mainstay_core::time::Instant;
use reqwest::Url;
use tokio::sync::Notify;
use tokio::time::timeout_at;

use super::super::transport::DialError;
use super::HttpConfig;
use crate::clock;

#[derive(Debug)]
pub(super) struct Places {
    all: Box<[Place]>,
    book: Mutex<Book>,
    /// Something was recorded: who waits for a question may have to wait for another.
    recorded: Notify,
}

#[derive(Debug)]
struct Place {
    base: Url,
    health: Url,
}

#[derive(Debug)]
struct Book {
    endpoints: Endpoints,
    /// One bit for each place that last said no for good.
    refused: u64,
    /// The longest that the link waits for a dial or a probe.
    patience: Duration,
}

impl Places {
    pub(super) fn new(config: &HttpConfig) -> Result<Self, ConfigError> {
        let more = &config.more_urls;
        in_range("more_urls", more.len(), 0, ENDPOINTS_MAX - 1)?;
        let mut all = vec![Place::new("url", &config.url, &config.health_path)?];
        for url in more {
            let place = Place::new("more_urls", url, &config.health_path)?;
            if all.iter().any(|other| other.base == place.base) {
                let base = place.base.as_str();
                return Err(ConfigError::new("more_urls", base, "each address once"));
            }
            all.push(place);
        }
        let endpoints = Endpoints::new(all.len(), &config.endpoints, clock::draw())
            .map_err(|error| error.within("endpoints"))?;
        let book = Book { endpoints, refused: 0, patience: config.connect_timeout };
        Ok(Self { all: all.into(), book: Mutex::new(book), recorded: Notify::new() })
    }

    /// The place in use.
    pub(super) fn current(&self) -> usize {
        self.book().endpoints.current()
    }

    pub(super) fn base(&self, index: usize) -> &Url {
        &self.all[index].base
    }

    pub(super) fn health(&self, index: usize) -> &Url {
        &self.all[index].health
    }

    /// Another path of the place at `index`.
    pub(super) fn at(&self, index: usize, path: &str) -> Url {
        self.all[index].at(path)
    }

    pub(super) fn views(&self, now: Instant) -> Vec<(Url, EndpointView)> {
        let book = self.book();
        let view = |(index, place): (usize, &Place)| {
            book.endpoints.view(now, index).map(|view| (place.base.clone(), view))
        };
        self.all.iter().enumerate().filter_map(view).collect()
    }

    /// Notes how long the link waits at most.
    pub(super) fn wait_until(&self, now: Instant, deadline: Instant) {
        self.book().patience = deadline.since(now);
    }

    pub(super) fn patience(&self) -> Duration {
        self.book().patience
    }

    /// Records what came of a dial or a probe of the place at `index` since `begun`. A refusal is
    /// for good only when every place says so: until then, another may take us.
    pub(super) fn record(
        &self,
        index: usize,
        begun: Instant,
        result: Result<(), DialError>,
    ) -> Result<(), DialError> {
        let now = clock::now();
        let mut book = self.book();
        let before = book.endpoints.current();
        let result = match result {
            Ok(()) => {
                book.refused &= !(1 << index);
                book.endpoints.succeeded(index, Some(now.since(begun)));
                Ok(())
            }
            Err(mut error) => {
                book.note(index, &error);
                let everybody = book.refused.count_ones() as usize == self.all.len();
                if is_final(error.outcome) && !everybody {
                    error.outcome = Outcome::TRANSIENT;
                }
                book.endpoints.failed(now, index, clock::draw());
                Err(error)
            }
        };
        let after = book.endpoints.current();
        drop(book);
        self.moved(before, after);
        self.recorded.notify_one();
        result
    }

    /// Waits until a place that is not in use is to be asked for its health, and says which.
    pub(super) async fn question(&self) -> usize {
        loop {
            let recorded = self.recorded.notified();
            let (due, at) = {
                let endpoints = &self.book().endpoints;
                (endpoints.probe_due(clock::now()), endpoints.deadline())
            };
            if let Some(index) = due {
                return index;
            }
            // Either may be the reason to look again.
            drop(timeout_at(clock::to_tokio(at.unwrap_or(Instant::MAX)), recorded).await);
        }
    }

    /// Records the answer to a question that was asked of the place at `index` at `begun`.
    pub(super) fn answered(&self, index: usize, begun: Instant, result: &Result<(), DialError>) {
        let now = clock::now();
        let mut book = self.book();
        let good = match result {
            Ok(()) => {
                book.refused &= !(1 << index);
                Some(now.since(begun))
            }
            Err(error) => {
                book.note(index, error);
                None
            }
        };
        let probed = book.endpoints.probed(now, index, good, clock::draw());
        drop(book);
        match probed {
            Probed::Stay => {}
            Probed::Migrate { from, to } => self.moved(from, to),
        }
    }

    /// Says so in the log. The lock is not held: who writes logs may do anything.
    fn moved(&self, from: usize, to: usize) {
        if from != to {
            let (from, to) = (self.base(from).as_str(), self.base(to).as_str());
            tracing::info!(from, to, "another endpoint is used");
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn note(&mut self, index: usize, error: &DialError) {
        let bit = 1 << index;
        if is_final(error.outcome) {
            self.refused |= bit;
        } else {
            self.refused &= !bit;
        }
    }
}

impl Place {
    fn new(field: &str, base: &str, health_path: &str) -> Result<Self, ConfigError> {
        let allowed = "an absolute http or https address without credentials";
        // The address is not shown: somebody may have put a secret into it.
        let bad = || ConfigError::new(field, "what was given", allowed);
        let base = match base.strip_prefix("grpc") {
            Some(rest) => Url::parse(&format!("http{rest}")),
            None => Url::parse(base),
        };
        let base = base.map_err(|_| bad())?;
        let plain = base.username().is_empty() && base.password().is_none();
        if !matches!(base.scheme(), "http" | "https") || !plain {
            return Err(bad());
        }
        let mut place = Self { health: base.clone(), base };
        place.health = place.at(health_path);
        Ok(place)
    }

    fn at(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path, None),
        };
        url.set_path(path);
        url.set_query(query);
        url.set_fragment(None);
        url
    }
}

/// Whether time does not mend it.
const fn is_final(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Refused | Outcome::Permanent | Outcome::Mistake => true,
        Outcome::Success
        | Outcome::Transient { .. }
        | Outcome::Throttled { .. }
        | Outcome::Elsewhere
        | Outcome::Rejected { .. }
        | Outcome::Abandoned => false,
    }
}
