use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use mainstay_core::config::ConfigError;
use mainstay_core::link::{Input, Reaction, StateName};
use mainstay_core::policy::outcome::Outcome;
use mainstay_core::time::Instant;

use super::config::{Rules, WebSocketConfig};
use super::layer::Layer;
use super::limiter::Turn;
use super::line::Line;
use super::pump::{Pump, Said};
use super::targets::{Choice, Targets};
use crate::clock;
use crate::link::desk::Desk;
use crate::link::stream::Dialer;
use crate::link::transport::{DialError, Transport};

/// How long an earlier connection may take to say what it still has to say.
const DRAIN: Duration = Duration::from_secs(2);

/// Makes and holds the connections of one [`super::WebSocket`].
pub(super) struct WebSocketTransport {
    pub(super) config: Arc<Rules>,
    pub(super) line: Arc<Line>,
    pub(super) targets: Arc<Targets>,
    pub(super) dialer: Arc<Dialer>,
    /// What is spoken in place of bare messages.
    pub(super) layer: Option<Arc<dyn Layer>>,
    /// The connection, while nobody serves it.
    idle: Mutex<Option<Box<Pump>>>,
    /// One that is to take over.
    standby: Mutex<Option<Box<Pump>>>,
    turn: Mutex<Option<Turn>>,
    /// Attempts since the last success.
    pub(super) attempts: AtomicU32,
    /// Whether the credentials were refused since they were last asked for.
    pub(super) refresh: AtomicBool,
    /// Whom to tell that the connection should be replaced.
    pub(super) desk: OnceLock<Weak<Desk>>,
}

/// The link is over: nobody may wait any longer.
impl Drop for WebSocketTransport {
    fn drop(&mut self) {
        self.line.stop();
        self.layer.iter().for_each(|layer| layer.stop());
    }
}

impl WebSocketTransport {
    pub(super) fn new(
        config: WebSocketConfig,
        layer: Option<Arc<dyn Layer>>,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        let targets = Targets::new(&config)?;
        let dialer = Dialer::of(&config.stream).map_err(|error| error.within("stream"))?;
        let line = Arc::new(Line::new(&config)?);
        let rules = config.rules();
        if targets.any_tls() {
            targets.tls(&rules)?;
        }
        Ok(Self {
            config: Arc::new(rules),
            line,
            targets: Arc::new(targets),
            dialer,
            layer,
            idle: Mutex::default(),
            standby: Mutex::default(),
            turn: Mutex::default(),
            attempts: AtomicU32::new(0),
            refresh: AtomicBool::new(false),
            desk: OnceLock::new(),
        })
    }

    /// Makes a connection that is ready for messages.
    async fn make(&self, choice: Choice) -> Result<Box<Pump>, DialError> {
        let reached = self.reach(choice).await;
        let wanted = self.targets.dialled(choice, reached.as_ref().map(|_| ()));
        let opening = reached.inspect_err(|error| self.learn(error))?;
        if !wanted {
            return Err(DialError::new(
                Outcome::Abandoned,
                "the endpoint in use is the better one",
            ));
        }
        self.attempts.store(0, Ordering::Relaxed);
        let layer = self.layer.clone();
        Ok(Box::new(Pump::new(self.config.clone(), self.line.clone(), layer, opening)))
    }

    /// Remembers that the peer wants other credentials.
    fn learn(&self, error: &DialError) {
        if error.reaction == Some(Reaction::Refresh) {
            self.refresh.store(true, Ordering::Relaxed);
        }
    }

    fn ask_for_another(&self) {
        if let Some(desk) = self.desk.get().and_then(Weak::upgrade) {
            desk.give(Input::Migrate);
        }
    }

    /// Waits for the answer to a ping over the connection that is held.
    async fn ping(&self) -> Result<(), DialError> {
        if poll_fn(|context| self.line.poll_ping(context)).await {
            Ok(())
        } else {
            Err(DialError::new(Outcome::TRANSIENT, "the connection ended"))
        }
    }
}

