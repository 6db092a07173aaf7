use alloc::format;

use proptest::prelude::*;

use super::*;

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn four(n: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, n], 443))
}

fn six(n: u8) -> SocketAddr {
    SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(n)], 443))
}

fn race(addresses: &[SocketAddr]) -> Race {
    Race::new(addresses.iter().copied(), Duration::from_millis(250))
}

#[test]
fn w41_the_families_take_turns_and_ipv6_begins() {
    let cases: [(&[SocketAddr], &[SocketAddr]); 5] = [
        (&[], &[]),
        (&[four(1)], &[four(1)]),
        (&[four(1), four(2), six(1)], &[six(1), four(1), four(2)]),
        (&[four(1), six(1), six(2), six(3)], &[six(1), four(1), six(2), six(3)]),
        (&[four(1), four(1), six(1), six(1)], &[six(1), four(1)]),
    ];
    for (given, wanted) in cases {
        assert_eq!(interleaved(given.iter().copied()), wanted, "{given:?}");
    }
}

#[test]
fn w41_one_starts_every_attempt_delay_until_somebody_wins() {
    let mut race = race(&[four(1), four(2), four(3)]);
    let script = [
        (0, RaceInput::Timer, RaceStep::Start(four(1)), Some(at(250))),
        (100, RaceInput::Timer, RaceStep::Wait, Some(at(250))),
        (250, RaceInput::Timer, RaceStep::Start(four(2)), Some(at(500))),
        (300, RaceInput::Failed, RaceStep::Start(four(3)), None),
        (301, RaceInput::Failed, RaceStep::Wait, None),
        (400, RaceInput::Won, RaceStep::Won, None),
        (401, RaceInput::Failed, RaceStep::Won, None),
        (402, RaceInput::Timer, RaceStep::Won, None),
    ];
    for (now, input, step, deadline) in script {
        assert_eq!(race.handle(at(now), input), step, "{input:?} at {now}");
        assert_eq!(race.deadline(), deadline, "after {input:?} at {now}");
    }
}

#[test]
fn a_race_without_runners_is_lost_at_once() {
    let mut race = race(&[]);
    assert_eq!(race.deadline(), None);
    assert_eq!(race.handle(at(0), RaceInput::Timer), RaceStep::Lost);
    assert_eq!(race.handle(at(0), RaceInput::Won), RaceStep::Lost);
}

#[test]
fn failures_start_the_next_at_once_until_all_have_failed() {
    let mut race = race(&[four(1), six(1)]);
    assert_eq!(race.handle(at(0), RaceInput::Timer), RaceStep::Start(six(1)));
    assert_eq!(race.handle(at(1), RaceInput::Failed), RaceStep::Start(four(1)));
    assert_eq!(race.handle(at(2), RaceInput::Failed), RaceStep::Lost);
    assert_eq!(race.handle(at(3), RaceInput::Won), RaceStep::Lost);
}

#[test]
fn the_attempt_delay_is_held_within_what_the_rfc_recommends() {
    for (given, wanted) in [(0, 100), (100, 100), (250, 250), (2_000, 2_000), (9_000, 2_000)] {
        let mut race = Race::new([four(1), four(2)], Duration::from_millis(given));
        assert_eq!(race.handle(at(0), RaceInput::Timer), RaceStep::Start(four(1)));
        assert_eq!(race.deadline(), Some(at(wanted)), "{given} ms");
    }
}

fn addresses() -> impl Strategy<Value = Vec<SocketAddr>> {
    let one = (0..40_u8, any::<bool>()).prop_map(|(n, v4)| if v4 { four(n) } else { six(n) });
    proptest::collection::vec(one, 0..100)
}

proptest! {
    #[test]
    fn everybody_starts_once_and_never_sooner_than_the_rules_allow(
        given in addresses(),
        script in proptest::collection::vec((0..400_u64, 0..3_u8), 0..200),
    ) {
        let mut race = race(&given);
        let mut expected = interleaved(given.iter().copied()).into_iter();
        let (mut now, mut running, mut last) = (0, 0_usize, None::<u64>);
        let mut over = None;
        for (later, what) in script {
            now += later;
            let input = match what {
                0 if running > 0 => RaceInput::Failed,
                1 if running > 0 && later == 7 => RaceInput::Won,
                _ => RaceInput::Timer,
            };
            let step = race.handle(at(now), input);
            if let Some(over) = over {
                prop_assert_eq!(step, over);
                continue;
            }
            let failed = input == RaceInput::Failed;
            running -= usize::from(failed);
            let may = failed || running == 0 || last.is_none_or(|last| now >= last + 250);
            match step {
                RaceStep::Start(address) => {
                    prop_assert!(may, "{address} at {now}, the last at {last:?}");
                    prop_assert_eq!(Some(address), expected.next());
                    running += 1;
                    last = Some(now);
                }
                RaceStep::Wait => prop_assert!(running > 0 && (!may || expected.len() == 0)),
                RaceStep::Won => prop_assert_eq!(input, RaceInput::Won),
                RaceStep::Lost => prop_assert!(running == 0 && expected.len() == 0),
            }
            if matches!(step, RaceStep::Won | RaceStep::Lost) {
                over = Some(step);
            }
        }
    }

    #[test]
    fn at_most_so_many_race(given in addresses()) {
        let order = interleaved(given.iter().copied());
        prop_assert!(order.len() <= ADDRESSES_MAX);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        sorted.dedup();
        prop_assert_eq!(sorted.len(), order.len(), "{}", format!("{order:?}"));
        prop_assert!(order.iter().all(|address| given.contains(address)));
    }
}

#[test]
fn a_clock_that_leaps_wedges_nothing() {
    let mut race = race(&[four(1), four(2)]);
    assert_eq!(race.handle(Instant::MAX, RaceInput::Timer), RaceStep::Start(four(1)));
    assert_eq!(race.handle(at(0), RaceInput::Timer), RaceStep::Wait);
    assert_eq!(race.handle(at(0), RaceInput::Failed), RaceStep::Start(four(2)));
    assert_eq!(race.handle(at(0), RaceInput::Failed), RaceStep::Lost);
}
