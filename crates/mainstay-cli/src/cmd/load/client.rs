//! One client: connects, talks, loses its connection, comes back, and says goodbye.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use mainstay::clock;
use mainstay::core::policy::rate::{NotAdmitted, RateConfig, RateLimit};
use mainstay::core::time::Instant;
use mainstay_wire::{
    Ack, Bye, CloseCode, Decoded, Frame, Message, Pong, Raw, Schedule, Secret, Welcome, decode,
};
use tokio::sync::watch;
use tokio::time::{sleep_until, timeout, timeout_at};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message as Item};

use super::book::{Account, Book, Wrong};
use super::socket::{NotWelcome, Socket, Target, text, why};
use super::tally::Tally;
use super::waits::{self, share};

/// Frames read before something is written.
const BATCH: u32 = 64;
/// How long the last goodbye may take.
const LAST: Duration = Duration::from_secs(2);

/// What all clients are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// They send messages.
    Talk,
    /// They wait for what is on its way and say goodbye, until then.
    Settle(Instant),
}

/// What a client does.
#[derive(Clone, Debug)]
pub(super) struct Habits {
    /// From one message to the next; none for none.
    pub(super) interval: Option<Duration>,
    pub(super) size: usize,
    /// How long it keeps a connection on average, if it is a flaky one.
    pub(super) drops_every: Option<Duration>,
}

#[derive(Debug)]
pub(super) struct Client {
    nr: u64,
    target: Arc<Target>,
    habits: Habits,
    tally: Arc<Tally>,
    phase: watch::Receiver<Phase>,
    book: Book,
    told: Account,
    token: Option<Secret>,
    schedule: Schedule,
    welcomes: u64,
}

/// One of its connections.
struct Line {
    socket: Socket,
    rate: Option<RateLimit>,
    heard: Instant,
    /// Silence after which the server is taken to be gone.
    silence: Duration,
    drop_at: Option<Instant>,
    /// Whether it drops the connection right behind a message, before an answer can come.
    drops_behind: bool,
    next_due: Option<Instant>,
    /// When the rate admits the next frame, if it is at its limit.
    admitted_at: Option<Instant>,
    /// What is still to be answered.
    pong: Option<Pong>,
    frame_max: usize,
}

/// How a connection ended.
enum End {
    /// The client dropped it on purpose.
    Dropped,
    /// Everything is said.
    Finished,
    /// Time is over before everything was said.
    OutOfTime,
    Lost(String),
    Bye(Bye),
    Wrong(Wrong),
}

impl Client {
    pub(super) fn new(
        nr: u64,
        target: Arc<Target>,
        habits: Habits,
        tally: Arc<Tally>,
        phase: watch::Receiver<Phase>,
    ) -> Self {
        let book = Book::new(nr, habits.size);
        Self {
            nr,
            target,
            habits,
            tally,
            phase,
            book,
            told: Account::default(),
            token: None,
            schedule: waits::SCHEDULE,
            welcomes: 0,
        }
    }

    /// Lives until its session has ended.
    pub(super) async fn run(mut self) {
        self.tally.begun.fetch_add(1, Ordering::Relaxed);
        let stays = self.live().await;
        self.book.close();
        self.tell();
        let (unacknowledged, missing) = (self.book.unacknowledged(), self.book.missing());
        let failed = !stays || self.welcomes == 0;
        self.tally.count(|counts| {
            counts.failed += u64::from(failed);
            counts.unacknowledged += unacknowledged;
            counts.missing += missing;
        });
    }

