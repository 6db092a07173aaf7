//! Which of a peer's endpoints is dialled, and what is known of them.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use mainstay_core::config::ConfigError;
use mainstay_core::link::{EndpointView, Endpoints, Probed};
use mainstay_core::policy::outcome::Outcome;
use mainstay_core::time::Instant;

use super::address::Address;
use super::config::{Rules, WebSocketConfig};
use crate::clock;
use crate::gate::{Gate, Permit};
use crate::link::certificate::Expiry;
use crate::link::stream::Tls;
use crate::link::transport::DialError;

/// Where the connections of one link may lead.
pub(super) struct Targets {
    all: Box<[Address]>,
    /// None when there is only one.
    endpoints: Option<Box<Mutex<Endpoints>>>,
    tls: OnceLock<Box<Tls>>,
    /// Until when the certificate of the last handshake is valid.
    pub(super) expiry: Expiry,
}

/// An endpoint that is being dialled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    pub(super) index: usize,
    begun: Instant,
    /// Whether the link uses another one, and asks whether this one is well again.
    returns: bool,
}

impl Targets {
    pub(super) fn new(config: &WebSocketConfig) -> Result<Self, ConfigError> {
        let parse = |(field, url): (&'static str, &String)| {
            let address = Address::parse(url).and_then(|address| {
                address.permit(config.allow_plain)?;
                Ok(address)
            });
            address.map_err(|mut error| {
                error.field = field.into();
                error
            })
        };
        let more = config.more_urls.iter().map(|url| ("more_urls", url));
        let all: Box<[Address]> = std::iter::once(("url", &config.url))
            .chain(more)
            .map(parse)
            .collect::<Result<_, _>>()?;
        for (index, address) in all.iter().enumerate() {
            if all[..index].contains(address) {
                return Err(ConfigError::new("more_urls", address.shown(), "each address once"));
            }
        }
        let several = Endpoints::new(all.len(), &config.endpoints, clock::draw())
            .map_err(|error| error.within("endpoints"))?;
        let endpoints = (all.len() > 1).then(|| Box::new(Mutex::new(several)));
        Ok(Self { all, endpoints, tls: OnceLock::new(), expiry: Expiry::default() })
    }

    /// Whether any of them speaks TLS.
    pub(super) fn any_tls(&self) -> bool {
        self.all.iter().any(|address| address.tls)
    }

    /// What TLS is spoken with; made when it is first needed.
    pub(super) fn tls(&self, rules: &Rules) -> Result<&Tls, ConfigError> {
        if let Some(tls) = self.tls.get() {
            return Ok(tls);
        }
        let tls = Box::new(rules.tls()?);
        Ok(self.tls.get_or_init(|| tls))
    }

    pub(super) fn first(&self) -> &Address {
        &self.all[0]
    }

    pub(super) fn address(&self, choice: Choice) -> &Address {
        &self.all[choice.index]
    }

    /// All of them, for people, and what is known of each.
    pub(super) fn views(&self) -> Vec<(String, EndpointView)> {
        let alone = EndpointView { current: true, failures: 0, ejected_until: None, rtt: None };
        let (now, endpoints) = (clock::now(), self.endpoints.as_deref().map(lock));
        let view = |index| match &endpoints {
            None => alone,
            Some(endpoints) => endpoints.view(now, index).unwrap_or(alone),
        };
        let all = self.all.iter().enumerate();
        all.map(|(index, address)| (address.shown(), view(index))).collect()
    }

    /// The endpoint to dial: the one in use.
    pub(super) fn choose(&self) -> Choice {
        let index = self.endpoints.as_deref().map_or(0, |endpoints| lock(endpoints).current());
        Choice { index, begun: clock::now(), returns: false }
    }

    /// The endpoint to move to: one that is preferred and may be well again, otherwise the one in
    /// use.
    pub(super) fn choose_another(&self) -> Choice {
        let now = clock::now();
        let due = self.endpoints.as_deref().and_then(|endpoints| lock(endpoints).probe_due(now));
        match due {
            Some(index) => Choice { index, begun: now, returns: true },
            None => self.choose(),
        }
    }

    /// Takes into account how a dial ended; says whether its connection is wanted.
    pub(super) fn dialled(&self, choice: Choice, result: Result<(), &DialError>) -> bool {
        let Some(endpoints) = &self.endpoints else { return true };
        let now = clock::now();
        let mut endpoints = lock(endpoints);
        let took = now.since(choice.begun);
        if choice.returns {
            let rtt = result.is_ok().then_some(took);
            let probed = endpoints.probed(now, choice.index, rtt, clock::draw());
            return matches!(probed, Probed::Migrate { .. });
        }
        match result {
            Ok(()) => endpoints.succeeded(choice.index, Some(took)),
            // Our own policies said no: that is nobody's failure.
            Err(DialError { outcome: Outcome::Rejected { .. } | Outcome::Abandoned, .. }) => {}
            Err(_) => {
                let next = endpoints.failed(now, choice.index, clock::draw());
                self.moved(choice.index, next);
            }
        }
        true
    }

    /// The connection that was held is lost.
    pub(super) fn lost(&self) {
        let Some(endpoints) = &self.endpoints else { return };
        let mut endpoints = lock(endpoints);
        let from = endpoints.current();
        let next = endpoints.failed(clock::now(), from, clock::draw());
        self.moved(from, next);
    }

    /// When a preferred endpoint is to be tried again.
    pub(super) fn return_at(&self) -> Option<Instant> {
        lock(self.endpoints.as_deref()?).deadline()
    }

    fn moved(&self, from: usize, to: usize) {
        if from != to {
            let (from, to) = (self.all[from].shown(), self.all[to].shown());
            tracing::info!(%from, %to, "another endpoint is tried");
        }
    }
}

fn lock(endpoints: &Mutex<Endpoints>) -> MutexGuard<'_, Endpoints> {
    endpoints.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A place behind the breaker that guards an endpoint.
pub(super) struct Guarded(Option<Permit>);

impl Guarded {
    /// Asks the breaker of the endpoint at `address`, if there is one.
    pub(super) fn admit(config: &Rules, address: &Address) -> Result<Self, DialError> {
        let Some(guard) = &config.guard else { return Ok(Self(None)) };
        let gate = guard.gate(&address.origin()).map_err(|error| {
            DialError::new(Outcome::TRANSIENT, "no gate for the endpoint").because(error)
        })?;
        match gate.admit() {
            Ok(permit) => Ok(Self(Some(permit))),
            Err(rejection) => {
                let retry_after = rejection.retry_after.or_else(|| open_for(&gate));
                let outcome = Outcome::Rejected { retry_after };
                Err(DialError::new(outcome, "our own policy holds the dial back")
                    .because(rejection))
            }
        }
    }

    /// Tells the breaker how the dial ended.
    pub(super) fn record(self, result: Result<(), &DialError>) {
        if let Some(permit) = self.0 {
            permit.record(result.map_or_else(|error| error.outcome, |()| Outcome::Success));
        }
    }
}

/// A breaker whose probe is under way says nothing about time: a little later then.
fn open_for(gate: &Gate) -> Option<Duration> {
    gate.probe_in(clock::now()).or(Some(Duration::from_millis(500)))
}
