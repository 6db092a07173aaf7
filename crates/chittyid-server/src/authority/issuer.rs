//! One thread that gives numbers: whatever was asked for while one commit was under way is the next
//! one. So no number is given twice, and none is lost to a race.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use chittyid::EntityType;
use mainstay::clock;
use mainstay_store::{Change, Conflict, Store, StoreError, Ticket, Writer};
use serde_json::{Map, Value};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::plan::Plan;
use super::row::{ANSWERS, AUDIT, Answered, Entry, IDS, Minted, SEQUENCES, audit_key, read};
use super::{Capacity, Mint, MintError};
use crate::{AuthorityConfig, Caller};

/// Orders in one commit.
const BATCH: usize = 1_024;
/// Orders that may wait.
pub(super) const WAITING_MAX: usize = 8_192;
/// How often an order is tried when somebody else writes the same sequences.
const ATTEMPTS: usize = 16;

/// Ids that somebody wants, all or none of them.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) wanted: Vec<Wanted>,
    /// Under which key it was asked for, and what was asked.
    pub(super) once: Option<Once>,
    pub(super) caller: Caller,
    /// When it was asked for: milliseconds since 1970, with the year and month of that.
    pub(super) at: When,
    pub(super) answer: oneshot::Sender<Result<Mint, MintError>>,
}

#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) entity: EntityType,
    pub(super) name: Option<String>,
    pub(super) metadata: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Once {
    /// Hash of caller and key.
    pub(super) key: [u8; 32],
    /// Hash of the request.
    pub(super) digest: String,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct When {
    pub(super) unix_ms: u64,
    pub(super) year: u16,
    pub(super) month: u8,
}

/// What the thread is asked for.
#[derive(Debug)]
pub(super) enum Job {
    Mint(Order),
    /// Drops those of these answers that are still too old. Here, since an answer must not be
    /// dropped that was just given anew under an old key.
    Drop {
        keys: Vec<Vec<u8>>,
        now: u64,
        dropped: std::sync::mpsc::Sender<Result<usize, StoreError>>,
    },
}

/// The thread. Dropped, it serves what was ordered, and ends.
#[derive(Debug)]
pub(super) struct Issuer {
    /// There until the thread is to end.
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

struct Work {
    config: AuthorityConfig,
    store: Arc<dyn Store>,
    writer: Arc<Writer>,
    capacity: Arc<Capacity>,
    /// The next number of each sequence; those of months that are over are few and stay.
    next: HashMap<String, u64>,
}

/// An order whose ids are on their way to the disk.
struct Given {
    order: Order,
    mint: Mint,
    sequences: Vec<String>,
    ticket: Ticket,
    /// Orders of the same caller under the same key, which are answered as this one.
    same: Vec<Order>,
}

impl Issuer {
    pub(super) fn start(
        config: &AuthorityConfig,
        store: Arc<dyn Store>,
        writer: Arc<Writer>,
        capacity: Arc<Capacity>,
    ) -> std::io::Result<Self> {
        let (jobs, waiting) = mpsc::channel(WAITING_MAX);
        let config = config.clone();
        let work = Work { config, store, writer, capacity, next: HashMap::new() };
        let thread =
            std::thread::Builder::new().name("chittyid".into()).spawn(move || work.run(waiting))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Asks the thread, if it is there and has room.
    pub(super) fn ask(&self, job: Job) -> Result<(), MintError> {
        let Some(jobs) = &self.jobs else { return Err(MintError::Stopping) };
        jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => MintError::Busy,
            TrySendError::Closed(_) => MintError::Stopping,
        })
    }

    /// Whether the thread is there.
    pub(super) fn is_alive(&self) -> bool {
        self.jobs.as_ref().is_some_and(|jobs| !jobs.is_closed())
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        // Whoever opens the store next finds it closed.
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that mints ended by a panic");
        }
    }
}