    /// Says whether it stayed as long as it was asked to.
    async fn live(&mut self) -> bool {
        let mut failures = 0;
        loop {
            let wait = match self.connection().await {
                Ok(End::Finished | End::OutOfTime) => return true,
                Ok(End::Wrong(wrong)) => {
                    self.tally.wrong(format!("client {}: {wrong:?}", self.nr));
                    return true;
                }
                Ok(End::Dropped) => {
                    self.tally.count(|counts| counts.dropped += 1);
                    failures = 0;
                    waits::first(self.schedule)
                }
                Ok(End::Lost(why)) => {
                    self.tally.count(|counts| counts.lost += 1);
                    self.tally.error(&format!("lost: {why}"));
                    failures = 0;
                    waits::first(self.schedule)
                }
                Err(NotWelcome::Broken(why)) => {
                    self.tally.error(&why);
                    failures += 1;
                    waits::later(self.schedule, failures)
                }
                Ok(End::Bye(bye)) | Err(NotWelcome::Said(bye)) => {
                    self.tally.error(&format!("bye: {} {}", bye.code, bye.reason));
                    failures += 1;
                    if bye.code == CloseCode::RESUME_IMPOSSIBLE.code {
                        self.token = None;
                    }
                    match waits::asked(&bye, self.schedule, failures) {
                        Some(wait) => wait,
                        None => return false,
                    }
                }
            };
            if !self.rest(wait).await {
                return self.welcomes > 0;
            }
        }
    }

    /// Waits; false when time is over before that.
    async fn rest(&mut self, wait: Duration) -> bool {
        let until = clock::now().after(wait);
        loop {
            let phase = *self.phase.borrow_and_update();
            let end = match phase {
                Phase::Talk => None,
                // Without a session there is nothing to settle.
                Phase::Settle(_) if self.welcomes == 0 => return false,
                Phase::Settle(end) if end <= until => return false,
                Phase::Settle(end) => Some(end),
            };
            tokio::select! {
                () = sleep_until(clock::to_tokio(until)) => return true,
                changed = self.phase.changed(), if end.is_none() => {
                    if changed.is_err() {
                        return false;
                    }
                }
            }
        }
    }

    /// One connection, from the dial to its end.
    async fn connection(&mut self) -> Result<End, NotWelcome> {
        let began = clock::now();
        let resume = self.token.clone().map(|token| (token, self.book.received()));
        let asked = resume.is_some();
        let (socket, welcome) = self.target.connect(self.nr, resume).await?;
        let now = clock::now();
        self.tally.connected(now.since(began));
        self.tally.open.fetch_add(1, Ordering::Relaxed);
        let end = if self.welcomed(&welcome, asked) {
            let mut line = self.line(now, socket, &welcome);
            let end = self.talk(&mut line).await;
            if matches!(end, End::Finished) {
                farewell(&mut line.socket).await;
            }
            end
        } else {
            // As the protocol has it: it comes back without `resume`.
            self.token = None;
            End::Lost("the server's numbers do not fit".into())
        };
        self.tally.open.fetch_sub(1, Ordering::Relaxed);
        self.tell();
        Ok(end)
    }

    /// Takes over what the welcome says; false if it cannot go on from there.
    fn welcomed(&mut self, welcome: &Welcome, asked: bool) -> bool {
        self.welcomes += 1;
        self.token = Some(welcome.token.clone());
        self.schedule = welcome.retry;
        let goes_on = asked && welcome.resumed && welcome.replay;
        if goes_on && !self.book.go_on(welcome.received) {
            return false;
        }
        if !goes_on {
            self.book.begin_anew();
        }
        self.tally.count(|counts| match (asked && welcome.resumed, goes_on) {
            (_, true) => counts.replayed += 1,
            (true, false) => counts.restarted += 1,
            (false, false) => counts.sessions += 1,
        });
        true
    }

    fn line(&self, now: Instant, socket: Socket, welcome: &Welcome) -> Line {
        let per_sec = welcome.limits.rate_per_sec;
        let rate = RateLimit::new(&RateConfig {
            limit: per_sec,
            period: Duration::from_secs(1),
            burst: (per_sec / 4).max(1),
            max_wait: Duration::ZERO,
        });
        let silence = welcome.beats.interval_ms.saturating_add(welcome.beats.timeout_ms);
        // Half of it is certain, the rest is drawn: most connections end near the average.
        let drops = self.habits.drops_every.map(|every| every / 2 + share(every));
        let interval = self.habits.interval;
        Line {
            socket,
            // 0 is no limit.
            rate: rate.ok(),
            heard: now,
            silence: Duration::from_millis(silence.max(1_000)),
            drop_at: drops.map(|drops| now.after(drops)),
            drops_behind: interval.is_some() && clock::draw().is_multiple_of(2),
            // Not all at the same time.
            next_due: interval.map(|interval| now.after(share(interval))),
            admitted_at: None,
            pong: None,
            frame_max: usize::try_from(welcome.limits.frame_bytes).unwrap_or(usize::MAX),
        }
    }

