//! One part of the registry, by itself: pure, and behind one lock.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use mainstay_core::session::heartbeat::Stretch;
use mainstay_core::session::quality::Quality;
use mainstay_core::session::status::EndReason;
use mainstay_core::time::Instant;

use crate::clock::{Clock, NEVER, Tick};
use crate::config::Rules;
use crate::counts::Counts;
use crate::names::Names;
use crate::table::{CONNECTED, Cold, DISPLACED, Hot, Phase, Warm};
use crate::watch::Bars;
use crate::{Effect, Event, EventId, EventKind, Key, Measured, Origin, SessionId};

mod admit;
mod beat;
mod end;
mod expect;
mod rest;
mod restore;
mod sweep;
mod view;

pub(crate) use expect::Expectation;
pub(crate) use sweep::{Swept, Verdict};

/// Slots that a name can tell.
const SLOTS_MAX: usize = 1 << 24;

#[derive(Debug)]
pub(crate) struct Shard {
    rules: Rules,
    clock: Clock,
    /// The origin that it was made with.
    first: Instant,
    number: u8,
    hot: Vec<Hot>,
    warm: Vec<Warm>,
    cold: Vec<Cold>,
    /// When there is something to do next. Written when that becomes sooner; what became later is
    /// found out when the old time comes.
    deadline: Vec<Tick>,
    /// Not later than any deadline.
    next_due: Tick,
    /// Free slots; some of them may have been taken since.
    free: Vec<u32>,
    /// Sessions that are not in the slot that their name tells.
    displaced: HashMap<u128, u32>,
    users: Names,
    organisations: Names,
    client_types: Names,
    client_versions: Names,
    counts: Counts,
    /// Beats in 1000 s, of excellent sessions and of others.
    rates: [u64; 2],
    stress: u8,
    stretch: Stretch,
    watched: HashMap<u32, Bars>,
    expected: HashMap<u32, Expectation>,
    /// Sessions that are over, in that order.
    ended: VecDeque<u32>,
    /// Sessions that end as soon as the store has them.
    doomed: HashMap<u32, EndReason>,
    /// Restored sessions that lost their connection, which the history does not say yet.
    untold: BTreeSet<u32>,
    last_event: EventId,
    /// What beats said since somebody asked.
    measured: Measured,
    /// Sessions of all shards that are not over.
    live: Arc<AtomicU32>,
    effects: Vec<Effect>,
}

/// What a session with a connection adds to counts.
#[derive(Clone, Copy)]
struct Share {
    quality: Quality,
    latency_us: Option<u32>,
    rate: u64,
}

impl Shard {
    pub(crate) fn new(rules: Rules, origin: Origin, number: u8, live: Arc<AtomicU32>) -> Self {
        Self {
            rules,
            clock: Clock::new(origin),
            first: origin.now,
            number,
            hot: Vec::new(),
            warm: Vec::new(),
            cold: Vec::new(),
            deadline: Vec::new(),
            next_due: NEVER,
            free: Vec::new(),
            displaced: HashMap::new(),
            users: Names::default(),
            organisations: Names::default(),
            client_types: Names::default(),
            client_versions: Names::default(),
            counts: Counts::default(),
            rates: [0; 2],
            stress: 0,
            stretch: Stretch::default(),
            watched: HashMap::new(),
            expected: HashMap::new(),
            ended: VecDeque::new(),
            doomed: HashMap::new(),
            untold: BTreeSet::new(),
            measured: Measured::default(),
            last_event: EventId { unix_ms: 0, nr: 0 },
            live,
            effects: Vec::new(),
        }
    }

    pub(crate) fn drain(&mut self, into: &mut Vec<Effect>) {
        into.append(&mut self.effects);
    }

    /// Tells what concerns all shards.
    pub(crate) fn alarm(&mut self, alarms: Vec<Effect>) {
        self.effects.extend(alarms);
    }

    pub(crate) const fn has_effects(&self) -> bool {
        !self.effects.is_empty()
    }

    /// The slot of this connection; none when there is a newer one, or the session is not here.
    fn slot_of(&self, key: Key) -> Option<usize> {
        let slot = key.slot as usize;
        let hot = self.hot.get(slot)?;
        (hot.check == key.session.check(key.generation)).then_some(slot)
    }

