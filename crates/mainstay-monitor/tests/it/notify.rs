//! Who is told what, and when.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mainstay_core::config::Ratio;
use mainstay_core::time::Instant;
use mainstay_monitor::alert::Severity::{self, Critical, High, Low, Medium};
use mainstay_monitor::notify::{
    DispatchConfig, Dispatcher, Notification, Route, Standing, Status, What, matches,
};

pub(crate) fn standing(id: u64, severity: Severity, status: Status) -> Standing {
    Standing {
        id,
        rule: Arc::from("HIGH_LATENCY"),
        labels: Arc::new(BTreeMap::from([("link".into(), format!("link-{id}"))])),
        incident: 1,
        severity,
        status,
        muted: false,
        flapping: false,
        since_unix_ms: 0,
        summary: Arc::from("p95 of 5 m is 1203 ms"),
        value: Some(1203.0),
        threshold: Some(1000.0),
        runbook: None,
    }
}

fn firing(id: u64, severity: Severity) -> Standing {
    standing(id, severity, Status::Firing)
}

fn resolved(id: u64) -> Standing {
    standing(id, High, Status::Resolved)
}

/// What happens at a second.
enum Step {
    Alert(Standing),
    /// What is due at every second since the step before, as `second receiver: id what …`.
    Expect(&'static [&'static str]),
    Restart(u64),
}

use Step::{Alert, Expect, Restart};

fn text(second: u64, notice: &Notification) -> String {
    let what = |what: What| match what {
        What::Fired => "fired".into(),
        What::Rose { from } => format!("rose from {from:?}"),
        What::Fell { from } => format!("fell from {from:?}"),
        What::Flapping => "flapping".into(),
        What::Settled => "settled".into(),
        What::Resolved => "resolved".into(),
        What::Muted => "muted".into(),
        What::Still => "still".into(),
    };
    let alerts: Vec<String> = notice
        .alerts
        .iter()
        .map(|told| format!("{} {} {}", told.standing.id, what(told.what), told.lasted.as_secs()))
        .collect();
    format!("{second} {}: {}", notice.receiver, alerts.join(", "))
}

/// Plays `script`; an expectation at a second covers all seconds up to it.
fn play(routes: &[Route], config: &DispatchConfig, script: Vec<(u64, Step)>) {
    config.check().unwrap();
    let mut dispatcher = Dispatcher::new(routes, config);
    let (mut second, mut begins, mut told) = (0, 0, Vec::new());
    let at = |second: u64, begins: u64| Instant::from_millis((second - begins) * 1000);
    for (until, step) in script {
        while second < until {
            second += 1;
            // Nothing is due before it says so.
            let now = at(second, begins);
            let next = dispatcher.next_due();
            let due = dispatcher.due(now);
            assert!(due.is_empty() || next.is_some_and(|next| next <= now), "{second}: {next:?}");
            assert!(dispatcher.next_due().is_none_or(|next| next > now), "{second}: it spins");
            told.extend(due.iter().map(|notice| text(second, notice)));
        }
        match step {
            Alert(standing) => {
                dispatcher.alert(at(second, begins), standing);
                // It asks to be looked at now.
                assert_eq!(dispatcher.next_due(), Some(at(second, begins)));
                let due = dispatcher.due(at(second, begins));
                told.extend(due.iter().map(|notice| text(second, notice)));
            }
            Expect(expected) => {
                assert_eq!(told, expected, "until {second}");
                told.clear();
            }
            Restart(outage) => {
                let snapshot = dispatcher.snapshot(at(second, begins));
                let json = serde_json::to_string(&snapshot).unwrap();
                begins = second + outage;
                second = begins;
                let read = serde_json::from_str(&json).unwrap();
                assert_eq!(read, snapshot);
                let outage = Duration::from_secs(outage);
                let now = at(second, begins);
                dispatcher = Dispatcher::restore(now, routes, config, read, outage);
            }
        }
    }
}

fn team() -> Vec<Route> {
    vec![Route::new("team")]
}

fn usual() -> DispatchConfig {
    DispatchConfig::default()
}

#[test]
fn what_fires_together_is_told_together() {
    play(
        &team(),
        &usual(),
        vec![
            (0, Alert(firing(1, High))),
            (20, Alert(firing(2, Medium))),
            (200, Expect(&["30 team: 1 fired 30, 2 fired 10"])),
            (200, Alert(firing(3, High))),
            (400, Expect(&["330 team: 3 fired 130, 1 still 330, 2 still 310"])),
        ],
    );
}

