use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use mainstay::gate::Gate;
use mainstay::link::websocket::{Offer, Provider, SocketStats, WebSocket};
use mainstay::link::{
    Bearer, DnsTransport, DnsView, EndpointView, HttpConfig, HttpTransport, Link, LinkManager,
    LinkOverrides, ManageError, PoolStats, TcpProbe, TcpTransport, TlsTransport,
};

use super::ApplyError;
use crate::config::{LinkSpec, Probe, Secret, Target, safe_url};

/// What belongs to a link beside its handle.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) spec: LinkSpec,
    http: Option<HttpTransport>,
    socket: Option<WebSocket>,
    dns: Option<DnsTransport>,
    tls: Option<TlsTransport>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    last_error: Mutex<Option<LastError>>,
    gate: Mutex<Option<Gate>>,
    /// Good and bad health checks that were told to the gate.
    told: Mutex<(u64, u64)>,
    /// Changes of a name's answer that were told.
    changes: AtomicU64,
}

/// The last thing that went wrong on a link.
#[derive(Clone, Debug)]
pub(crate) struct LastError {
    pub(crate) at: SystemTime,
    pub(crate) text: Arc<str>,
}

impl Held {
    /// What is known of its pool, when it is an HTTP link.
    pub(crate) fn pool(&self) -> Option<PoolStats> {
        self.http.as_ref().map(HttpTransport::pool)
    }

    /// Where it can be reached and what is known of each place, when there are several.
    pub(crate) fn endpoints(&self) -> Vec<(String, EndpointView)> {
        let http = self.http.iter().flat_map(HttpTransport::endpoints);
        let http = http.map(|(url, view)| (safe_url(url.as_str()), view));
        let places: Vec<_> =
            http.chain(self.socket.iter().flat_map(WebSocket::endpoints)).collect();
        if places.len() < 2 { Vec::new() } else { places }
    }

    /// What it has carried, when it is a WebSocket.
    pub(crate) fn socket(&self) -> Option<SocketStats> {
        self.socket.as_ref().map(WebSocket::stats)
    }

    /// When the certificate that its peer showed last ends to be valid, where TLS is spoken.
    pub(crate) fn certificate_expiry(&self) -> Option<SystemTime> {
        let http = self.http.as_ref().and_then(HttpTransport::certificate_expiry);
        let socket = || self.socket.as_ref().and_then(WebSocket::certificate_expiry);
        http.or_else(socket)
            .or_else(|| self.tls.as_ref().and_then(TlsTransport::certificate_expiry))
    }

    /// What is known of a name, when it leads to one.
    pub(crate) fn dns(&self) -> Option<DnsView> {
        self.dns.as_ref().map(DnsTransport::view)
    }

    /// The records of a name whose answer has changed since this was last asked.
    pub(crate) fn new_answer(&self) -> Option<Arc<[String]>> {
        let view = self.dns()?;
        let before = self.shared.changes.swap(view.changes, Ordering::Relaxed);
        (before != view.changes).then_some(view.records)
    }

    pub(crate) fn last_error(&self) -> Option<LastError> {
        lock(&self.shared.last_error).clone()
    }

    pub(super) fn failed(&self, error: LastError) {
        *lock(&self.shared.last_error) = Some(error);
    }

    /// How many good and bad health checks are new, of that many in all.
    pub(super) fn new_checks(&self, good: u64, bad: u64) -> (u64, u64) {
        let before = std::mem::replace(&mut *lock(&self.shared.told), (good, bad));
        // Counters that were reset begin from zero.
        let new = |now: u64, before: u64| now.checked_sub(before).unwrap_or(now);
        (new(good, before.0), new(bad, before.1))
    }

    pub(crate) fn gate(&self) -> Option<Gate> {
        lock(&self.shared.gate).clone()
    }

    /// Puts the link under another gate, or under none.
    pub(super) fn guard(&self, gate: Option<Gate>) {
        *lock(&self.shared.gate) = gate;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens the link, disconnected.
pub(super) fn open(manager: &LinkManager, spec: &LinkSpec) -> Result<(Link, Held), ApplyError> {
    let (mut http, mut socket, mut dns, mut tls) = (None, None, None, None);
    let link = match &spec.target {
        Target::Http { url, more_urls, strategy, health_path, probe, roots } => {
            let mut config = HttpConfig::new(url);
            config.more_urls.clone_from(more_urls);
            config.endpoints.strategy = *strategy;
            config.health_path.clone_from(health_path);
            config.probe.clone_from(probe);
            config.roots.clone_from(roots);
            config.bearer = spec.bearer.as_ref().map(|secret| Bearer::fixed(secret.expose()));
            let transport = HttpTransport::new(config).map_err(ApplyError::Config)?;
            http = Some(transport.clone());
            add(manager, spec, transport)?
        }
        Target::Dns(config) => {
            let transport = DnsTransport::new(config.clone()).map_err(ApplyError::Config)?;
            add(manager, spec, dns.insert(transport).clone())?
        }
        Target::Tls(target) => {
            let transport = TlsTransport::new(target.config()).map_err(ApplyError::Config)?;
            add(manager, spec, tls.insert(transport).clone())?
        }
        Target::WebSocket(target) => {
            let mut config = target.config().map_err(ApplyError::Config)?;
            config.provider = spec.bearer.clone().map(provider);
            let opened = manager.add_websocket(&spec.name, LinkOverrides::default(), config);
            // What comes is counted; nobody reads it.
            let (opened, _) = opened.map_err(ApplyError::Manage)?;
            socket.insert(opened).link().clone()
        }
        Target::Tcp { address, probe } => {
            let probe = match probe {
                Probe::Connect => TcpProbe::Connect,
                Probe::Held => TcpProbe::Held,
            };
            add(manager, spec, TcpTransport::new(address.as_str()).probed_by(probe))?
        }
    };
    link.reconfigure(&spec.config).map_err(ApplyError::Config)?;
    Ok((link, Held { spec: spec.clone(), http, socket, dns, tls, shared: Arc::default() }))
}

/// Offers the same token every time.
fn provider(token: Secret) -> Provider {
    Provider::new(move |_| {
        let token = Some(token.expose().to_owned());
        std::future::ready(Ok(Offer { token, ..Offer::default() }))
    })
}

fn add<T: mainstay::link::Transport>(
    manager: &LinkManager,
    spec: &LinkSpec,
    transport: T,
) -> Result<Link, ApplyError> {
    let added: Result<Link, ManageError> =
        manager.add(&spec.name, LinkOverrides::default(), transport);
    added.map_err(ApplyError::Manage)
}

/// Whether both lead to the same peer in the same way, so that a connection can be kept.
pub(super) fn is_same_peer(one: &LinkSpec, other: &LinkSpec) -> bool {
    one.target == other.target && one.bearer == other.bearer
}