impl Work {
    fn run(mut self, mut waiting: mpsc::Receiver<Job>) {
        while let Some(first) = waiting.blocking_recv() {
            let (mut orders, mut drops) = (Vec::new(), Vec::new());
            let mut next = Some(first);
            while let Some(job) = next {
                match job {
                    Job::Mint(order) => orders.push(order),
                    Job::Drop { keys, now, dropped } => drops.push((keys, now, dropped)),
                }
                next = if orders.len() < BATCH { waiting.try_recv().ok() } else { None };
            }
            for attempt in 1..=ATTEMPTS {
                orders = self.serve(orders, attempt == ATTEMPTS);
                if orders.is_empty() {
                    break;
                }
            }
            for (keys, now, dropped) in drops {
                // Whoever asked may have gone.
                let _gone: Result<(), _> = dropped.send(self.drop_answers(keys, now));
            }
        }
    }

    /// Gives what can be given; answers the orders to be tried again, unless this is the `last` try.
    fn serve(&mut self, orders: Vec<Order>, last: bool) -> Vec<Order> {
        let mut given: Vec<Given> = Vec::new();
        let mut by_key: HashMap<[u8; 32], usize> = HashMap::new();
        for order in orders {
            let key = order.once.as_ref().map(|once| once.key);
            if let Some(first) = key.and_then(|key| by_key.get(&key)) {
                given[*first].same.push(order);
                continue;
            }
            match self.give(&order) {
                Ok(Begun::Known(mint)) => answer(order, Ok(mint)),
                Ok(Begun::New { mint, sequences, ticket }) => {
                    if let Some(key) = key {
                        by_key.insert(key, given.len());
                    }
                    given.push(Given { order, mint, sequences, ticket, same: Vec::new() });
                }
                Err(error) => answer(order, Err(error)),
            }
        }
        let mut again = Vec::new();
        for one in given {
            self.finish(one, last, &mut again);
        }
        again
    }

    fn finish(&mut self, given: Given, last: bool, again: &mut Vec<Order>) {
        let Given { order, mint, sequences, ticket, same } = given;
        match ticket.wait() {
            Ok(()) => {
                for other in same {
                    let result = if other.once == order.once {
                        Ok(Mint { repeated: true, ..mint.clone() })
                    } else {
                        Err(MintError::KeyReused)
                    };
                    answer(other, result);
                }
                answer(order, Ok(mint));
            }
            Err(error) => {
                // What the store has is not what was thought; it is asked anew.
                for sequence in sequences {
                    self.next.remove(&sequence);
                }
                // Somebody else took the number, or was asked under the same key.
                let is_race = matches!(
                    error,
                    StoreError::Conflict(Conflict::Moved { .. } | Conflict::Claimed { .. })
                );
                if is_race && !last {
                    again.push(order);
                    again.extend(same);
                    return;
                }
                for other in same {
                    answer(other, Err(MintError::from(error.clone())));
                }
                answer(order, Err(MintError::from(error)));
            }
        }
    }

    fn give(&mut self, order: &Order) -> Result<Begun, MintError> {
        let before = match &order.once {
            Some(once) => before(&self.config, &*self.store, once, order.at.unix_ms)?,
            None => Before::Nothing,
        };
        if let Before::Answered(mint) = before {
            return Ok(Begun::Known(mint));
        }
        let is_outdated = matches!(before, Before::Outdated);
        let (mut changes, mut minted, mut sequences) = (Vec::new(), Vec::new(), Vec::new());
        let mut taken: HashMap<String, u64> = HashMap::new();
        let config = self.config.clone();
        let period = Plan::period(&config, order.at.year, order.at.month);
        for wanted in &order.wanted {
            let plan = Plan::of(&config, wanted.entity, order.at.year, order.at.month);
            let sequence = plan.sequence();
            let number = match taken.get(&sequence) {
                Some(number) => *number,
                None => self.next(&sequence)?,
            };
            let limit = plan.capacity();
            if number > limit {
                // None of this order is given: what it began to take is left.
                let left = limit + 1 - self.next(&sequence)?.min(limit + 1);
                self.capacity.note((&sequence, period), limit, left);
                return Err(MintError::Exhausted { sequence, limit, left });
            }
            let id = plan.id(number).map_err(MintError::Build)?;
            let one = Minted {
                id,
                entity: wanted.entity,
                name: wanted.name.clone(),
                metadata: wanted.metadata.clone(),
                minted_at: order.at.unix_ms,
                by: order.caller.name.to_string(),
            };
            let key = sequence.as_bytes().into();
            changes.push(Change::Take { area: SEQUENCES, key, number, limit });
            changes.push(Change::claim(IDS, id.as_str().as_bytes(), &json(&one)));
            minted.push(one);
            taken.insert(sequence.clone(), number + 1);
            sequences.push((sequence, limit));
        }
        changes.extend(notes(order, &minted, is_outdated));
        let ticket = self.writer.submit_blocking(changes)?;
        for (sequence, limit) in &sequences {
            let next = taken.get(sequence).copied().unwrap_or(limit + 1);
            self.capacity.note((sequence, period), *limit, limit + 1 - next);
            self.next.insert(sequence.clone(), next);
        }
        let sequences = sequences.into_iter().map(|(sequence, _)| sequence).collect();
        Ok(Begun::New { mint: Mint { minted, repeated: false }, sequences, ticket })
    }

