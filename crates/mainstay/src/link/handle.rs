use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mainstay_core::config::ConfigError;
use mainstay_core::link::{
    Action, Input, Link as Machine, LinkConfig, LinkStats, LinkView, State, StateName,
    SuspendReason,
};
use mainstay_core::policy::outcome::Outcome;
use mainstay_core::time::Instant;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;

use super::desk::{Desk, Flight, SUBSCRIBERS_LAG};
use super::driver::Task;
use super::event::LinkEvent;
use super::listener::{ListenError, Listener};
use super::transport::Transport;
use crate::clock;
use crate::event::Events;

/// What [`Link::open`] is told beside the transport.
#[derive(Clone, Debug)]
pub struct LinkOptions {
    /// Name in events. Default `link`.
    pub name: Arc<str>,
    /// How the link behaves.
    pub config: LinkConfig,
    /// A channel that gets its events too, beside those of others. Default none.
    pub events: Option<Events>,
}

impl LinkOptions {
    /// The defaults, under a name.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), config: LinkConfig::default(), events: None }
    }

    /// The defaults for a WebSocket ([`LinkConfig::websocket`]), under a name.
    #[must_use]
    pub fn websocket(name: impl Into<Arc<str>>) -> Self {
        Self::new(name).config(LinkConfig::websocket())
    }

    /// With another configuration.
    #[must_use]
    pub const fn config(mut self, config: LinkConfig) -> Self {
        self.config = config;
        self
    }

    /// With a channel that gets the events too.
    #[must_use]
    pub fn events(mut self, events: Events) -> Self {
        self.events = Some(events);
        self
    }
}

impl Default for LinkOptions {
    fn default() -> Self {
        Self::new("link")
    }
}

/// A connection that heals itself: a handle, cheap to clone.
///
/// When the last clone goes, the connection is closed and its task ends.
#[derive(Clone)]
pub struct Link {
    inner: Arc<Inner>,
}

struct Inner {
    desk: Arc<Desk>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// Why [`Link::connect`] did not end in a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectError {
    /// The dial failed. Unless `terminal`, the link tries again by itself.
    Failed {
        /// How.
        outcome: Outcome,
        /// Whether the link has given up: the user must act.
        terminal: bool,
        /// The error, shortened.
        error: Option<Arc<str>>,
    },
    /// The link is held back; it dials by itself when the reason is gone, unless it was paused.
    Suspended {
        /// Why.
        reason: SuspendReason,
    },
    /// Somebody disconnected, paused or reset the link meanwhile.
    Cancelled,
    /// The link was shut down: open another.
    Stopped,
}

