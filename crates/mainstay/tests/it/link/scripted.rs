//! A transport that does what the test says, in paused time.

mod transport;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mainstay::clock;
use mainstay::core::bits::bits;
use mainstay::core::policy::outcome::Outcome;
use mainstay::event::{Events, Kind};
use mainstay::link::{
    ConnectError, FailReason, Link, LinkConfig, LinkOptions, StateName, SuspendReason, What,
};
use transport::{Answer, Scripted};

async fn until(link: &Link, state: StateName) {
    let mut watch = link.watch();
    watch.wait_for(|view| view.state == state).await.unwrap();
}

/// Lets the link's task take what is due, without passing time.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_seeds_schedule_is_kept_to_the_millisecond() {
    let script = Scripted::new(Answer::Fail(Outcome::TRANSIENT));
    let link = script.link(LinkConfig::chittyid_reconnect());
    let mut events = link.subscribe();
    let begun = tokio::time::Instant::now();
    link.connect().await.unwrap_err();
    let mut fired = Vec::new();
    while fired.len() < 8 {
        if events.recv().await.unwrap().is_called("link.reconnect.attempt") {
            fired.push(begun.elapsed().as_secs());
        }
    }
    assert_eq!(fired, [1, 3, 7, 15, 31, 63, 123, 183]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_dialled_again() {
    let script = Scripted::new(Answer::Ok);
    let link = script.link(LinkConfig::default());
    link.connect().await.unwrap();
    let mut events = link.subscribe();
    script.0.cut.notify_one();
    let error = loop {
        let event = events.recv().await.unwrap();
        if event.is_called("error") {
            break event.error.clone();
        }
    };
    assert_eq!(error.as_deref(), Some("cut"));
    until(&link, StateName::Connected).await;
    assert_eq!(script.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn r24_a_peer_that_connects_and_drops_at_once_is_not_dialled_at_full_speed() {
    let script = Scripted::new(Answer::Flap);
    let link = script.link(LinkConfig::default());
    link.connect().await.unwrap();
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(script.dials() <= 12, "{} dials in 20 s", script.dials());
}

#[tokio::test(start_paused = true)]
async fn a_dial_in_flight_is_cancelled_by_a_disconnect() {
    let script = Scripted::new(Answer::Hang);
    let link = script.link(LinkConfig::default());
    let (result, ()) = tokio::join!(link.connect(), async {
        settle().await;
        assert_eq!(link.view().state, StateName::Connecting);
        link.disconnect().await;
    });
    assert_eq!(result, Err(ConnectError::Cancelled));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(link.view().state, StateName::Disconnected);
    assert_eq!((script.dials(), link.stats().total_connections), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_hangs_ends_at_its_deadline() {
    let script = Scripted::new(Answer::Hang);
    let link = script.link(LinkConfig::default());
    let begun = tokio::time::Instant::now();
    let error = link.connect().await.unwrap_err();
    assert_eq!(begun.elapsed().as_secs(), 10);
    assert_eq!(error.to_string(), "the dial failed: timed out");
}

#[tokio::test(start_paused = true)]
async fn a_close_that_hangs_is_cut_off() {
    let script = Scripted::with(Answer::Ok, true);
    let link = script.link(LinkConfig::default());
    link.connect().await.unwrap();
    let begun = tokio::time::Instant::now();
    link.disconnect().await;
    assert_eq!(begun.elapsed().as_secs(), 5);
    assert_eq!(link.view().state, StateName::Disconnected);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_terminal_until_the_user_connects_again() {
    let script = Scripted::new(Answer::Fail(Outcome::Permanent));
    let link = script.link(LinkConfig::default());
    let error = link.connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Failed { terminal: true, .. }));
    assert_eq!(link.view().failed, Some(FailReason::RefusedPermanently));
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(script.dials(), 1);
    script.turn(Answer::Ok);
    link.connect().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_long_outage_is_told_and_goes_on_slowly() {
    let script = Scripted::new(Answer::Fail(Outcome::TRANSIENT));
    let link = script.link(LinkConfig::default());
    link.connect().await.unwrap_err();
    let begun = tokio::time::Instant::now();
    until(&link, StateName::Suspended).await;
    assert_eq!(link.view().suspended, Some(SuspendReason::LongOutage));
    assert_eq!(begun.elapsed().as_secs(), 120);
    let dials = script.dials();
    tokio::time::sleep(Duration::from_secs(300)).await;
    let slow = script.dials() - dials;
    assert!((4..=10).contains(&slow), "{slow} dials in five minutes");
    script.turn(Answer::Ok);
    until(&link, StateName::Connected).await;
}

#[tokio::test(start_paused = true)]
async fn real_calls_take_a_link_down_as_probes_do() {
    let script = Scripted::new(Answer::Ok);
    let link = script.link(LinkConfig::default());
    link.connect().await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = Duration::from_secs(2);
    for _ in 0..5 {
        link.report(Outcome::TRANSIENT, before);
    }
    assert!(link.view().healthy, "calls from before the connection counted");
    for _ in 0..3 {
        link.report(Outcome::TRANSIENT, Duration::from_millis(5));
    }
    assert_eq!(link.view().state, StateName::Reconnecting);
    until(&link, StateName::Connected).await;
}

#[tokio::test(start_paused = true)]
async fn probes_come_on_time_and_never_overlap() {
    let script = Scripted::new(Answer::Ok);
    let link = script.link(LinkConfig::default());
    link.connect().await.unwrap();
    tokio::time::sleep(Duration::from_secs(91)).await;
    assert_eq!(script.probes(), 3);
    *script.0.probe.lock().unwrap() = Answer::Hang;
    let (a, b) = tokio::join!(link.check_now(), link.check_now());
    assert_eq!((a, b, script.probes()), (false, false, 4));
    assert_eq!(link.stats().failed_health_checks, 1);
}

#[tokio::test(start_paused = true)]
async fn a_breaker_of_others_holds_the_link_back() {
    let script = Scripted::new(Answer::Ok);
    let link = script.link(LinkConfig::default());
    link.breaker_opened(clock::now().after(Duration::from_secs(30)));
    let reason = SuspendReason::BreakerOpen;
    assert_eq!(link.connect().await, Err(ConnectError::Suspended { reason }));
    assert_eq!(script.dials(), 0);
    let begun = tokio::time::Instant::now();
    until(&link, StateName::Connected).await;
    assert_eq!(begun.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_silent_and_a_resume_dials() {
    let script = Scripted::new(Answer::Ok);
    let link = script.link(LinkConfig::default());
    link.connect().await.unwrap();
    link.pause();
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!((script.dials(), script.probes()), (1, 0));
    assert_eq!(script.0.closes.load(Ordering::SeqCst), 1);
    link.resume();
    until(&link, StateName::Connected).await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_drops_a_connection_that_does_not_close_in_time() {
    let script = Scripted::with(Answer::Ok, true);
    let link = script.link(LinkConfig::default());
    link.connect().await.unwrap();
    let abandons = || script.0.abandons.load(Ordering::SeqCst);
    let before = abandons();
    link.pause();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(abandons(), before, "it has 5 s to close");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(abandons(), before + 1);
    assert_eq!(link.view().state, StateName::Suspended);
}

#[tokio::test(start_paused = true)]
async fn a_new_configuration_keeps_the_connection() {
    let script = Scripted::new(Answer::Ok);
    let link = script.link(LinkConfig::default());
    link.connect().await.unwrap();
    let mut config = LinkConfig::default();
    config.health.interval = Duration::from_secs(5);
    link.reconfigure(&config).unwrap();
    tokio::time::sleep(Duration::from_secs(21)).await;
    assert_eq!((script.dials(), script.probes()), (1, 4));
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_closes_the_connection_and_ends_the_task() {
    let script = Scripted::new(Answer::Ok);
    let link = script.link(LinkConfig::default());
    let clone = link.clone();
    link.connect().await.unwrap();
    drop(link);
    settle().await;
    assert!(clone.view().healthy);
    drop(clone);
    settle().await;
    assert_eq!(script.0.closes.load(Ordering::SeqCst), 1);
    assert_eq!(Arc::strong_count(&script.0), 1, "the task still holds the transport");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_tells_and_ends_everything() {
    let script = Scripted::new(Answer::Ok);
    let link = script.link(LinkConfig::default());
    let told = Arc::new(AtomicUsize::new(0));
    let count = told.clone();
    link.on("disconnected", move |_| {
        count.fetch_add(1, Ordering::SeqCst);
    })
    .unwrap();
    link.connect().await.unwrap();
    tokio::join!(link.shutdown(), link.shutdown());
    assert_eq!(told.load(Ordering::SeqCst), 1);
    assert!(!link.is_running());
    assert_eq!(link.connect().await, Err(ConnectError::Stopped));
    assert!(!link.check_now().await);
    link.disconnect().await;
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_panics_ends_the_link_and_leaves_nobody_waiting() {
    let script = Scripted::new(Answer::Ok);
    let link = script.link(LinkConfig::default());
    link.connect().await.unwrap();
    *script.0.probe.lock().unwrap() = Answer::Panic;
    assert!(!link.check_now().await);
    assert!(!link.is_running());
    assert_eq!(link.view().state, StateName::Disconnected);
    assert_eq!(link.connect().await, Err(ConnectError::Stopped));
    link.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_brings_a_link_back_that_is_being_shut_down() {
    let script = Scripted::with(Answer::Ok, true);
    let link = script.link(LinkConfig::default());
    link.connect().await.unwrap();
    let begun = async {
        settle().await;
        assert_eq!(link.view().state, StateName::Closing);
        link.begin();
    };
    let both = async { tokio::join!(link.shutdown(), begun) };
    tokio::time::timeout(Duration::from_secs(60), both).await.expect("it ends");
    link.begin();
    link.breaker_opened(clock::now().after(Duration::from_secs(60)));
    assert_eq!((link.view().state, script.dials()), (StateName::Disconnected, 1));
}

#[tokio::test(start_paused = true)]
async fn watchers_and_listeners_are_told_of_a_link_whose_transport_panicked() {
    let script = Scripted::new(Answer::Ok);
    let link = script.link(LinkConfig::default());
    link.connect().await.unwrap();
    let (mut seen, mut events) = (link.watch(), link.subscribe());
    *script.0.probe.lock().unwrap() = Answer::Panic;
    assert!(!link.check_now().await);
    let second = Duration::from_secs(1);
    let gone = seen.wait_for(|view| view.state == StateName::Disconnected);
    tokio::time::timeout(second, gone).await.expect("a watcher is told").unwrap();
    let told = async { while !events.recv().await.unwrap().is_called("disconnected") {} };
    tokio::time::timeout(second, told).await.expect("a listener is told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_that_comes_while_the_state_changes_shows_no_older_one() {
    let script = Scripted::new(Answer::Ok);
    let link = script.link(LinkConfig::default());
    let mut seen = link.watch();
    let over = Arc::new(AtomicBool::new(false));
    let others = [(); 4].map(|()| {
        let (link, over) = (link.clone(), over.clone());
        std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                drop(link.watch());
            }
        })
    });
    let begun = std::time::Instant::now();
    let mut outdated = 0;
    while begun.elapsed() < Duration::from_secs(1) {
        link.connect().await.unwrap();
        link.disconnect().await;
        outdated += usize::from(*seen.borrow_and_update() != link.view());
    }
    over.store(true, Ordering::Relaxed);
    for other in others {
        other.join().unwrap();
    }
    assert_eq!(outdated, 0);
}

#[tokio::test(start_paused = true)]
async fn a_listener_may_use_the_link_it_listens_to() {
    let script = Scripted::new(Answer::Ok);
    let link = script.link(LinkConfig::default());
    let own = link.clone();
    link.on("connected", move |_| {
        assert!(own.view().healthy);
        own.pause();
    })
    .unwrap();
    link.connect().await.unwrap();
    until(&link, StateName::Suspended).await;
    link.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn events_reach_the_common_channel_under_both_names() {
    let events = Events::new();
    let mut all = events.subscribe();
    let script = Scripted::new(Answer::Fail(Outcome::TRANSIENT));
    let options = LinkOptions::new("a").config(LinkConfig::chittyid_reconnect()).events(events);
    let link = Link::open(options, script).unwrap();
    link.connect().await.unwrap_err();
    let wanted = [
        ("link.state.changed", Some("stateChange")),
        ("link.error", Some("error")),
        ("link.state.changed", Some("stateChange")),
        ("link.reconnecting", Some("reconnecting")),
    ];
    for (name, alias) in wanted {
        let event = all.recv().await.unwrap();
        assert_eq!((event.kind.name(), event.kind.alias()), (name, alias));
        let Kind::Link(about) = &event.kind else { panic!("{event:?}") };
        assert_eq!(&*about.link, "a");
        let json = serde_json::to_value(&*event).unwrap();
        assert_eq!(json["event"], name);
        if name == "link.reconnecting" {
            assert_eq!(
                (json["attempt"].as_u64(), json["delay_ms"].as_u64()),
                (Some(1), Some(1000))
            );
        }
    }
}

/// Every operation of the handle in every state: none hangs, none panics, and the link still works.
#[tokio::test(start_paused = true)]
async fn every_operation_works_in_every_state() {
    let operations = 10;
    for state in StateName::ALL {
        for operation in 0..operations {
            let script = Scripted::with(Answer::Ok, state == StateName::Closing);
            let link = script.link(LinkConfig::default());
            bring(&link, &script, state).await;
            assert_eq!(link.view().state, state);
            script.turn(Answer::Ok);
            match operation {
                0 => drop(link.connect().await),
                1 => link.disconnect().await,
                2 => drop(link.check_now().await),
                3 => link.reset(),
                4 => link.pause(),
                5 => link.resume(),
                6 => link.disable_reconnection(),
                7 => link.report(Outcome::TRANSIENT, Duration::ZERO),
                8 => link.breaker_closed(),
                _ => link.reconfigure(&LinkConfig::streamotter()).unwrap(),
            }
            settle().await;
            link.disconnect().await;
            link.connect().await.unwrap();
            link.shutdown().await;
        }
    }
}

/// Many threads at once: no deadlock, every state change follows the one before, and the link still
/// works afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_hands_at_once_leave_one_history() {
    let script = Scripted::new(Answer::Ok);
    let link = script.link(LinkConfig::chittyid_reconnect());
    let at = Mutex::new(StateName::Disconnected);
    let broken = Arc::new(AtomicUsize::new(0));
    let count = broken.clone();
    link.on("stateChange", move |event| {
        let What::StateChanged { from, to } = event.what else { return };
        let mut at = at.lock().unwrap();
        count.fetch_add(usize::from(*at != from), Ordering::SeqCst);
        *at = to;
    })
    .unwrap();
    let mut hands = tokio::task::JoinSet::new();
    for hand in 0..8_u64 {
        let (link, script) = (link.clone(), script.clone());
        hands.spawn(async move {
            for turn in 0..200_u64 {
                match bits(hand, 1, turn) % 9 {
                    0 | 1 => drop(link.connect().await),
                    2 => link.disconnect().await,
                    3 => drop(link.check_now().await),
                    4 => script.0.cut.notify_one(),
                    5 => link.report(Outcome::TRANSIENT, Duration::ZERO),
                    6 => link.pause(),
                    7 => link.resume(),
                    _ => link.reset(),
                }
            }
        });
    }
    let all = async { while hands.join_next().await.transpose().unwrap().is_some() {} };
    tokio::time::timeout(Duration::from_secs(60), all).await.expect("somebody waits for ever");
    link.disconnect().await;
    link.connect().await.unwrap();
    link.shutdown().await;
    assert_eq!(broken.load(Ordering::SeqCst), 0);
}

async fn bring(link: &Link, script: &Scripted, state: StateName) {
    match state {
        StateName::Disconnected => {}
        StateName::Connecting => {
            script.turn(Answer::Hang);
            link.begin();
            settle().await;
        }
        StateName::Connected => link.connect().await.unwrap(),
        StateName::Reconnecting => {
            script.turn(Answer::Fail(Outcome::TRANSIENT));
            link.connect().await.unwrap_err();
            script.turn(Answer::Hang);
        }
        StateName::Suspended => {
            link.connect().await.unwrap();
            link.pause();
        }
        StateName::Failed => {
            script.turn(Answer::Fail(Outcome::Refused));
            link.connect().await.unwrap_err();
        }
        StateName::Closing => {
            link.connect().await.unwrap();
            let other = link.clone();
            tokio::spawn(async move { other.disconnect().await });
            settle().await;
        }
    }
}