    fn next(&self, sequence: &str) -> Result<u64, MintError> {
        if let Some(next) = self.next.get(sequence) {
            return Ok(*next);
        }
        Ok(self.store.next_number(SEQUENCES, sequence.as_bytes())?)
    }

    fn drop_answers(&self, keys: Vec<Vec<u8>>, now: u64) -> Result<usize, StoreError> {
        let (mut changes, area) = (Vec::new(), ANSWERS);
        for key in keys {
            let Some(row) = self.store.value(area, &key)? else { continue };
            let answered: Answered = read(area, &row)?;
            if is_outdated(&answered, now, self.config.idempotency_for) {
                changes.push(Change::RemoveValue { area, key: key.into() });
            }
        }
        let dropped = changes.len();
        if dropped > 0 {
            self.writer.submit_blocking(changes)?.wait()?;
        }
        Ok(dropped)
    }
}

/// What was answered under that key before. Blocks.
pub(super) fn before(
    config: &AuthorityConfig,
    store: &dyn Store,
    once: &Once,
    now: u64,
) -> Result<Before, MintError> {
    let Some(row) = store.value(ANSWERS, &once.key)? else { return Ok(Before::Nothing) };
    let found: Answered = read(ANSWERS, &row)?;
    if is_outdated(&found, now, config.idempotency_for) {
        return Ok(Before::Outdated);
    }
    if found.digest != once.digest {
        return Err(MintError::KeyReused);
    }
    let minted = found.ids.iter().map(|id| match minted(store, id.as_str()) {
        Ok(Some(one)) => Ok(one),
        Ok(None) => Err(MintError::Lost(*id)),
        Err(error) => Err(MintError::from(error)),
    });
    let minted = minted.collect::<Result<_, _>>()?;
    Ok(Before::Answered(Mint { minted, repeated: true }))
}

/// What was answered under a key before.
pub(super) enum Before {
    Nothing,
    /// So long ago that it counts no more.
    Outdated,
    Answered(Mint),
}

/// Whether an answer is too old to be given again.
pub(super) fn is_outdated(answered: &Answered, now: u64, kept_for: Duration) -> bool {
    u128::from(now.saturating_sub(answered.at)) > kept_for.as_millis()
}

enum Begun {
    /// It was answered before.
    Known(Mint),
    New {
        mint: Mint,
        sequences: Vec<String>,
        ticket: Ticket,
    },
}