#[test]
fn a_critical_alert_and_a_rise_do_not_wait_for_the_interval() {
    play(
        &team(),
        &usual(),
        vec![
            (0, Alert(firing(1, Critical))),
            (20, Expect(&["10 team: 1 fired 10"])),
            (20, Alert(firing(2, Critical))),
            (40, Expect(&["30 team: 2 fired 10, 1 still 30"])),
            (40, Alert(firing(3, Medium))),
            (330, Expect(&["330 team: 3 fired 290, 1 still 330, 2 still 310"])),
            (340, Alert(firing(3, High))),
            (350, Expect(&["350 team: 3 rose from Medium 310, 1 still 350, 2 still 330"])),
            (360, Alert(firing(3, Low))),
            (649, Expect(&[])),
            (650, Expect(&["650 team: 3 fell from High 610, 1 still 650, 2 still 630"])),
        ],
    );
}

#[test]
fn what_still_fires_is_told_again_with_how_long() {
    play(
        &team(),
        &usual(),
        vec![
            (0, Alert(firing(1, High))),
            (30, Expect(&["30 team: 1 fired 30"])),
            (14_429, Expect(&[])),
            (14_430, Expect(&["14430 team: 1 still 14430"])),
            (14_430, Alert(firing(1, Critical))),
            (14_440, Expect(&["14440 team: 1 rose from High 14440"])),
            (18_040, Expect(&["18040 team: 1 still 18040"])),
            (18_050, Alert(resolved(1))),
            (18_340, Expect(&["18340 team: 1 resolved 18050"])),
            (90_000, Expect(&[])),
        ],
    );
}

#[test]
fn what_ends_before_it_was_told_is_not_told() {
    play(
        &team(),
        &usual(),
        vec![
            (0, Alert(firing(1, High))),
            (29, Alert(resolved(1))),
            (9_000, Expect(&[])),
            // Back before its end was told: it went on.
            (9_000, Alert(firing(1, High))),
            (9_030, Expect(&["9030 team: 1 fired 30"])),
            (9_040, Alert(resolved(1))),
            (9_100, Alert(firing(1, High))),
            (20_000, Expect(&[])),
            (20_000, Alert(resolved(1))),
            (20_020, Expect(&["20010 team: 1 resolved 10900"])),
            // Nobody waits for anything: the next is a new matter.
            (20_030, Alert(firing(1, High))),
            (20_060, Expect(&["20060 team: 1 fired 30"])),
        ],
    );
}

#[test]
fn b07_the_end_of_what_was_told_is_told_even_when_it_is_muted() {
    let muted = |id, status| Standing { muted: true, ..standing(id, High, status) };
    play(
        &team(),
        &usual(),
        vec![
            (0, Alert(firing(1, High))),
            (30, Expect(&["30 team: 1 fired 30"])),
            (40, Alert(muted(1, Status::Firing))),
            (40, Alert(muted(2, Status::Firing))),
            (30_000, Expect(&[])),
            (30_000, Alert(muted(1, Status::Resolved))),
            (30_000, Alert(muted(2, Status::Resolved))),
            (40_000, Expect(&["30010 team: 1 resolved 30000"])),
            // What was muted from the start is told once it is not.
            (40_000, Alert(muted(3, Status::Firing))),
            (41_000, Alert(firing(3, High))),
            (41_030, Expect(&["41030 team: 3 fired 1030"])),
        ],
    );
}

#[test]
fn flapping_is_told_once_and_once_when_it_has_settled() {
    let flapping = |status| Standing { flapping: true, ..standing(1, High, status) };
    play(
        &team(),
        &usual(),
        vec![
            (0, Alert(firing(1, High))),
            (30, Expect(&["30 team: 1 fired 30"])),
            (40, Alert(flapping(Status::Resolved))),
            (330, Expect(&["330 team: 1 flapping 40"])),
            (400, Alert(flapping(Status::Firing))),
            (500, Alert(flapping(Status::Resolved))),
            (900, Alert(flapping(Status::Firing))),
            (3_000, Expect(&[])),
            (3_000, Alert(firing(1, High))),
            (3_010, Expect(&["3010 team: 1 settled 2110"])),
            (3_020, Alert(flapping(Status::Firing))),
            (3_310, Expect(&["3310 team: 1 flapping 2410"])),
            (3_400, Alert(flapping(Status::Resolved))),
            (3_500, Alert(resolved(1))),
            (3_610, Expect(&["3610 team: 1 resolved 2500"])),
        ],
    );
    // Should nobody judge it any more, its end is told all the same.
    play(
        &team(),
        &usual(),
        vec![
            (0, Alert(flapping(Status::Firing))),
            (30, Expect(&["30 team: 1 flapping 30"])),
            (100, Alert(flapping(Status::Resolved))),
            (3_710, Expect(&["3710 team: 1 resolved 100"])),
        ],
    );
}

