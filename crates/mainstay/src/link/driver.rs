//! The task of a link: carries out what the machine asks for, and reports what came of it.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use mainstay_core::link::{Action, Generation, Input, StateName};
use mainstay_core::policy::outcome::Outcome;
use mainstay_core::time::Instant;
use tokio::time::timeout_at;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use super::desk::Desk;
use super::transport::{DialError, Transport};
use crate::clock;
use crate::trace::{Work, span, within};

/// Ends with how long it took.
type Doing = Pin<Box<dyn Future<Output = Result<Duration, DialError>> + Send>>;

/// One thing under way, and what it is.
struct Slot {
    kind: Kind,
    generation: Generation,
    work: Doing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Dial,
    Hold,
    Close,
    Probe,
    Migrate,
}

pub(super) struct Task<T> {
    desk: Arc<Desk>,
    transport: Arc<T>,
    /// Dialling, holding or closing the connection.
    line: Option<Slot>,
    probe: Option<Slot>,
    /// Dialling a second connection.
    standby: Option<Slot>,
}

impl<T: Transport> Task<T> {
    pub(super) const fn new(desk: Arc<Desk>, transport: Arc<T>) -> Self {
        Self { desk, transport, line: None, probe: None, standby: None }
    }

    /// Runs until the link is stopped and disconnected.
    #[expect(clippy::manual_async_fn, reason = "an `async fn` would hold its argument twice")]
    pub(super) fn run(mut self) -> impl Future<Output = ()> + Send {
        async move {
            while let Some(deadline) = self.obey() {
                let until = clock::to_tokio(deadline.unwrap_or(Instant::MAX));
                let happened = poll_fn(|context| self.poll(context));
                if timeout_at(until, happened).await.is_err() {
                    self.tell_heard();
                    self.desk.book().give(Input::Timer);
                }
            }
        }
    }

    /// Ready when the task was called, or when something under way has ended and been reported.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.desk.poll_called(context).is_ready() {
            return Poll::Ready(());
        }
        if let Some(slot) = &mut self.line
            && let Poll::Ready(result) = slot.work.as_mut().poll(context)
        {
            self.line_ended(result);
            return Poll::Ready(());
        }
        if let Some(slot) = &mut self.probe
            && let Poll::Ready(result) = slot.work.as_mut().poll(context)
        {
            self.probe_ended(result);
            return Poll::Ready(());
        }
        if let Some(slot) = &mut self.standby
            && let Poll::Ready(result) = slot.work.as_mut().poll(context)
        {
            self.standby_ended(result);
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Tells what is to be told, does what is to be done, and says until when to sleep. None when
    /// there is nothing more to do for ever.
    #[expect(clippy::option_option, reason = "whether to go on, and until when to sleep")]
    fn obey(&mut self) -> Option<Option<Instant>> {
        loop {
            self.desk.tell();
            let (actions, news) = {
                let mut book = self.desk.book();
                (book.take_actions(), book.take_news())
            };
            if let Some(state) = news {
                self.transport.entered(state);
            }
            for action in actions {
                self.begin(action);
            }
            let book = self.desk.book();
            if !book.is_quiet() || book.is_asked() {
                continue;
            }
            if book.stopping && book.machine.state().name() == StateName::Disconnected {
                return None;
            }
            return Some(book.machine.deadline().map(|(at, _)| at));
        }
    }

    fn begin(&mut self, action: Action) {
        let transport = self.transport.clone();
        match action {
            Action::Nothing => {}
            Action::Abandon => self.abandon(),
            Action::Dial { generation, deadline } => {
                self.abandon();
                let desk = self.desk.clone();
                let work = Box::pin(async move {
                    let deadline = turn(&desk, &*transport, generation, deadline).await?;
                    let span = |work: &Work| {
                        let link = &*desk.name;
                        span!(DEBUG, "dial", Some(work), link, error.type = Empty)
                    };
                    spanned(span, timed(deadline, transport.dial(deadline))).await
                });
                self.line = Some(Slot::new(Kind::Dial, generation, work));
            }
            Action::Migrate { generation, deadline } => {
                let work =
                    Box::pin(async move { timed(deadline, transport.migrate(deadline)).await });
                self.standby = Some(Slot::new(Kind::Migrate, generation, work));
            }
            Action::Close { generation, deadline } => {
                (self.probe, self.standby) = (None, None);
                let work = Box::pin(async move {
                    let closed = timeout_at(clock::to_tokio(deadline), transport.close()).await;
                    if closed.is_err() {
                        transport.abandon();
                    }
                    Ok(Duration::ZERO)
                });
                self.line = Some(Slot::new(Kind::Close, generation, work));
            }
            Action::Probe { generation, deadline } => {
                let desk = self.desk.clone();
                let work = Box::pin(async move {
                    let span = |work: &Work| {
                        let link = &*desk.name;
                        span!(DEBUG, "probe", Some(work), link, error.type = Empty)
                    };
                    spanned(span, timed(deadline, transport.probe(deadline))).await
                });
                self.probe = Some(Slot::new(Kind::Probe, generation, work));
            }
        }
    }

    fn abandon(&mut self) {
        (self.line, self.probe, self.standby) = (None, None, None);
        self.transport.abandon();
    }

    fn line_ended(&mut self, result: Result<Duration, DialError>) {
        let Some(Slot { kind, generation, .. }) = self.line.take() else { return };
        let (outcome, error) = read(&result);
        let reaction = result.as_ref().err().and_then(|error| error.reaction);
        if let (Kind::Dial | Kind::Hold, Some(reaction)) = (kind, reaction) {
            let input = Input::Ended { generation, outcome, reaction };
            self.desk.book().give_with(input, error);
            return;
        }
        match kind {
            Kind::Dial => {
                if outcome == Outcome::Success {
                    self.hold(generation);
                }
                let input = Input::DialFinished { generation, outcome };
                self.desk.book().give_with(input, error);
            }
            Kind::Hold => {
                self.desk.book().give_with(Input::Lost { generation, outcome }, error);
            }
            Kind::Close | Kind::Probe | Kind::Migrate => {
                self.desk.book().give_with(Input::CloseFinished { generation }, error);
            }
        }
    }

    fn probe_ended(&mut self, result: Result<Duration, DialError>) {
        let Some(Slot { generation, .. }) = self.probe.take() else { return };
        let (outcome, error) = read(&result);
        let rtt = result.unwrap_or_default();
        if outcome != Outcome::Success {
            self.tell_heard();
        }
        self.desk.book().give_with(Input::ProbeFinished { generation, outcome, rtt }, error);
    }
}