    async fn talk(&mut self, line: &mut Line) -> End {
        loop {
            let now = clock::now();
            let phase = *self.phase.borrow_and_update();
            let until = match phase {
                Phase::Talk => None,
                Phase::Settle(_) if self.is_settled() => return End::Finished,
                Phase::Settle(until) if until <= now => return End::OutOfTime,
                Phase::Settle(until) => Some(until),
            };
            if until.is_none() && !line.drops_behind && line.is_to_drop(now) {
                return End::Dropped;
            }
            if line.heard.after(line.silence) <= now {
                return End::Lost("silent".into());
            }
            if let Err(end) = self.write(line, now, until.is_none()).await {
                return end;
            }
            self.tell();
            let wake = self.wake(line, until);
            tokio::select! {
                item = line.socket.next() => {
                    if let Err(end) = self.read(line, item) {
                        return end;
                    }
                }
                () = sleep_until(clock::to_tokio(wake)) => {}
                changed = self.phase.changed(), if until.is_none() => {
                    if changed.is_err() {
                        return End::OutOfTime;
                    }
                }
            }
        }
    }

    fn is_settled(&self) -> bool {
        // The first answer to this one may be on its way, where others have had theirs.
        let back = !self.tally.echoes.load(Ordering::Relaxed) || self.book.missing() == 0;
        self.book.unacknowledged() == 0 && back
    }

    /// When there is something to do by itself.
    fn wake(&self, line: &Line, until: Option<Instant>) -> Instant {
        let room = self.book.has_room(!self.book.is_unanswered());
        let due = line.next_due.filter(|_| until.is_none() && room);
        let drops = line.drop_at.filter(|_| until.is_none() && !line.drops_behind);
        let behind = line.admitted_at.filter(|_| self.book.is_behind());
        let silent = Some(line.heard.after(line.silence));
        let all = [due, drops, behind, silent, until, self.book.deadline()];
        all.into_iter().flatten().min().unwrap_or(line.heard)
    }

    /// Writes what is due.
    async fn write(&mut self, line: &mut Line, now: Instant, talks: bool) -> Result<(), End> {
        let (mut wrote, mut said) = (false, false);
        if let Some(seq) = self.book.acknowledgement(now) {
            line.put(now, &Frame::Ack(Ack { seq })).await?;
            wrote = true;
        }
        if let Some(pong) = line.pong.take() {
            line.put(now, &Frame::Pong(pong)).await?;
            wrote = true;
        }
        while talks
            && let Some(due) = line.next_due.filter(|due| *due <= now)
            && self.book.has_room(!self.book.is_unanswered())
            && self.book.send(due)
        {
            line.next_due = self.habits.interval.map(|interval| due.after(interval));
        }
        while self.book.is_behind() {
            if let Some(Err(NotAdmitted::NotUntil { at })) =
                line.rate.as_ref().map(|rate| rate.admit(now, 1))
            {
                line.admitted_at = Some(at);
                break;
            }
            let Some((seq, payload)) = self.book.next() else { break };
            let payload = Raw::new(&payload).expect("it is JSON");
            let frame = Frame::Message(Message { seq: Some(seq), payload });
            line.feed(&frame).await?;
            (wrote, said) = (true, true);
        }
        if wrote {
            line.flush().await?;
        }
        if said && talks && line.drops_behind && line.is_to_drop(now) {
            return Err(End::Dropped);
        }
        Ok(())
    }