#[test]
fn missing_data_is_told_and_ended_by_itself() {
    play(
        &team(),
        &usual(),
        vec![
            (0, Alert(firing(1, High))),
            (10, Alert(standing(1, Low, Status::NoData))),
            (30, Expect(&["30 team: 1 fired 30, 1 fired 20"])),
            (400, Alert(standing(1, Low, Status::NoDataEnded))),
            (410, Expect(&["410 team: 1 resolved 390, 1 still 410"])),
        ],
    );
}

#[test]
fn receivers_are_told_what_they_ask_for() {
    let pager = Route { min_severity: High, ..Route::new("pager") };
    let others = Route { rules: vec!["LOW_*".into()], ..Route::new("others") };
    let link = BTreeMap::from([("link".into(), "link-[0-9]".into())]);
    let none = Route { labels: link, ..Route::new("none") };
    let link = BTreeMap::from([("link".into(), "link-?".into()), ("rule".into(), "HIGH*".into())]);
    let some = Route { labels: link, resolved: false, ..Route::new("some") };
    play(
        &[pager, others, none, some],
        &usual(),
        vec![
            (0, Alert(firing(1, Medium))),
            (0, Alert(firing(22, Low))),
            (30, Expect(&["30 some: 1 fired 30"])),
            (100, Alert(firing(1, High))),
            (130, Expect(&["110 some: 1 rose from Medium 110", "130 pager: 1 fired 130"])),
            // It was told of it: it is told how it goes on, too.
            (200, Alert(firing(1, Low))),
            (500, Expect(&["410 some: 1 fell from High 410", "430 pager: 1 fell from High 430"])),
            (900, Alert(resolved(1))),
            (2_000, Expect(&["910 pager: 1 resolved 900"])),
        ],
    );
}

#[test]
fn an_escalation_is_told_what_nobody_has_seen_to_for_so_long() {
    let boss = Route { after: Duration::from_secs(900), ..Route::new("boss") };
    let muted = Standing { muted: true, ..firing(1, High) };
    play(
        &[boss],
        &usual(),
        vec![
            (0, Alert(firing(1, High))),
            (800, Alert(muted)),
            (5_000, Expect(&[])),
            (5_000, Alert(firing(1, High))),
            (6_000, Expect(&["5930 boss: 1 fired 5930"])),
            (6_000, Alert(firing(2, High))),
            (6_100, Alert(resolved(2))),
            (9_000, Expect(&[])),
        ],
    );
}

#[test]
fn a_pager_hears_that_somebody_sees_to_it() {
    let pager = Route { muting: true, ..Route::new("pager") };
    let muted = || Standing { muted: true, ..firing(1, High) };
    play(
        &[pager],
        &usual(),
        vec![
            (0, Alert(firing(1, High))),
            (30, Expect(&["30 pager: 1 fired 30"])),
            (60, Alert(muted())),
            (90, Alert(muted())),
            (20_000, Expect(&["70 pager: 1 muted 70"])),
        ],
    );
}

#[test]
fn the_notice_of_an_end_can_wait_longer_each_time_it_comes_back() {
    let config = DispatchConfig {
        resolved_delay: Duration::from_secs(300),
        resolved_delay_factor: Ratio::percent(150),
        resolved_delay_max: Duration::from_secs(600),
        ..usual()
    };
    play(
        &team(),
        &config,
        vec![
            (0, Alert(firing(1, High))),
            (30, Expect(&["30 team: 1 fired 30"])),
            (1_000, Alert(resolved(1))),
            (1_310, Expect(&["1310 team: 1 resolved 1000"])),
            (2_000, Alert(firing(1, High))),
            (2_030, Expect(&["2030 team: 1 fired 30"])),
            (3_000, Alert(resolved(1))),
            (3_100, Alert(firing(1, High))),
            (4_000, Alert(resolved(1))),
            (4_460, Expect(&["4460 team: 1 resolved 900"])),
        ],
    );
}

#[test]
fn b12_nothing_is_told_twice_or_forgotten_over_a_restart() {
    play(
        &team(),
        &usual(),
        vec![
            (0, Alert(firing(1, High))),
            (10, Restart(5)),
            (30, Expect(&["30 team: 1 fired 30"])),
            (40, Restart(3_600)),
            (3_640, Alert(firing(1, High))),
            (14_430, Expect(&["14430 team: 1 still 14430"])),
            (14_440, Alert(resolved(1))),
            (14_441, Restart(1)),
            (14_800, Expect(&["14730 team: 1 resolved 14440"])),
        ],
    );
}

#[test]
fn receivers_change_and_what_they_were_told_stays() {
    let mut dispatcher = Dispatcher::new(&team(), &usual()).numbered_from(100);
    let at = |second: u64| Instant::from_millis(second * 1000);
    dispatcher.alert(at(0), firing(1, High));
    let first = dispatcher.due(at(30));
    assert_eq!(
        (first[0].number, first[0].thread, &*first[0].group),
        (100, 100, "rule=HIGH_LATENCY")
    );
    dispatcher.reroute(at(40), &[Route::new("new"), Route::new("team")]);
    let told: Vec<_> = (40..400).flat_map(|second| dispatcher.due(at(second))).collect();
    assert_eq!(told.len(), 1);
    assert_eq!((&*told[0].receiver, told[0].number), ("new", 101));
    assert!(!told[0].is_repeat() && told[0].worst() == Some(High));
}