/// Serves the connection until it is over. Broken off, it gives the connection back, so that it can be
/// closed in good order.
struct Serve<'a> {
    transport: &'a WebSocketTransport,
    pump: Option<Box<Pump>>,
}

impl<'a> Serve<'a> {
    fn new(transport: &'a WebSocketTransport) -> Self {
        // One that was to take over from a connection that is gone serves in its place.
        let pump = lock(&transport.idle).take().or_else(|| lock(&transport.standby).take());
        if pump.is_some() {
            transport.line.opened(clock::now());
        }
        Self { transport, pump }
    }
}

impl Future for Serve<'_> {
    type Output = DialError;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<DialError> {
        let Self { transport, pump: held } = &mut *self;
        let Some(pump) = held else {
            return Poll::Ready(DialError::new(Outcome::TRANSIENT, "there is no connection"));
        };
        if let Some(new) = lock(&transport.standby).take() {
            pump.replace(*new, clock::now().after(DRAIN));
        }
        pump.return_at(transport.targets.return_at());
        loop {
            match std::task::ready!(pump.poll(context)) {
                Said::Over(error) => {
                    transport.line.lost(pump.started());
                    transport.targets.lost();
                    *held = None;
                    transport.learn(&error);
                    return Poll::Ready(error);
                }
                Said::Replace => transport.ask_for_another(),
            }
        }
    }
}

impl Drop for Serve<'_> {
    fn drop(&mut self) {
        if let Some(pump) = self.pump.take() {
            *lock(&self.transport.idle) = Some(pump);
        }
    }
}

impl Transport for WebSocketTransport {
    fn target(&self) -> String {
        self.targets.first().shown()
    }

    async fn turn(&self) {
        let turn = self.config.limiter.turn().await;
        *lock(&self.turn) = Some(turn);
    }

    async fn dial(&self, _deadline: Instant) -> Result<(), DialError> {
        let turn = lock(&self.turn).take();
        let pump = self.make(self.targets.choose()).await?;
        *lock(&self.idle) = Some(pump);
        drop(turn);
        Ok(())
    }

    async fn probe(&self, _deadline: Instant) -> Result<(), DialError> {
        if self.line.want_ping() {
            return self.ping().await;
        }
        // Not connected, and asked all the same: a connection is made for the question, in its turn.
        let _turn = self.config.limiter.turn().await;
        self.reach(self.targets.choose()).await.map(drop)
    }

    fn lost(&self) -> impl Future<Output = DialError> + Send {
        Serve::new(self)
    }

    fn heard(&self) -> Option<Instant> {
        self.line.heard()
    }

    async fn migrate(&self, _deadline: Instant) -> Result<(), DialError> {
        let turn = self.config.limiter.turn().await;
        let pump = self.make(self.targets.choose_another()).await?;
        drop(turn);
        *lock(&self.standby) = Some(pump);
        Ok(())
    }

    fn entered(&self, state: StateName) {
        let failed = state == StateName::Failed;
        self.line.fail(failed);
        if state == StateName::Disconnected {
            // Who connects next may be somebody else.
            self.line.clear();
        }
        self.layer.iter().for_each(|layer| layer.failed(failed));
    }

    async fn close(&self) {
        let standby = lock(&self.standby).take();
        let Some(mut pump) = lock(&self.idle).take() else { return };
        if let Some(new) = standby {
            // It was to take over just now: both are closed.
            pump.replace(*new, clock::now().after(DRAIN));
        }
        poll_fn(|context| pump.poll_close(context)).await;
        self.line.lost(pump.started());
    }

    fn abandon(&self) {
        let pump = lock(&self.idle).take();
        if let Some(pump) = pump {
            self.line.lost(pump.started());
        }
        drop((lock(&self.standby).take(), lock(&self.turn).take()));
    }
}

fn lock<T>(slot: &Mutex<T>) -> MutexGuard<'_, T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}
