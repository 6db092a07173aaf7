use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::*;

const STRATEGIES: [EndpointStrategy; 3] =
    [EndpointStrategy::Ordered, EndpointStrategy::RoundRobin, EndpointStrategy::LowestRtt];

fn at(seconds: u64) -> Instant {
    Instant::from_millis(seconds * 1000)
}

fn millis(n: u64) -> Option<Duration> {
    Some(Duration::from_millis(n))
}

fn config(strategy: EndpointStrategy) -> EndpointsConfig {
    EndpointsConfig { strategy, ..EndpointsConfig::default() }
}

fn endpoints(count: usize, strategy: EndpointStrategy, bits: u64) -> Endpoints {
    Endpoints::new(count, &config(strategy), bits).unwrap()
}

#[test]
fn w41_it_stays_where_it_is_while_that_is_well() {
    for strategy in STRATEGIES {
        let mut all = endpoints(3, strategy, 0);
        let begun = all.current();
        for second in 0..1_000 {
            all.succeeded(begun, millis(10));
            assert_eq!(all.failed(at(second), (begun + 1) % 3, second), begun, "{strategy:?}");
        }
    }
}

#[test]
fn w41_failures_rotate_to_the_least_failed() {
    let mut all = endpoints(3, EndpointStrategy::Ordered, 0);
    let visited: Vec<usize> = (0..6).map(|n| all.failed(at(n), all.current(), n)).collect();
    assert_eq!(visited, [1, 2, 0, 1, 2, 0]);
    all.succeeded(0, None);
    assert_eq!(all.failed(at(7), 0, 0), 1, "one failure against two and two, but it just failed");
}

#[test]
fn w41_in_turns_everybody_is_tried_before_anybody_twice() {
    for bits in [0, 1, 7, 1 << 40, u64::MAX] {
        let mut all = endpoints(5, EndpointStrategy::RoundRobin, bits);
        let mut visited = BTreeSet::from([all.current()]);
        for turn in 0..4 {
            let draw = crate::bits::bits(bits, 9, turn);
            assert!(visited.insert(all.failed(at(turn), all.current(), draw)), "{bits}");
        }
        assert_eq!(visited.len(), 5);
    }
}

#[test]
fn w41_a_fleet_whose_endpoint_dies_spreads_over_the_others() {
    for strategy in [EndpointStrategy::RoundRobin, EndpointStrategy::LowestRtt] {
        let mut visited = [0_u32; 4];
        for client in 0..3_000 {
            let mut all = endpoints(4, strategy, crate::bits::bits(1, client, 0));
            if all.current() == 0 {
                visited[all.failed(at(1), 0, crate::bits::bits(1, client, 1))] += 1;
            }
        }
        let clients: u32 = visited.iter().sum();
        assert!((600..900).contains(&clients), "a quarter begins at each: {visited:?}");
        assert_eq!(visited[0], 0);
        assert!(visited[1..].iter().all(|&n| n > clients / 5), "{strategy:?}: {visited:?}");
    }
}

#[test]
fn an_ejection_grows_is_capped_and_drawn() {
    let mut config = config(EndpointStrategy::Ordered);
    let ends = |bits| {
        let mut all = Endpoints::new(1, &config, 0).unwrap();
        let mut ends = Vec::new();
        for _ in 0..10 {
            assert_eq!(all.failed(at(0), 0, bits), 0);
            let until = all.view(at(0), 0).unwrap().ejected_until;
            ends.push(until.map_or(0, |until| until.since(at(0)).as_secs()));
        }
        ends
    };
    assert_eq!(ends(u64::MAX), [0, 0, 10, 20, 40, 80, 160, 300, 300, 300]);
    assert_eq!(ends(0), [0, 0, 5, 10, 20, 40, 80, 150, 150, 150]);
    config.eject_after = 1;
    let mut all = Endpoints::new(1, &config, 0).unwrap();
    all.failed(at(0), 0, u64::MAX);
    assert_eq!(all.view(at(9), 0).unwrap().ejected_until, Some(at(10)));
    assert_eq!(all.view(at(10), 0).unwrap().ejected_until, None);
}

#[test]
fn an_ejected_one_is_passed_over_until_its_time_ends() {
    let mut config = config(EndpointStrategy::Ordered);
    config.eject_after = 2;
    let mut all = Endpoints::new(3, &config, 0).unwrap();
    // The first is ejected by its probes while the second is in use.
    assert_eq!(all.failed(at(0), 0, 0), 1);
    assert_eq!(all.probed(at(0), 0, None, u64::MAX), Probed::Stay);
    all.failed(at(0), 2, 0);
    all.failed(at(0), 2, 0);
    let first = all.view(at(0), 0).unwrap().ejected_until.unwrap();
    let third = all.view(at(0), 2).unwrap().ejected_until.unwrap();
    assert_eq!((first, third), (at(10), at(5)));
    assert_eq!(all.failed(at(1), 1, 0), 1, "the others are ejected and this one is not");
    assert_eq!(all.failed(at(2), 1, u64::MAX), 2, "all are: the one whose time ends first");
}

