//! What explains what, and what is worked on.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_monitor::alert::{Edge, Severity};
use mainstay_monitor::engine::{Maintenance, Reading, Value};
use mainstay_monitor::rules::{Matcher, RuleSpec, Signal};

use crate::world::{World, failed, latency};

fn overloaded(number: f64) -> Reading {
    Reading::new(Signal::SystemOverload, Value::Gauge(number))
}

#[test]
fn one_dead_uplink_is_one_alert() {
    let mut world = World::usual();
    let offline = Reading::new(Signal::SelfOffline, Value::Gauge(1.0));
    let down: Vec<_> = ["a", "b", "c"].map(|link| failed(link, 9.0)).into();
    let readings: Vec<_> = down.into_iter().chain([offline]).collect();
    let _told = world.ticks(5, &readings);
    let told: Vec<_> = world.standings().into_iter().filter(|one| !one.is_muted()).collect();
    assert_eq!(told.len(), 1);
    assert_eq!((&*told[0].rule, told[0].inhibits), ("SELF_OFFLINE", 3));
}

#[test]
fn what_a_link_depends_on_explains_its_alerts() {
    let mut world = World::usual();
    let parents = [("app", "gateway"), ("gateway", "router"), ("router", "app"), ("other", "x")];
    world.engine.set_parents(
        parents.into_iter().map(|(child, parent)| (child.into(), vec![parent.into()])).collect(),
    );
    let _told = world.tick(&[failed("app", 1.0), failed("router", 1.0), failed("other", 1.0)]);
    let inhibited: BTreeMap<String, bool> = world
        .standings()
        .into_iter()
        .map(|one| (one.labels["link"].clone(), one.inhibited_by.is_some()))
        .collect();
    assert!(inhibited["app"], "over gateway, although that one is up");
    assert!(!inhibited["other"]);
}

#[test]
fn a_gate_of_a_failed_upstream_is_not_told_apart() {
    let mut world = World::usual();
    let required = Reading::of(Signal::LinkRequiredDown, "pay", Value::Gauge(200.0));
    let open = |gate| Reading::of(Signal::GateOpen, gate, Value::Gauge(90.0));
    let _told = world.tick(&[required, failed("pay", 200.0), open("pay"), open("mail")]);
    let loud: Vec<_> = world
        .standings()
        .into_iter()
        .filter(|one| !one.is_muted())
        .map(|one| one.rule.to_string())
        .collect();
    assert_eq!(loud, ["UPSTREAM_DOWN", "CIRCUIT_OPEN"], "that of the other gate");
}

#[test]
fn what_is_worked_on_is_judged_and_not_told() {
    let mut world = World::usual();
    let matching = BTreeMap::from([("link".to_owned(), Matcher("a*".into()))]);
    world.engine.set_maintenance(vec![Maintenance {
        name: "move".into(),
        rules: vec![Matcher("CONNECTION_*".into())],
        matching,
    }]);
    let told = world.tick(&[failed("a1", 3.0), failed("b", 3.0)]);
    assert_eq!(told.len(), 2, "both fire");
    let muted: BTreeMap<String, bool> = world
        .standings()
        .into_iter()
        .map(|one| (one.labels["link"].clone(), one.is_muted()))
        .collect();
    assert_eq!((muted["a1"], muted["b"]), (true, false));
    world.engine.set_maintenance(Vec::new());
    let _told = world.tick(&[failed("a1", 3.0), failed("b", 3.0)]);
    assert!(world.standings().iter().all(|one| !one.is_muted()));
}

#[test]
fn a_busy_machine_hides_no_slow_answers_and_an_overloaded_one_explains_them() {
    let mut world = World::usual();
    let _told = world.ticks(30, &[latency(3_000, 100), overloaded(0.5)]);
    let busy = world.standing("SYSTEM_OVERLOAD");
    assert_eq!(busy.severity, Some(Severity::Low));
    assert_eq!(&*busy.summary, "the processors of this machine are busy", "and no more than that");
    assert!(!world.standing("HIGH_LATENCY").is_muted(), "processors alone are context");
    let _told = world.ticks(5, &[latency(3_000, 100), overloaded(2.0)]);
    assert!(world.standing("HIGH_LATENCY").is_muted());
    assert_eq!(&*world.standing("SYSTEM_OVERLOAD").summary, "this machine is overloaded");
}

#[test]
fn rules_that_inhibit_each_other_mute_one_of_them_and_not_both() {
    let edge = Some(Edge { enter: 0.0, exit: 0.0 });
    let rule = |id, signal, inhibits: &[&str]| RuleSpec {
        critical: edge,
        hold_for: Some(Duration::ZERO),
        inhibits: inhibits.iter().map(|name| Matcher((*name).into())).collect(),
        ..RuleSpec::new(id, signal)
    };
    let mut world = World::of(vec![
        rule("A", Signal::SelfOffline, &["*"]),
        rule("B", Signal::SystemLoad, &["*"]),
        rule("C", Signal::MassSuspicion, &["A"]),
    ]);
    let on = |signal| Reading::new(signal, Value::Gauge(1.0));
    let _told =
        world.tick(&[on(Signal::SelfOffline), on(Signal::SystemLoad), on(Signal::MassSuspicion)]);
    let loud: Vec<_> = world.standings().into_iter().filter(|one| !one.is_muted()).collect();
    assert_eq!(loud.iter().map(|one| &*one.rule).collect::<Vec<_>>(), ["A"]);
    // A ring of links explains none of them by itself.
    let mut ring = World::usual();
    ring.engine.set_parents(BTreeMap::from([("a".into(), vec!["a".into()])]));
    let _told = ring.tick(&[failed("a", 1.0)]);
    assert!(!ring.standing("CONNECTION_FAILED").is_muted());
}