/// What is stored beside the ids: the audit entry, and what to answer next time.
fn notes(order: &Order, minted: &[Minted], is_outdated: bool) -> Vec<Change> {
    let at = order.at.unix_ms;
    let entry = Entry {
        at,
        what: "mint".into(),
        ids: minted.iter().map(|one| one.id.to_string()).collect(),
        by: order.caller.name.to_string(),
        key: order.caller.key.clone(),
        address: order.caller.address.map(|address| address.to_string()),
        outcome: "minted".into(),
    };
    let audit = Change::put_value(AUDIT, &audit_key(at, clock::draw()), &json(&entry));
    let answered = order.once.as_ref().map(|once| {
        let ids = minted.iter().map(|one| one.id).collect();
        let answered = Answered { digest: once.digest.clone(), at, ids };
        // Of two authorities on one store that are asked at the same moment, one is to answer.
        if is_outdated {
            Change::put_value(ANSWERS, &once.key, &json(&answered))
        } else {
            Change::claim(ANSWERS, &once.key, &json(&answered))
        }
    });
    std::iter::once(audit).chain(answered).collect()
}

/// What is known of an id.
pub(super) fn minted(store: &dyn Store, id: &str) -> Result<Option<Minted>, StoreError> {
    store.value(IDS, id.as_bytes())?.map(|row| read(IDS, &row)).transpose()
}

fn answer(order: Order, result: Result<Mint, MintError>) {
    // Whoever asked may have gone.
    let _gone: Result<(), _> = order.answer.send(result);
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    // Strings as keys, and no number that JSON cannot have.
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use mainstay_store::{MemoryStore, StoreConfig};

    use super::*;

    fn work() -> Work {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let writer = Arc::new(Writer::start(store.clone(), &StoreConfig::default()).unwrap());
        let config = AuthorityConfig::default();
        Work { config, store, writer, capacity: Arc::default(), next: HashMap::new() }
    }

    fn order(key: u8) -> (Order, oneshot::Receiver<Result<Mint, MintError>>) {
        let (answer, answered) = oneshot::channel();
        let (name, metadata) = (None, Map::new());
        let wanted = vec![Wanted { entity: EntityType::Person, name, metadata }];
        let once = Some(Once { key: [key; 32], digest: "asked".into() });
        let caller = Caller { name: "ann".into(), key: None, address: None, is_admin: false };
        let at = When { unix_ms: 1_800_000_000_000, year: 2027, month: 1 };
        (Order { wanted, once, caller, at, answer }, answered)
    }

    #[test]
    fn of_two_answers_under_one_key_the_store_takes_one() {
        let order = order(1).0;
        let answers = |is_outdated| notes(&order, &[], is_outdated).pop().unwrap();
        assert!(matches!(answers(false), Change::Claim { area, .. } if area == ANSWERS));
        assert!(matches!(answers(true), Change::PutValue { area, .. } if area == ANSWERS));
    }

    #[test]
    fn an_order_that_somebody_else_was_faster_with_is_tried_again_and_not_for_ever() {
        let mut work = work();
        // Somebody else took a number that this one thinks is free.
        let (taken, key) = (plan_of(&work), 1);
        let take =
            Change::Take { area: SEQUENCES, key: taken.as_bytes().into(), number: 1, limit: 9 };
        work.store.commit(&[take]).unwrap();
        work.next.insert(taken, 1);
        let (first, mut answered) = order(key);
        let again = work.serve(vec![first], false);
        assert_eq!(again.len(), 1);
        assert!(answered.try_recv().is_err(), "nobody is told yet");
        assert!(work.serve(again, false).is_empty());
        let mint = answered.try_recv().unwrap().unwrap();
        assert_eq!(mint.minted[0].id, "CT-A-CHI-0002-P-27-A-0");
        // Somebody claimed what comes next: the last try says so.
        let claim = Change::claim(IDS, b"CT-A-CHI-0003-P-27-A-0", b"{}");
        work.store.commit(&[claim]).unwrap();
        let (next, mut answered) = order(2);
        let again = work.serve(vec![next], false);
        assert_eq!(again.len(), 1);
        assert!(work.serve(again, true).is_empty());
        let error = answered.try_recv().unwrap().unwrap_err();
        assert!(matches!(error, MintError::Store(StoreError::Conflict(_))), "{error:?}");
    }

    fn plan_of(work: &Work) -> String {
        Plan::of(&work.config, EntityType::Person, 2027, 1).sequence()
    }
}