    /// The slot of this session: where its name says, or where the map does.
    fn find(&self, session: SessionId) -> Option<usize> {
        if !session.is_ours() {
            return None;
        }
        let hint = session.slot() as usize;
        if let Some(hot) = self.hot.get(hint)
            && hot.check & !crate::id::PLACE == session.check(0)
            && !hot.is(DISPLACED)
        {
            return Some(hint);
        }
        self.displaced.get(&session.to_bits()).map(|slot| *slot as usize)
    }

    fn key(&self, slot: usize) -> Key {
        let generation = self.hot[slot].generation();
        Key { session: self.cold[slot].id(), generation, slot: number(slot) }
    }

    /// Takes a free slot, or makes one; none when there are as many as a name can tell.
    fn take_slot(&mut self) -> Option<usize> {
        while let Some(slot) = self.free.pop() {
            if self.cold[slot as usize].phase == Phase::Free {
                return Some(slot as usize);
            }
        }
        (self.hot.len() < SLOTS_MAX).then(|| self.add_slot())
    }

    /// Room for so many sessions more, so that the columns do not grow step by step; never for more
    /// than a name can tell.
    pub(crate) fn make_room(&mut self, sessions: usize) {
        let sessions = sessions.min(SLOTS_MAX.saturating_sub(self.hot.len()));
        self.hot.reserve_exact(sessions);
        self.warm.reserve_exact(sessions);
        self.cold.reserve_exact(sessions);
        self.deadline.reserve_exact(sessions);
        self.users.reserve(sessions);
    }

    fn add_slot(&mut self) -> usize {
        let slot = self.hot.len();
        if slot == self.hot.capacity() {
            // An eighth at a time: doubling would hold up to twice the memory that is used.
            let more = (slot / 8).max(64);
            self.hot.reserve_exact(more);
            self.warm.reserve_exact(more);
            self.cold.reserve_exact(more);
            self.deadline.reserve_exact(more);
        }
        self.hot.push(Hot::default());
        self.warm.push(Warm::new(self.rules.heartbeat.start()));
        self.cold.push(Cold::free());
        self.deadline.push(NEVER);
        slot
    }

    /// The session leaves its slot; its names go when it was the last that held them.
    fn free_slot(&mut self, slot: usize) {
        let place = number(slot);
        let cold = std::mem::replace(&mut self.cold[slot], Cold::free());
        if self.hot[slot].is(DISPLACED) {
            self.displaced.remove(&cold.id().to_bits());
        }
        self.hot[slot] = Hot::default();
        self.deadline[slot] = NEVER;
        self.watched.remove(&place);
        self.expected.remove(&place);
        self.doomed.remove(&place);
        self.untold.remove(&place);
        if cold.user > 0 {
            self.users.leave(cold.user - 1, place);
            self.users.release(cold.user - 1);
        }
        self.organisations.leave(cold.organisation, place);
        self.organisations.release(cold.organisation);
        self.client_types.release(cold.client_type);
        self.client_versions.release(cold.client_version);
        self.free.push(place);
    }

    fn arm(&mut self, slot: usize, tick: Tick) {
        self.deadline[slot] = tick;
        self.next_due = self.next_due.min(tick);
    }