/// As it was written once; it is read for ever.
const STORED: &str = r#"{"number":7,"alerts":[{"standing":{"id":1,"rule":"HIGH_LATENCY","labels":{"link":"link-1"},
"incident":1,"severity":"HIGH","status":"firing","muted":false,"flapping":false,"since_unix_ms":0,
"summary":"p95 of 5 m is 1203 ms","value":1203.0,"threshold":1000.0,"runbook":null},"since_ns":30000000000,
"changed_ns":30000000000,"audible_ns":30000000000,"ended_ns":null,"returns":0}],"lines":[{"receiver":"team",
"last_ns":0,"thread":6,"heard":[{"id":1,"condition":"holds","heard":["HIGH",false,false],"noticed_ns":null}]}]}"#;

#[test]
fn a_snapshot_is_read_as_it_was_once_written() {
    let snapshot = serde_json::from_str(STORED).unwrap();
    let at = |second: u64| Instant::from_millis(second * 1000);
    let mut restored =
        Dispatcher::restore(at(0), &team(), &usual(), snapshot, Duration::from_secs(10));
    assert!(restored.due(at(5)).is_empty());
    restored.alert(at(10), resolved(1));
    let told = restored.due(at(290));
    assert_eq!(text(290, &told[0]), "290 team: 1 resolved 50");
    assert_eq!((told[0].number, told[0].thread), (7, 6));
    let mut written = Dispatcher::new(&team(), &usual()).numbered_from(6);
    written.alert(at(0), firing(1, High));
    assert_eq!(written.due(at(30)).len(), 1);
    let written = serde_json::to_string(&written.snapshot(at(30))).unwrap();
    assert_eq!(written, STORED.replace('\n', ""));
}

#[test]
fn there_is_a_limit_to_everything() {
    let config = DispatchConfig { alerts_max: 500, ..usual() };
    let mut dispatcher = Dispatcher::new(&team(), &config);
    let at = |second: u64| Instant::from_millis(second * 1000);
    for id in 0..600 {
        let summary = Arc::from("x".repeat(100_000));
        dispatcher.alert(at(0), Standing { summary, ..firing(id, High) });
    }
    assert_eq!((dispatcher.len(), dispatcher.dropped()), (500, 100));
    let told = dispatcher.due(at(30));
    let sizes: Vec<_> = told.iter().map(|notice| notice.alerts.len()).collect();
    assert_eq!(sizes, [200, 200, 100]);
    assert!(told.iter().all(|notice| serde_json::to_string(notice).unwrap().len() < 300_000));
    assert!(told.iter().all(|notice| notice.thread == told[0].number));
    for id in 0..500 {
        dispatcher.alert(at(40), resolved(id));
    }
    assert_eq!(dispatcher.due(at(330)).len(), 3);
    assert!(dispatcher.is_empty() && dispatcher.next_due().is_none());
}

#[test]
fn patterns_fit_as_in_a_shell() {
    for (pattern, text, fits) in [
        ("*", "", true),
        ("*", "anything", true),
        ("HIGH_*", "HIGH_LATENCY", true),
        ("*_LATENCY", "HIGH_LATENCY", true),
        ("*A*C*", "xAyBzC", true),
        ("*AB", "AAB", true),
        ("?", "", false),
        ("", "x", false),
        ("a*b", "ac", false),
        ("HIGH", "HIGH_LATENCY", false),
        ("h?gh", "höghs", false),
        ("h?gh", "högh", true),
    ] {
        assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
    }
}

#[test]
fn settings_that_make_no_sense_are_refused_by_field() {
    usual().check().unwrap();
    let zero = Duration::ZERO;
    for (field, config) in [
        ("group_by", DispatchConfig { group_by: vec![String::new(); 17], ..usual() }),
        ("group_interval", DispatchConfig { group_interval: zero, ..usual() }),
        ("repeat", DispatchConfig { repeat: zero, ..usual() }),
        ("repeat_critical", DispatchConfig { repeat_critical: zero, ..usual() }),
        ("group_wait", DispatchConfig { group_wait: Duration::MAX, ..usual() }),
        ("resolved_delay_factor", DispatchConfig { resolved_delay_factor: Ratio::ZERO, ..usual() }),
        ("alerts_max", DispatchConfig { alerts_max: 0, ..usual() }),
    ] {
        assert_eq!(config.check().unwrap_err().field, field);
    }
}