impl<T: Transport> Task<T> {
    fn standby_ended(&mut self, result: Result<Duration, DialError>) {
        let Some(Slot { generation, .. }) = self.standby.take() else { return };
        let (outcome, error) = read(&result);
        if outcome == Outcome::Success {
            self.probe = None;
            match &mut self.line {
                // What is held from now on is the second connection; the transport drains the first.
                Some(line) => line.generation = generation,
                // The first is gone already.
                None => self.hold(generation),
            }
        }
        let reaction = result.as_ref().err().and_then(|error| error.reaction);
        let mut book = self.desk.book();
        let input = match reaction {
            Some(reaction) if book.machine.generation() == generation => {
                Input::Ended { generation, outcome, reaction }
            }
            Some(_) | None => Input::Migrated { generation, outcome },
        };
        book.give_with(input, error);
    }

    /// Holds the connection that was made.
    fn hold(&mut self, generation: Generation) {
        let transport = self.transport.clone();
        let work = Box::pin(async move { Err(transport.lost().await) });
        self.line = Some(Slot::new(Kind::Hold, generation, work));
    }

    /// Tells the machine when the peer was last heard, before something is decided by it.
    fn tell_heard(&self) {
        if let Some(at) = self.transport.heard() {
            let mut book = self.desk.book();
            let generation = book.machine.generation();
            book.give(Input::Heard { generation, at });
        }
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.desk.book().end();
        self.desk.tell();
        self.desk.forget_listeners();
    }
}

impl Slot {
    fn new(kind: Kind, generation: Generation, work: Doing) -> Self {
        Self { kind, generation, work }
    }
}

fn read(result: &Result<Duration, DialError>) -> (Outcome, Option<Arc<str>>) {
    match result {
        Ok(_) => (Outcome::Success, None),
        Err(error) => (error.outcome, Some(error.chain().into())),
    }
}

/// The longest a dial waits for its turn.
const TURN_MAX: Duration = Duration::from_secs(60);

/// Waits until it may dial; answers when the dial must have ended.
async fn turn<T: Transport>(
    desk: &Desk,
    transport: &T,
    generation: Generation,
    deadline: Instant,
) -> Result<Instant, DialError> {
    let mut turn = std::pin::pin!(transport.turn());
    if poll_fn(|context| Poll::Ready(turn.as_mut().poll(context))).await.is_ready() {
        return Ok(deadline);
    }
    let asked = clock::now();
    let allowed = deadline.since(asked);
    let until = asked.after(TURN_MAX);
    desk.give(Input::DialDelayed { generation, until });
    if timeout_at(clock::to_tokio(until), turn).await.is_err() {
        return Err(DialError::new(Outcome::Abandoned, "too many others are connecting"));
    }
    let now = clock::now();
    desk.give(Input::DialDelayed { generation, until: now });
    Ok(now.after(allowed))
}

/// Does `future` for a trace that begins here: a peer that is asked can say by whom, and for which
/// look at it.
async fn spanned(
    span: impl FnOnce(&Work) -> Span,
    future: impl Future<Output = Result<Duration, DialError>>,
) -> Result<Duration, DialError> {
    let work = Work::join_or_begin();
    let span = span(&work);
    let result = within(Some(work.shared()), future).instrument(span.clone()).await;
    if let Err(error) = &result {
        span.record("error.type", error.outcome.as_str());
    }
    result
}

/// Runs `work` until `deadline` at most, and takes its time.
async fn timed(
    deadline: Instant,
    work: impl Future<Output = Result<(), DialError>>,
) -> Result<Duration, DialError> {
    let begun = clock::now();
    match timeout_at(clock::to_tokio(deadline), work).await {
        Ok(result) => result.map(|()| clock::now().since(begun)),
        Err(_) => Err(DialError::new(Outcome::TRANSIENT, "timed out")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{DnsConfig, DnsTransport, TcpTransport};
    use mainstay_core::link::{Link as Machine, LinkConfig};

    /// What a link over `transport` holds beside it.
    fn held<T: Transport>(transport: T) -> usize {
        let machine = Machine::new(&LinkConfig::default()).unwrap();
        let desk = Arc::new(Desk::new("a".into(), "b".into(), machine, None));
        let task = Task::new(desk, Arc::new(transport)).run();
        // Counts of the two allocations, the handle's own, and tokio's task header.
        let around = 2 * 16 + 16 + 128;
        size_of::<Desk>() + size_of_val(&task) + around
    }

    #[test]
    fn a_link_holds_at_most_a_kilobyte_beside_its_transport() {
        let tcp = held(TcpTransport::new("127.0.0.1:1"));
        assert!(tcp <= 1024, "{tcp}");
        let dns = held(DnsTransport::new(DnsConfig::new("example.org")).unwrap());
        assert!(dns <= 1024, "{dns}");
    }
}
