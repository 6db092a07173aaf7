use super::{Bulkhead, BulkheadConfig, Full, Queue, QueueFull, Slot, Ticket, Turn};
use crate::time::Instant;
use core::time::Duration;
use proptest::prelude::{Just, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy;
use std::vec::Vec;

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn config(max: u32, max_queue: u32) -> BulkheadConfig {
    BulkheadConfig { max, max_queue, ..BulkheadConfig::default() }
}

fn queue(max_queue: u32) -> Queue {
    Queue::new(&config(1, max_queue)).unwrap()
}

#[test]
fn as_many_run_as_there_are_slots() {
    let bulkhead = Bulkhead::new(&config(2, 0)).unwrap();
    let (first, second) = (bulkhead.try_acquire().unwrap(), bulkhead.try_acquire().unwrap());
    assert_eq!(bulkhead.try_acquire(), Err(Full { max: 2 }));
    assert!(bulkhead.release(first));
    let third = bulkhead.try_acquire().unwrap();
    assert!(bulkhead.release(second) && bulkhead.release(third));
    assert_eq!(bulkhead.in_use(), 0);
}

#[test]
fn u02_a_slot_from_before_a_clear_frees_no_slot_of_after() {
    let bulkhead = Bulkhead::new(&config(1, 0)).unwrap();
    let old = bulkhead.try_acquire().unwrap();
    bulkhead.clear();
    let new = bulkhead.try_acquire().unwrap();
    assert!(!bulkhead.release(old));
    assert_eq!(bulkhead.in_use(), 1);
    assert!(bulkhead.release(new));
    assert_eq!(bulkhead.in_use(), 0);
}

#[test]
fn fewer_slots_take_none_away_and_give_none_out() {
    let bulkhead = Bulkhead::new(&config(3, 0)).unwrap();
    let mut slots: Vec<Slot> = (0..3).map(|_| bulkhead.try_acquire().unwrap()).collect();
    bulkhead.resize(1);
    for left in [2, 1] {
        assert!(bulkhead.release(slots.pop().unwrap()));
        assert_eq!(bulkhead.in_use(), left);
        assert_eq!(bulkhead.try_acquire(), Err(Full { max: 1 }));
    }
    bulkhead.resize(0);
    assert_eq!(bulkhead.max(), 1);
    assert!(bulkhead.release(slots.pop().unwrap()));
}

#[test]
fn u01_a_waiter_that_left_blocks_nobody() {
    let mut queue = queue(2);
    let gone = queue.enqueue(at(0), Instant::MAX).unwrap();
    let waits = queue.enqueue(at(0), Instant::MAX).unwrap();
    assert_eq!(queue.enqueue(at(0), Instant::MAX), Err(QueueFull));
    assert!(queue.leave(gone));
    assert!(!queue.leave(gone));
    let third = queue.enqueue(at(0), Instant::MAX).unwrap();
    assert_eq!(queue.dequeue(at(1)), Turn::Run(waits));
    assert_eq!(queue.dequeue(at(1)), Turn::Run(third));
    assert_eq!(queue.dequeue(at(1)), Turn::Nobody);
}

#[test]
fn u01_an_expired_waiter_never_runs() {
    let mut queue = queue(3);
    let hurried = queue.enqueue(at(0), at(100)).unwrap();
    let patient = queue.enqueue(at(0), Instant::MAX).unwrap();
    assert_eq!(queue.next_deadline(), Some(at(100)));
    assert_eq!(queue.dequeue(at(100)), Turn::Expired(hurried));
    assert_eq!(queue.next_deadline(), Some(at(1_000)));
    assert_eq!(queue.dequeue(at(1_000)), Turn::Expired(patient), "the longest wait is 1 s");
}

#[test]
fn without_a_queue_nobody_waits() {
    assert_eq!(queue(0).enqueue(at(0), Instant::MAX), Err(QueueFull));
}

#[test]
fn b28_a_bulkhead_that_makes_no_sense_is_refused_by_the_name_of_its_field() {
    let good = BulkheadConfig::default();
    let cases = [
        (BulkheadConfig { max: 0, ..good }, "max"),
        (BulkheadConfig { max_queue: 100_001, ..good }, "max_queue"),
        (BulkheadConfig { max_wait: Duration::MAX, ..good }, "max_wait"),
    ];
    for (config, field) in cases {
        assert_eq!(Bulkhead::new(&config).unwrap_err().field, field);
        assert_eq!(Queue::new(&config).unwrap_err().field, field);
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Acquire,
    Release(usize),
    Resize(u32),
    Clear,
}

#[derive(Clone, Copy, Debug)]
enum Move {
    Enqueue(u64),
    Dequeue,
    Leave(usize),
    To(u64),
}

proptest! {
    #[test]
    fn u02_every_script_equals_a_list_of_slots(
        steps in proptest::collection::vec(prop_oneof![
            6 => Just(Step::Acquire),
            4 => any::<usize>().prop_map(Step::Release),
            1 => (1..5_u32).prop_map(Step::Resize),
            1 => Just(Step::Clear),
        ], 1..200),
    ) {
        let bulkhead = Bulkhead::new(&config(2, 0)).unwrap();
        let (mut max, mut life, mut held) = (2_usize, 0_u32, Vec::new());
        for step in steps {
            let alive = held.iter().filter(|(of, _)| *of == life).count();
            match step {
                Step::Acquire => {
                    let slot = bulkhead.try_acquire();
                    prop_assert_eq!(slot.is_ok(), alive < max);
                    held.extend(slot.map(|slot| (life, slot)));
                }
                Step::Release(index) if !held.is_empty() => {
                    let (of, slot) = held.swap_remove(index % held.len());
                    prop_assert_eq!(bulkhead.release(slot), of == life);
                }
                Step::Release(_) => {}
                Step::Resize(to) => {
                    max = to as usize;
                    bulkhead.resize(to);
                }
                Step::Clear => {
                    life += 1;
                    bulkhead.clear();
                }
            }
            let alive = held.iter().filter(|(of, _)| *of == life).count();
            prop_assert_eq!(bulkhead.in_use() as usize, alive);
        }
    }

    #[test]
    fn u01_every_script_equals_a_list_of_waiters(
        moves in proptest::collection::vec(prop_oneof![
            6 => (0..4_000_u64).prop_map(Move::Enqueue),
            4 => Just(Move::Dequeue),
            2 => any::<usize>().prop_map(Move::Leave),
            2 => (0..3_000_u64).prop_map(Move::To),
        ], 1..200),
    ) {
        let mut queue = queue(4);
        let (mut now, mut list): (u64, Vec<(Ticket, u64)>) = (0, Vec::new());
        for step in moves {
            match step {
                Move::Enqueue(deadline) => {
                    let ticket = queue.enqueue(at(now), at(deadline));
                    prop_assert_eq!(ticket.is_ok(), list.len() < 4);
                    list.extend(ticket.map(|ticket| (ticket, deadline.min(now + 1_000))));
                }
                Move::Dequeue => {
                    let turn = if list.is_empty() {
                        Turn::Nobody
                    } else {
                        let (ticket, deadline) = list.remove(0);
                        if deadline <= now { Turn::Expired(ticket) } else { Turn::Run(ticket) }
                    };
                    prop_assert_eq!(queue.dequeue(at(now)), turn);
                }
                Move::Leave(index) if !list.is_empty() => {
                    let (ticket, _) = list.remove(index % list.len());
                    prop_assert!(queue.leave(ticket) && !queue.leave(ticket));
                }
                Move::Leave(_) => {}
                Move::To(time) => now = time,
            }
            prop_assert_eq!(queue.len(), list.len());
            let first = list.iter().map(|(_, deadline)| at(*deadline)).min();
            prop_assert_eq!(queue.next_deadline(), first);
        }
    }
}