#[test]
fn w41_only_a_healthy_probe_brings_it_back_to_the_preferred() {
    let mut all = endpoints(3, EndpointStrategy::Ordered, 0);
    assert_eq!(all.probe_due(at(1_000)), None, "the first is in use");
    assert_eq!(all.failed(at(0), 0, 0), 1);
    assert_eq!(all.failed(at(10), 1, 0), 2);
    all.succeeded(2, millis(5));
    assert_eq!((all.probe_due(at(59)), all.deadline()), (None, Some(at(60))));
    assert_eq!(all.probe_due(at(60)), Some(0));
    assert_eq!(all.probe_due(at(61)), Some(0), "until it is told");
    assert_eq!(all.probed(at(61), 0, None, 0), Probed::Stay);
    assert_eq!((all.current(), all.probe_due(at(70))), (2, Some(1)));
    assert_eq!(all.probed(at(70), 1, millis(9), 0), Probed::Migrate { from: 2, to: 1 });
    assert_eq!((all.current(), all.probe_due(at(120))), (1, None));
    assert_eq!(all.probe_due(at(121)), Some(0));
    assert_eq!(all.probed(at(121), 0, millis(9), 0), Probed::Migrate { from: 1, to: 0 });
    assert_eq!((all.probe_due(at(100_000)), all.deadline()), (None, None));
    assert_eq!(all.probed(at(100_000), 2, millis(1), 0), Probed::Stay, "nobody asked for it");
}

#[test]
fn a_dead_one_does_not_keep_another_from_being_asked() {
    let mut all = endpoints(3, EndpointStrategy::Ordered, 0);
    all.failed(at(0), 0, 0);
    all.failed(at(0), 1, 0);
    let mut asked = Vec::new();
    for second in 0..400 {
        while let Some(index) = all.probe_due(at(second)) {
            asked.push(index);
            assert_eq!(all.probed(at(second), index, None, 0), Probed::Stay);
        }
    }
    let of = |wanted| asked.iter().filter(|&&index| index == wanted).count();
    assert!(of(0) >= 3 && of(1) >= 3, "{asked:?}");
}

#[test]
fn w41_by_round_trip_it_moves_only_for_a_real_gain() {
    let mut all = endpoints(3, EndpointStrategy::LowestRtt, 0);
    assert_eq!(all.current(), 0);
    all.succeeded(0, millis(100));
    assert_eq!(all.probe_due(at(0)), Some(1));
    assert_eq!(all.probed(at(0), 1, millis(76), 0), Probed::Stay, "within the margin");
    assert_eq!(all.probe_due(at(0)), Some(2));
    assert_eq!(all.probed(at(0), 2, millis(74), 0), Probed::Migrate { from: 0, to: 2 });
    assert_eq!(all.probe_due(at(59)), None);
    assert_eq!(all.failed(at(60), 2, 0), 1, "the faster of the two that are well");
    assert_eq!(all.view(at(60), 1).unwrap().rtt, millis(76));
}

#[test]
fn senseless_numbers_name_their_field() {
    let fine = EndpointsConfig::default();
    let ejection = BackoffConfig { base: Duration::ZERO, ..fine.ejection };
    let cases = [
        (0, fine, "endpoints"),
        (65, fine, "endpoints"),
        (1, EndpointsConfig { eject_after: 0, ..fine }, "eject_after"),
        (1, EndpointsConfig { eject_after: 1001, ..fine }, "eject_after"),
        (1, EndpointsConfig { ejection, ..fine }, "ejection.base"),
        (1, EndpointsConfig { return_after: Duration::ZERO, ..fine }, "return_after"),
        (1, EndpointsConfig { margin: Ratio::percent(101), ..fine }, "margin"),
    ];
    for (count, config, field) in cases {
        assert_eq!(Endpoints::new(count, &config, 0).unwrap_err().field, field);
    }
    for count in [1, 64] {
        assert_eq!(Endpoints::new(count, &fine, 0).unwrap().count(), count);
    }
}

#[test]
fn an_index_out_of_range_changes_nothing() {
    let mut all = endpoints(2, EndpointStrategy::LowestRtt, 0);
    let before = all.clone();
    all.succeeded(2, millis(1));
    assert_eq!(all.failed(at(1), 9, 0), before.current());
    assert_eq!(all.probed(at(1), 2, millis(1), 0), Probed::Stay);
    assert_eq!((all.view(at(1), 2), all), (None, before));
}

#[derive(Clone, Copy, Debug)]
enum Happened {
    Good,
    Bad,
    Probed(bool),
    Stray(usize),
}

