use std::time::Duration;

use mainstay_core::time::Instant;
use mainstay_monitor::overload::{Level, Overload, STRESS_MAX, Sample};

const TICK: Duration = Duration::from_secs(10);

fn late(millis: u64) -> Sample {
    Sample { lag: Duration::from_millis(millis), ..Sample::default() }
}

/// Observes them one after the other, ten seconds apart, and answers the last level.
fn after(judge: &mut Overload, now: &mut Instant, samples: &[Sample]) -> Level {
    let mut level = judge.level();
    for sample in samples {
        *now = now.after(TICK);
        level = judge.observe(*now, sample);
    }
    level
}

#[test]
fn a_busy_machine_is_not_an_overloaded_one() {
    let (mut judge, mut now) = (Overload::default(), Instant::default());
    let busy = Sample { cpu_some: Some(0.95), ..late(5) };
    assert_eq!(after(&mut judge, &mut now, &[busy; 20]), Level::Normal);
    assert_eq!((judge.number(now), judge.stress()), (0.5, 0));
    assert_eq!(judge.reasons(), ["processors"]);
}

#[test]
fn lag_elevates_at_once_and_overloads_when_it_held_three_times_of_five() {
    let (mut judge, mut now) = (Overload::default(), Instant::default());
    assert_eq!(after(&mut judge, &mut now, &[late(60)]), Level::Elevated);
    assert_eq!(after(&mut judge, &mut now, &[late(30)]), Level::Elevated, "ends below 25 ms");
    assert_eq!(after(&mut judge, &mut now, &[late(20)]), Level::Normal);
    assert_eq!(after(&mut judge, &mut now, &[late(250), late(10), late(250)]), Level::Elevated);
    assert_eq!(after(&mut judge, &mut now, &[late(250)]), Level::Overloaded);
    assert_eq!(judge.number(now), 2.0);
    assert_eq!(after(&mut judge, &mut now, &[late(150)]), Level::Overloaded, "ends below 100 ms");
    assert_eq!(after(&mut judge, &mut now, &[late(1); 4]), Level::Overloaded, "1 of the last 5");
    assert_eq!(after(&mut judge, &mut now, &[late(1)]), Level::Normal);
}

#[test]
fn each_condition_has_its_edges() {
    let sample = Sample::default;
    for (worse, level, reason) in [
        (Sample { memory_some: Some(0.11), ..sample() }, Level::Elevated, "memory pressure"),
        (Sample { io_full: Some(0.21), ..sample() }, Level::Elevated, "disk pressure"),
        (Sample { descriptors: Some(0.81), ..sample() }, Level::Elevated, "file descriptors"),
        (Sample { memory: Some(0.86), ..sample() }, Level::Elevated, "memory"),
        (Sample { memory_full: Some(0.11), ..sample() }, Level::Overloaded, "memory pressure"),
        (Sample { descriptors: Some(0.91), ..sample() }, Level::Overloaded, "file descriptors"),
        (Sample { group_memory: Some(0.96), ..sample() }, Level::Overloaded, "memory of the group"),
    ] {
        let (mut judge, mut now) = (Overload::default(), Instant::default());
        assert_eq!(after(&mut judge, &mut now, &[worse; 3]), level, "{reason}");
        assert_eq!(judge.reasons(), [reason]);
        assert_eq!(after(&mut judge, &mut now, &[sample(); 5]), Level::Normal, "{reason}");
    }
}

#[test]
fn stress_grows_with_each_evaluation_and_falls_with_each() {
    let (mut judge, mut now) = (Overload::default(), Instant::default());
    let _level = after(&mut judge, &mut now, &[late(300); 10]);
    assert_eq!(judge.stress(), STRESS_MAX);
    let _level = after(&mut judge, &mut now, &[late(1); 3]);
    assert_eq!(judge.stress(), STRESS_MAX - 3);
}

#[test]
fn an_overload_of_five_minutes_is_worse() {
    let (mut judge, mut now) = (Overload::default(), Instant::default());
    let _level = after(&mut judge, &mut now, &[late(300); 32]);
    assert_eq!(judge.number(now), 2.0);
    let _level = after(&mut judge, &mut now, &[late(300)]);
    assert_eq!(judge.number(now), 3.0);
}