    /// When there is something to do next.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        (self.next_due != NEVER).then(|| self.clock.instant(self.next_due))
    }

    /// Changes what counts depend on, and the counts with it.
    fn change(&mut self, slot: usize, change: impl FnOnce(&mut Hot, &mut Warm, &mut Cold)) {
        self.tally(slot, false);
        let (hot, cold) = (&mut self.hot[slot], &mut self.cold[slot]);
        change(hot, &mut self.warm[slot], cold);
        if cold.phase == Phase::Connected {
            hot.set(CONNECTED);
        } else {
            hot.clear(CONNECTED);
        }
        self.tally(slot, true);
    }

    /// Adds a session to the counts, or takes it out; call it around every change of its phase or
    /// its attempts.
    fn tally(&mut self, slot: usize, add: bool) {
        let cold = &self.cold[slot];
        let Some(status) = cold.phase.status() else { return };
        let attempts = match cold.phase {
            Phase::Connected | Phase::Suspended | Phase::Reconnecting => u64::from(cold.attempts),
            Phase::Free | Phase::Registering | Phase::Disconnected | Phase::Failed => 0,
        };
        let counts = &mut self.counts;
        step(counts.status_mut(status), 1, add);
        step(&mut counts.reconnect_attempts, attempts, add);
        step(&mut counts.with_attempts, u64::from(attempts > 0), add);
        let share = self.share(slot);
        self.tally_share(share, add);
    }

    /// What it adds while it has a connection.
    fn share(&self, slot: usize) -> Option<Share> {
        let (hot, warm) = (&self.hot[slot], &self.warm[slot]);
        hot.is(CONNECTED).then(|| Share {
            quality: warm.grade.quality(),
            latency_us: hot.smoothed.us(),
            rate: 1_000_000 / u64::try_from(warm.rhythm.interval().as_millis()).unwrap_or(1).max(1),
        })
    }

    fn tally_share(&mut self, share: Option<Share>, add: bool) {
        let Some(share) = share else { return };
        step(&mut self.counts.by_quality[share.quality as usize], 1, add);
        step(&mut self.rates[usize::from(share.quality != Quality::Excellent)], share.rate, add);
        if let Some(latency) = share.latency_us {
            step(&mut self.counts.measured, 1, add);
            step(&mut self.counts.latency_us, u64::from(latency), add);
        }
    }

    /// Adds to the history of a session what another event follows at once, which brings the row.
    fn tell_first(&mut self, now: Instant, slot: usize, kind: EventKind) {
        self.tell_loss(now, slot);
        let event = self.event(now, slot, kind);
        self.effects.push(Effect::Store {
            session: event.session,
            generation: event.generation,
            record: None,
            remove: false,
            event: Some(event),
        });
    }

    /// Adds to the history of a session, together with what the session is now.
    fn tell(&mut self, now: Instant, slot: usize, kind: EventKind) {
        self.tell_loss(now, slot);
        let event = self.event(now, slot, kind);
        let record = Some(Box::new(self.record(slot)));
        let (session, generation) = (event.session, event.generation);
        let event = Some(event);
        self.effects.push(Effect::Store { session, generation, record, remove: false, event });
    }

    /// The next event of a session.
    fn event(&mut self, now: Instant, slot: usize, kind: EventKind) -> Event {
        let id = self.next_event(now);
        self.cold[slot].seq = self.cold[slot].seq.saturating_add(1);
        let cold = &self.cold[slot];
        let user = cold.user.checked_sub(1).map(|user| self.users.name(user).into());
        Event {
            id,
            session: cold.id(),
            generation: u64::from(self.hot[slot].generation()),
            seq: u64::from(cold.seq),
            user,
            organisation: self.organisations.name(cold.organisation).into(),
            kind,
        }
    }

    /// The next place in the history: never before the last one.
    fn next_event(&mut self, now: Instant) -> EventId {
        let unix_ms = self.clock.unix_ms(now);
        let (last, shard) = (self.last_event, u64::from(self.number));
        self.last_event = if unix_ms > last.unix_ms {
            EventId { unix_ms, nr: shard }
        } else {
            // The lower six bits tell the shard.
            EventId { unix_ms: last.unix_ms, nr: (last.nr & !0x3F) + 0x40 + shard }
        };
        self.last_event
    }

    /// How often the session in this slot is asked, as it was told.
    fn told(&self, slot: usize) -> Duration {
        Duration::from_millis(u64::from(self.warm[slot].told) * 10)
    }

    /// Tells a session in this slot its interval from now on; answers whether that is news.
    fn retell(&mut self, slot: usize) -> bool {
        let warm = &mut self.warm[slot];
        let stretch = self.stretch.of(warm.grade.quality());
        let interval = self.rules.heartbeat.effective(warm.rhythm, stretch, self.stress);
        let told = u16::try_from(interval.as_millis() / 10).unwrap_or(u16::MAX);
        std::mem::replace(&mut warm.told, told) != told
    }
}

const fn step(count: &mut u64, by: u64, add: bool) {
    if add {
        *count += by;
    } else {
        *count -= by;
    }
}

fn number(slot: usize) -> u32 {
    u32::try_from(slot).expect("a shard holds at most 2^24 slots")
}