impl Link {
    /// A disconnected link over `transport`, with its task. [`Link::connect`] connects it.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field that makes no sense.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn open<T: Transport>(options: LinkOptions, transport: T) -> Result<Self, ConfigError> {
        Self::over(options, Arc::new(transport))
    }

    /// The same over a transport that the application uses too, for its calls.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field that makes no sense.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn over<T: Transport>(
        options: LinkOptions,
        transport: Arc<T>,
    ) -> Result<Self, ConfigError> {
        let machine = Machine::new(&options.config)?;
        let target = transport.target().into();
        let desk = Arc::new(Desk::new(options.name, target, machine, options.events));
        super::wake::watch(&desk);
        let task = tokio::spawn(Task::new(desk.clone(), transport).run());
        Ok(Self { inner: Arc::new(Inner { desk, task: Mutex::new(Some(task)) }) })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.desk().name
    }

    /// Where it leads.
    #[must_use]
    pub fn target(&self) -> &Arc<str> {
        &self.desk().target
    }

    /// Connects, or waits for the dial that is under way: all who wait share its result.
    ///
    /// Returns at once when connected. Cuts the wait for a redial short. Dropping the future leaves
    /// the link as it is.
    ///
    /// # Errors
    ///
    /// [`ConnectError`]; unless it is terminal, the link goes on trying.
    pub async fn connect(&self) -> Result<(), ConnectError> {
        let receiver = {
            let mut book = self.desk().book();
            if book.stopping || book.ended {
                return Err(ConnectError::Stopped);
            }
            if book.machine.view().healthy {
                return Ok(());
            }
            let receiver = join(&mut book.connecting);
            book.give(Input::Connect);
            receiver
        };
        self.desk().call();
        outcome(receiver).await.unwrap_or(Err(ConnectError::Stopped))
    }

    /// Closes the connection, or cancels the dial, and waits until that is done and told.
    ///
    /// Does nothing when disconnected.
    pub async fn disconnect(&self) {
        let receiver = {
            let mut book = self.desk().book();
            if book.ended || book.machine.state().name() == StateName::Disconnected {
                return;
            }
            let receiver = join(&mut book.leaving);
            book.give(Input::Disconnect);
            receiver
        };
        self.desk().call();
        outcome(receiver).await;
    }

    /// Asks the peer now whether it is well, and says whether it is. Counts as a health check.
    ///
    /// A link that is waiting to redial dials instead; a disconnected one stays disconnected. All
    /// who wait share one answer.
    pub async fn check_now(&self) -> bool {
        let receiver = {
            let mut book = self.desk().book();
            if book.stopping || book.ended {
                return false;
            }
            let receiver = join(&mut book.checking);
            book.give(Input::CheckNow);
            receiver
        };
        self.desk().call();
        outcome(receiver).await.unwrap_or(false)
    }

    /// Forgets everything: connection, attempts, statistics. Listeners stay.
    pub fn reset(&self) {
        self.desk().give(Input::Reset);
    }

    /// Closes the connection and dials none until [`Link::resume`] or [`Link::connect`].
    pub fn pause(&self) {
        self.desk().give(Input::Pause);
    }

    /// Ends a pause: dials at once.
    pub fn resume(&self) {
        self.desk().give(Input::Resume);
    }

    /// Makes another connection and lets it take over, while the one there is still serves: make
    /// before break. Does nothing unless connected; says how it went as an event. Only transports
    /// that can migrate do (WebSocket).
    pub fn migrate(&self) {
        self.desk().give(Input::Migrate);
    }

    /// Tells that the machine slept: asks the peer at once, or dials at once. The library notices by
    /// itself within seconds; a program that is told by its system can say so sooner.
    pub fn woke(&self) {
        self.desk().give(Input::Woke);
    }

    /// From now on redials after a loss.
    pub fn enable_reconnection(&self) {
        self.desk().give(Input::EnableReconnection);
    }

    /// From now on does not redial; a link that is waiting to is disconnected.
    pub fn disable_reconnection(&self) {
        self.desk().give(Input::DisableReconnection);
    }

    /// A breaker over the peer refuses calls until then: the link does not dial before.
    pub fn breaker_opened(&self, until: Instant) {
        self.desk().give(Input::BreakerOpened { until });
    }

    /// That breaker lets calls through again.
    pub fn breaker_closed(&self) {
        self.desk().give(Input::BreakerClosed);
    }

    /// Tells what came of a real call over the connection and how long it took: it counts towards
    /// health as a probe does. A call that began before the connection was made does not count.
    pub fn report(&self, outcome: Outcome, elapsed: Duration) {
        let wake = self.desk().book().traffic(outcome, elapsed);
        if wake {
            self.desk().call();
        }
    }

    /// Takes another configuration without losing connection or statistics.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field that makes no sense; nothing has changed then.
    pub fn reconfigure(&self, config: &LinkConfig) -> Result<(), ConfigError> {
        {
            let mut book = self.desk().book();
            let now = clock::now();
            let step = book.machine.reconfigure(now, config)?;
            book.absorb(now, &step, None);
        }
        self.desk().call();
        Ok(())
    }

    /// Where it stands, with what belongs to that state.
    #[must_use]
    pub fn state(&self) -> State {
        self.desk().book().machine.state()
    }

    /// It at a glance.
    #[must_use]
    pub fn view(&self) -> LinkView {
        self.desk().book().machine.view()
    }

    /// What it has counted.
    #[must_use]
    pub fn stats(&self) -> LinkStats {
        self.desk().book().machine.stats(clock::now())
    }

    /// Its events from now on. A receiver that lags 128 behind loses the oldest and is told how
    /// many.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<LinkEvent>> {
        let sender = || broadcast::Sender::new(SUBSCRIBERS_LAG);
        self.desk().subscribers.get_or_init(sender).subscribe()
    }

    /// Its state as it changes; only the latest is kept.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<LinkView> {
        self.desk().watch()
    }

    /// Calls `call` at every event of that name: dotted (`link.connected`), as the seeds call it
    /// (`connected`), or `*` for all.
    ///
    /// Listeners are called in turn by the link's own task and should be quick. One that panics
    /// disturbs no other. They go with the link: one may hold a handle of the link it listens to, if
    /// the link is shut down in the end.
    ///
    /// # Errors
    ///
    /// [`ListenError`] when no event has that name, or there are too many listeners.
    pub fn on(
        &self,
        name: &str,
        call: impl Fn(&LinkEvent) + Send + Sync + 'static,
    ) -> Result<Listener, ListenError> {
        self.desk().listeners().add(name, call)
    }

    /// How many listeners there are.
    #[must_use]
    pub fn listeners(&self) -> usize {
        self.desk().listeners().len()
    }

    /// Closes the connection in good order, tells it, and ends the task. The link cannot be used
    /// any more.
    pub async fn shutdown(&self) {
        self.inner.stop();
        let task = {
            let mut task = self.inner.task.lock().unwrap_or_else(PoisonError::into_inner);
            task.take()
        };
        match task {
            // A task that panicked has ended as well.
            Some(task) => drop(task.await),
            None => self.disconnect().await,
        }
    }

    /// Whether it can be used: not while it is being shut down, nor after.
    #[must_use]
    pub fn is_running(&self) -> bool {
        let book = self.desk().book();
        !book.ended && !book.stopping
    }

    /// Begins to connect without waiting for it. Does nothing once the link is shut down.
    pub fn begin(&self) {
        let wake = {
            let mut book = self.desk().book();
            !book.stopping && book.give(Input::Connect)
        };
        if wake {
            self.desk().call();
        }
    }

    /// Begins a shutdown without waiting for it.
    pub(super) fn stop(&self) {
        self.inner.stop();
    }

    #[cfg(feature = "websocket")]
    pub(super) fn weak_desk(&self) -> std::sync::Weak<Desk> {
        Arc::downgrade(&self.inner.desk)
    }

    fn desk(&self) -> &Desk {
        &self.inner.desk
    }
}

impl Inner {
    fn stop(&self) {
        {
            let mut book = self.desk.book();
            book.stopping = true;
            book.give(Input::Disconnect);
            // A check of a disconnected link may be under way.
            if book.machine.is_probing() {
                book.line = Action::Abandon;
            }
        }
        self.desk.call();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Joins those who wait for a result.
fn join<T>(flight: &mut Option<Flight<T>>) -> watch::Receiver<Option<T>> {
    flight.get_or_insert_with(|| watch::Sender::new(None)).subscribe()
}

/// The result that was waited for; none when nobody will give it.
async fn outcome<T: Clone>(mut receiver: watch::Receiver<Option<T>>) -> Option<T> {
    receiver.wait_for(Option::is_some).await.ok().and_then(|result| result.clone())
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("name", self.name())
            .field("target", self.target())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { error: Some(error), .. } => write!(f, "the dial failed: {error}"),
            Self::Failed { outcome, .. } => write!(f, "the dial failed: {outcome:?}"),
            Self::Suspended { reason } => write!(f, "the link is held back: {reason:?}"),
            Self::Cancelled => f.write_str("the link was disconnected meanwhile"),
            Self::Stopped => f.write_str("the link was shut down"),
        }
    }
}

impl Error for ConnectError {}