fn script() -> impl Strategy<Value = Vec<(u64, u64, Happened)>> {
    let happened = prop_oneof![
        1 => Just(Happened::Good),
        3 => Just(Happened::Bad),
        3 => any::<bool>().prop_map(Happened::Probed),
        1 => (0..6_usize).prop_map(Happened::Stray),
    ];
    proptest::collection::vec((0..60_u64, any::<u64>(), happened), 0..120)
}

/// The same rules, told as plainly as possible.
struct Naive {
    failures: Vec<u32>,
    until: Vec<Instant>,
    current: usize,
}

impl Naive {
    fn fail(&mut self, machine: &Endpoints, now: Instant, index: usize) {
        self.failures[index] += 1;
        // How long is drawn; that is checked apart.
        self.until[index] = machine.all[index].ejected_until;
        let ejected = self.failures[index] >= machine.eject_after;
        assert_eq!(self.until[index] > now, ejected, "ejected at the threshold and never before");
    }

    /// All that may follow a failure of the present one.
    fn may_follow(&self, strategy: EndpointStrategy, now: Instant) -> Vec<usize> {
        let mut others: Vec<usize> = (0..self.until.len()).collect();
        others.retain(|&i| i != self.current && self.until[i] <= now);
        let Some(least) = others.iter().map(|&i| self.failures[i]).min() else {
            if self.until[self.current] <= now {
                return Vec::from([self.current]);
            }
            let first = *self.until.iter().min().unwrap();
            return self.until.iter().position(|&until| until == first).into_iter().collect();
        };
        others.retain(|&i| self.failures[i] == least);
        if strategy == EndpointStrategy::Ordered {
            others.truncate(1);
        }
        others
    }
}

proptest! {
    #[test]
    fn w41_it_does_what_the_plain_rules_say(
        count in 1..6_usize,
        which in 0..3_usize,
        first in any::<u64>(),
        script in script(),
    ) {
        let strategy = STRATEGIES[which];
        let mut all = endpoints(count, strategy, first);
        let mut naive = Naive {
            failures: alloc::vec![0; count],
            until: alloc::vec![Instant::default(); count],
            current: all.current(),
        };
        let mut now = at(1);
        for (later, bits, happened) in script {
            now = now.after(Duration::from_secs(later));
            let before = all.current();
            prop_assert_eq!(before, naive.current);
            match happened {
                Happened::Good => {
                    all.succeeded(before, millis(bits % 100));
                    naive.failures[before] = 0;
                    naive.until[before] = Instant::default();
                    prop_assert_eq!(all.current(), before, "sticky");
                }
                Happened::Bad => {
                    let after = all.failed(now, before, bits);
                    naive.fail(&all, now, before);
                    let may = naive.may_follow(strategy, now);
                    prop_assert!(may.contains(&after), "{after} of {may:?}");
                    naive.current = after;
                }
                Happened::Probed(good) => {
                    let due = all.probe_due(now);
                    prop_assert_eq!(due.is_some(), all.deadline().is_some_and(|at| at <= now));
                    let Some(index) = due else { continue };
                    prop_assert!(strategy != EndpointStrategy::RoundRobin && index != before);
                    prop_assert!(naive.until[index] <= now, "an ejected one is not asked");
                    let probed = all.probed(now, index, millis(7).filter(|_| good), bits);
                    if good {
                        naive.failures[index] = 0;
                        naive.until[index] = Instant::default();
                    } else {
                        naive.fail(&all, now, index);
                    }
                    match probed {
                        Probed::Stay => prop_assert!(!good || strategy == EndpointStrategy::LowestRtt),
                        Probed::Migrate { from, to } => {
                            prop_assert!(good && (from, to) == (before, index));
                            naive.current = to;
                        }
                    }
                    let again = now.after(Duration::from_secs(59));
                    prop_assert!(all.probe_due(again) != Some(index), "asked again too soon");
                }
                Happened::Stray(index) if index < count && index != before => {
                    prop_assert_eq!(all.failed(now, index, bits), before);
                    naive.fail(&all, now, index);
                }
                Happened::Stray(_) => {}
            }
            prop_assert!(all.current() < count);
            let failures: Vec<u32> = all.all.iter().map(|endpoint| endpoint.failures).collect();
            prop_assert_eq!(&failures, &naive.failures);
        }
    }

    #[test]
    fn any_clock_and_any_draw_leave_one_in_use(
        script in proptest::collection::vec((any::<u64>(), any::<u64>(), 0..3_usize), 0..60),
        which in 0..3_usize,
    ) {
        let mut all = endpoints(3, STRATEGIES[which], 5);
        for (now, bits, index) in script {
            let now = Instant::from_nanos(now);
            prop_assert!(all.failed(now, index, bits) < 3);
            if let Some(due) = all.probe_due(now) {
                prop_assert!(due < 3 && due != all.current());
            }
        }
    }
}