    /// Takes in what came, and what came right behind it.
    fn read(&mut self, line: &mut Line, first: Option<Result<Item, Error>>) -> Result<(), End> {
        let mut next = Some(first);
        for _ in 0..BATCH {
            let Some(item) = next else { return Ok(()) };
            let item = item.unwrap_or(Err(Error::ConnectionClosed));
            let item = item.map_err(|error| End::Lost(why(&error)))?;
            line.heard = clock::now();
            match item {
                Item::Text(text) => self.frame(line, &text)?,
                Item::Close(frame) => {
                    let code = frame.map_or(1005, |frame| u16::from(frame.code));
                    return Err(End::Lost(format!("closed with {code}")));
                }
                Item::Binary(_) => return Err(End::Lost("a binary frame".into())),
                Item::Ping(_) | Item::Pong(_) | Item::Frame(_) => {}
            }
            next = line.socket.next().now_or_never();
        }
        Ok(())
    }

    fn frame(&mut self, line: &mut Line, text: &str) -> Result<(), End> {
        let now = line.heard;
        match decode(text, line.frame_max.saturating_mul(2)) {
            Ok(Decoded::Known(Frame::Message(Message { seq: Some(seq), payload }))) => {
                let echo = self.book.take(now, seq, payload.as_str()).map_err(End::Wrong)?;
                if let Some(echo) = echo {
                    self.tally.echoes.store(true, Ordering::Relaxed);
                    self.tally.echoed(now.since(echo.due), echo.on_one);
                }
                Ok(())
            }
            Ok(Decoded::Known(Frame::Ack(ack))) => {
                self.book.acknowledged(ack.seq).map_err(End::Wrong)
            }
            Ok(Decoded::Known(Frame::Ping(ping))) => {
                let (number, sent_us) = (ping.number, ping.sent_us);
                let pong = Pong { number, sent_us, client_time_ms: None, view: None };
                line.pong = Some(pong);
                Ok(())
            }
            Ok(Decoded::Known(Frame::Beat(beat))) => {
                let silence = beat.beats.interval_ms.saturating_add(beat.beats.timeout_ms);
                line.silence = Duration::from_millis(silence.max(1_000));
                Ok(())
            }
            Ok(Decoded::Known(Frame::Bye(bye))) => Err(End::Bye(bye)),
            // Nothing that a client must answer.
            Ok(Decoded::Known(_) | Decoded::Unknown { .. }) => Ok(()),
            Err(error) => Err(End::Lost(format!("a frame: {error}"))),
        }
    }

    /// Tells what changed.
    fn tell(&mut self) {
        self.tally.account(self.told, self.book.account);
        self.told = self.book.account;
    }
}

impl Line {
    fn is_to_drop(&self, now: Instant) -> bool {
        self.drop_at.is_some_and(|at| at <= now)
    }

    /// Gives the socket a frame that goes out whatever the rate says; it counts all the same.
    async fn put(&mut self, now: Instant, frame: &Frame) -> Result<(), End> {
        let _counted: Option<Result<(), NotAdmitted>> =
            self.rate.as_ref().map(|rate| rate.admit(now, 1));
        self.feed(frame).await
    }

    async fn feed(&mut self, frame: &Frame) -> Result<(), End> {
        let fed = self.socket.feed(Item::Text(text(frame)));
        within(self.heard.after(self.silence), fed).await
    }

    async fn flush(&mut self) -> Result<(), End> {
        within(self.heard.after(self.silence), self.socket.flush()).await
    }
}

/// Writing that is given up when the server is taken to be gone.
async fn within(
    until: Instant,
    writing: impl Future<Output = Result<(), Error>>,
) -> Result<(), End> {
    match timeout_at(clock::to_tokio(until), writing).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(End::Lost(why(&error))),
        Err(_) => Err(End::Lost("silent".into())),
    }
}

/// Ends the session for good.
async fn farewell(socket: &mut Socket) {
    let talk = async {
        let bye = Frame::Bye(Bye { code: 1000, reason: "done".into(), retry: None });
        socket.feed(Item::Text(text(&bye))).await.ok()?;
        let frame = CloseFrame { code: 1000.into(), reason: "done".into() };
        socket.close(Some(frame)).await.ok()?;
        while let Some(Ok(_)) = socket.next().await {}
        Some(())
    };
    let _heard: Result<Option<()>, _> = timeout(LAST, talk).await;
}
