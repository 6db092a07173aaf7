use std::time::Duration;

use mainstay_monitor::alert::{Edge, Severity, State};
use mainstay_monitor::engine::{ALERTS_MAX, Act, ActError, Labels, Reading, Value, fingerprint};
use mainstay_monitor::rules::{
    Budget, Matcher, NoData, RuleSet, RuleSpec, Signal, SloSpec, Statistic, pack,
};

use crate::world::{World, failed, latency, whats};

#[test]
fn latency_fires_after_two_minutes_and_resolves_five_after_it_is_over() {
    let mut world = World::usual();
    let told = world.ticks(12, &[latency(1_200, 100)]);
    assert_eq!(whats(&told), [], "it has to hold for two minutes");
    let pending = world.standing("HIGH_LATENCY");
    assert_eq!((pending.state, pending.severity), (State::Pending, None));
    let told = world.tick(&[latency(1_200, 100)]);
    assert_eq!(whats(&told), [("HIGH_LATENCY", "fired")]);
    assert_eq!(told[0].severity, Some(Severity::High));
    let standing = world.standing("HIGH_LATENCY");
    assert_eq!((standing.threshold, standing.unit), (Some(1_000.0), "ms"));
    assert!(
        standing.summary.starts_with("p95 of round trips of sessions in 5 min: 1"),
        "{}",
        standing.summary
    );
    assert!(standing.summary.ends_with("ms, above 1000 ms"), "{}", standing.summary);
    // It takes a while until the window has forgotten, then the five minutes.
    let told = world.ticks(80, &[latency(20, 100)]);
    assert_eq!(whats(&told), [("HIGH_LATENCY", "resolved")]);
    assert_eq!(world.standing("HIGH_LATENCY").state, State::Resolved);
    let _none = world.ticks(100, &[latency(20, 100)]);
    assert!(world.standings().is_empty(), "after a quarter of an hour it is history");
}

#[test]
fn few_samples_raise_nothing_and_silence_is_no_trouble() {
    let mut world = World::usual();
    assert_eq!(whats(&world.ticks(30, &[latency(5_000, 1)])), [], "30 samples in five minutes");
    let errors = Reading::of(Signal::GateErrors, "pay", Value::Share { part: 1, whole: 2 });
    assert_eq!(whats(&world.tick(&[errors])), []);
    let none = Reading::of(Signal::GateErrors, "pay", Value::Share { part: 0, whole: 0 });
    assert_eq!(whats(&world.ticks(10, &[none])), [], "no calls are no trouble");
}

#[test]
fn an_alert_ends_when_nothing_happens_any_more() {
    let mut world = World::usual();
    let errors = Reading::of(Signal::GateErrors, "pay", Value::Share { part: 90, whole: 100 });
    let told = world.ticks(20, &[errors]);
    assert_eq!(whats(&told), [("CALL_ERROR_RATE", "fired")]);
    let none = Reading::of(Signal::GateErrors, "pay", Value::Share { part: 0, whole: 0 });
    let told = world.ticks(100, &[none]);
    assert_eq!(whats(&told).last(), Some(&("CALL_ERROR_RATE", "resolved")));
}

#[test]
fn absence_is_told_where_that_is_wanted() {
    let rule = RuleSpec {
        no_data: NoData::Alert,
        critical: Some(Edge { enter: 0.5, exit: 0.5 }),
        ..RuleSpec::new("CHECKS", Signal::LinkChecks)
    };
    let mut world = World::of(vec![rule]);
    let nothing = Reading::of(Signal::LinkChecks, "pay", Value::Nothing);
    assert_eq!(
        whats(&world.ticks(5, std::slice::from_ref(&nothing))),
        [("CHECKS", "no_data_began")]
    );
    assert!(world.standing("CHECKS").no_data);
    let well = Reading::of(Signal::LinkChecks, "pay", Value::Share { part: 9, whole: 9 });
    assert_eq!(whats(&world.tick(&[well])), [("CHECKS", "no_data_ended")]);
}

#[test]
fn each_thing_has_its_own_alert_under_a_name_that_stays() {
    let mut world = World::usual();
    let told = world.tick(&[failed("a", 3.0), failed("b", 0.0), failed("c", 4.0)]);
    let names: Vec<_> = told.iter().map(|one| one.labels["link"].as_str()).collect();
    assert_eq!(names, ["a", "c"]);
    assert_eq!(&*told[0].summary, "given up: 3 s", "at once is no threshold to be told");
    let labels = Labels::from([("link".to_owned(), "a".to_owned())]);
    assert_eq!(told[0].id, fingerprint("CONNECTION_FAILED", &labels));
    assert_eq!(told[0].id, 12_588_904_201_172_435_782, "for ever: receivers know incidents by it");
}

#[test]
fn what_is_gone_ends_its_alerts_and_is_forgotten() {
    let mut world = World::usual();
    let _fired = world.tick(&[failed("a", 3.0), failed("b", 3.0)]);
    assert_eq!(whats(&world.tick(&[failed("b", 3.0)])), [], "one tick may be missed");
    let told = world.tick(&[failed("b", 3.0)]);
    assert_eq!(whats(&told), [("CONNECTION_FAILED", "resolved")]);
    assert_eq!(told[0].labels["link"], "a");
    assert!(told[0].summary.contains("no longer there"));
    let rows = world.engine.changed(world.now, world.unix_ms);
    assert!(rows.iter().any(|(id, kept)| *id == told[0].id && kept.is_none()));
}

#[test]
fn an_acknowledgement_names_who_and_ends_with_the_incident_or_in_time() {
    let mut world = World::usual();
    let id = world.tick(&[failed("a", 3.0)])[0].id;
    let by = |within| Act::Acknowledge { who: "ann".into(), note: "on it".into(), within };
    assert_eq!(world.act(1, by(None)), Err(ActError::Unknown));
    let told = world.act(id, by(Some(Duration::from_secs(25)))).unwrap();
    assert_eq!((told[0].what, told[0].who.as_deref()), ("acknowledged", Some("ann")));
    let standing = world.standing("CONNECTION_FAILED");
    let acknowledged = standing.acknowledged.clone().unwrap();
    assert_eq!((acknowledged.who.as_str(), acknowledged.note.as_str()), ("ann", "on it"));
    assert_eq!(acknowledged.expires_ms, Some(world.unix_ms + 25_000));
    assert!(standing.is_muted() && standing.is_firing());
    assert_eq!(whats(&world.ticks(2, &[failed("a", 3.0)])), []);
    let told = world.tick(&[failed("a", 3.0)]);
    assert_eq!((told[0].what, told[0].ended), ("acknowledgement_ended", Some("expired")));
    let _told = world.act(id, by(None)).unwrap();
    let told = world.ticks(8, &[failed("a", 0.0)]);
    assert_eq!(
        whats(&told),
        [("CONNECTION_FAILED", "resolved"), ("CONNECTION_FAILED", "acknowledgement_ended")],
        "the end is told although it was acknowledged"
    );
    assert_eq!(world.act(id, by(None)), Err(ActError::NotFiring));
}

#[test]
fn a_silence_has_a_reason_and_an_end() {
    let mut world = World::usual();
    let id = world.tick(&[failed("a", 3.0)])[0].id;
    let hush = |within| Act::Silence { who: "bob".into(), reason: "known".into(), within };
    let told = world.act(id, hush(Some(Duration::from_secs(15)))).unwrap();
    assert_eq!((told[0].what, told[0].note.as_deref()), ("silenced", Some("known")));
    assert!(world.standing("CONNECTION_FAILED").is_muted());
    let told = world.ticks(2, &[failed("a", 3.0)]);
    assert_eq!((told[0].what, told[0].ended), ("silence_ended", Some("expired")));
    assert!(!world.standing("CONNECTION_FAILED").is_muted());
    let _told = world.act(id, hush(None)).unwrap();
    let silenced = world.standing("CONNECTION_FAILED").silenced.unwrap();
    assert_eq!((silenced.who.as_str(), silenced.expires_ms), ("bob", None));
    let told = world.act(id, Act::Lift).unwrap();
    assert_eq!((told[0].what, told[0].ended), ("silence_ended", Some("withdrawn")));
}

#[test]
fn a_restart_forgets_no_alert_and_tells_none_twice() {
    let mut world = World::usual();
    let id = world.tick(&[failed("a", 3.0)])[0].id;
    let _told = world
        .act(id, Act::Acknowledge { who: "ann".into(), note: "n".into(), within: None })
        .unwrap();
    let mut next = world.restarted(RuleSet::usual(), Duration::from_secs(90));
    let standing = next.standing("CONNECTION_FAILED");
    assert_eq!((standing.id, standing.incident, standing.state), (id, 1, State::Firing));
    assert_eq!(standing.acknowledged.unwrap().who, "ann");
    assert_eq!(whats(&next.ticks(5, &[failed("a", 99.0)])), [], "it goes on");
    let told = next.ticks(8, &[failed("a", 0.0)]);
    assert_eq!(told[0].what, "resolved");
    assert!(told[0].lasted.unwrap() >= Duration::from_secs(90), "{:?}", told[0].lasted);
}

#[test]
fn rules_that_are_gone_after_a_restart_leave_nothing_behind() {
    let mut world = World::usual();
    let _told = world.tick(&[failed("a", 3.0)]);
    let kept = world.engine.changed(world.now, world.unix_ms).remove(0).1.unwrap();
    assert_eq!((kept.rule(), kept.labels()["link"].as_str()), ("CONNECTION_FAILED", "a"));
    let mut other = World::of(vec![]);
    assert!(!other.engine.restore(other.now, other.unix_ms, kept));
}

#[test]
fn other_rules_keep_alerts_of_those_that_stay_and_end_the_rest() {
    let mut world = World::usual();
    let open = Reading::of(Signal::GateOpen, "pay", Value::Gauge(90.0));
    let readings = [failed("a", 3.0), open];
    assert_eq!(world.tick(&readings).len(), 2);
    let mut set = RuleSet::usual();
    set.rules.retain(|rule| rule.id != "CIRCUIT_OPEN");
    world.engine.reload(set).unwrap();
    let told = world.tick(&readings);
    assert_eq!(whats(&told), [("CIRCUIT_OPEN", "resolved")]);
    assert_eq!(world.standing("CONNECTION_FAILED").incident, 1);
    let twice = RuleSpec::new("X", Signal::LinkFailed);
    let wrong = RuleSet { rules: vec![twice], slos: Vec::new() };
    assert_eq!(world.engine.reload(wrong).unwrap_err().field, "rule.X.high");
    assert_eq!(world.standing("CONNECTION_FAILED").incident, 1, "nothing changed");
}

#[test]
fn labels_of_a_rule_go_with_its_alerts_over_restarts_and_change_no_name() {
    let with = |team: &str| {
        let mut set = RuleSet::usual();
        for rule in &mut set.rules {
            rule.labels.insert("team".into(), team.into());
        }
        set
    };
    let mut world = World::new(with("red"));
    let id = world.tick(&[failed("a", 3.0)])[0].id;
    let next = world.restarted(with("blue"), Duration::from_secs(1));
    let standing = next.standing("CONNECTION_FAILED");
    assert_eq!((standing.id, standing.labels["team"].as_str()), (id, "blue"));
}

#[test]
fn a_storm_is_more_than_three_times_what_is_usual() {
    let rate =
        |part| Reading::new(Signal::SessionReconnections, Value::Share { part, whole: 10_000 });
    // 2 % a minute all day long is how these clients are.
    let mut usual = World::usual();
    assert_eq!(whats(&usual.ticks(400, &[rate(33)])), []);
    let told = usual.ticks(20, &[rate(150)]);
    assert_eq!(whats(&told), [("RECONNECT_STORM", "fired")], "9 % are not");
    let mut calm = World::usual();
    assert_eq!(whats(&calm.ticks(400, &[rate(10)])), [], "0.6 % a minute are no storm");
    assert_eq!(whats(&calm.ticks(20, &[rate(80)])), [("RECONNECT_STORM", "fired")]);
    // Ten clients that come and go are no fleet.
    let few = |part| Reading::new(Signal::SessionReconnections, Value::Share { part, whole: 10 });
    let mut small = World::usual();
    let _told = small.ticks(30, &[few(0)]);
    assert_eq!(whats(&small.ticks(20, &[few(9)])), []);
}

#[test]
fn rates_and_means_are_over_the_window() {
    let edge = |enter: f64| Some(Edge { enter, exit: enter });
    let rules = vec![
        RuleSpec {
            statistic: Some(Statistic::PerMinute),
            window: Duration::from_secs(60),
            high: edge(0.05),
            hold_for: Some(Duration::ZERO),
            ..RuleSpec::new("RATE", Signal::SessionReconnections)
        },
        RuleSpec {
            statistic: Some(Statistic::Mean),
            window: Duration::from_secs(30),
            min_samples: Some(1),
            high: edge(100.0),
            hold_for: Some(Duration::ZERO),
            ..RuleSpec::new("MEAN", Signal::SessionLatency)
        },
    ];
    let mut world = World::of(rules);
    let rate =
        |part| Reading::new(Signal::SessionReconnections, Value::Share { part, whole: 1_000 });
    assert_eq!(whats(&world.ticks(10, &[rate(8), latency(90, 1)])), [], "4.8 % a minute, 90 ms");
    let told = world.ticks(3, &[rate(8), latency(150, 1)]);
    assert_eq!(whats(&told), [("MEAN", "fired")]);
    assert_eq!(world.standing("MEAN").value, Some(150.0));
    let told = world.ticks(3, &[rate(13), latency(1, 1)]);
    assert_eq!(whats(&told), [("RATE", "fired")]);
}

#[test]
fn a_budget_that_burns_is_an_alert_and_outlives_a_restart() {
    let slo = SloSpec {
        name: "checkout".into(),
        signal: Signal::LinkChecks,
        of: Some(Matcher("pay*".into())),
        objective: 0.99,
        runbook: Some("look at the shop".into()),
    };
    let set = RuleSet { rules: Vec::new(), slos: vec![slo] };
    let mut world = World::new(set.clone());
    let checks =
        |link, part| Reading::of(Signal::LinkChecks, link, Value::Share { part, whole: 100 });
    assert_eq!(whats(&world.ticks(30, &[checks("pay", 100), checks("mail", 0)])), []);
    let counted = |world: &World| world.engine.counted().map(|(_, one)| one).collect::<Vec<_>>();
    assert_eq!(
        counted(&world),
        [Budget { failed: 0, all: 100 }],
        "of the last tick, and of `pay*`"
    );
    let told = world.ticks(60, &[checks("pay", 40)]);
    assert_eq!(whats(&told)[0], ("SLO_BURN", "fired"));
    assert_eq!(counted(&world), [Budget { failed: 60, all: 100 }]);
    let standing = world.standing("SLO_BURN");
    assert_eq!(standing.severity, Some(Severity::Critical));
    assert_eq!(standing.labels["slo"], "checkout");
    assert_eq!(standing.runbook.as_deref(), Some("look at the shop"));
    assert!(standing.summary.contains("99 %") && standing.summary.contains("failed in 1 h"));
    let (name, kept) = world.engine.burns().remove(0);
    let mut next = world.restarted(set, Duration::from_secs(30));
    next.engine.restore_burn(&name, &kept);
    let before: Vec<_> = world.engine.objectives().map(|(_, burn)| burn.last(99)).collect();
    let after: Vec<_> = next.engine.objectives().map(|(_, burn)| burn.last(99)).collect();
    assert_eq!(before, after);
    assert_eq!(whats(&next.tick(&[checks("pay", 40)])), []);
}

#[test]
fn an_objective_is_told_with_all_its_digits() {
    for (objective, text) in [
        (0.9, "budget of 90 % is"),
        (0.999, "budget of 99.9 % is"),
        (0.9999, "budget of 99.99 % is"),
        (0.99995, "budget of 99.995 % is"),
    ] {
        let slo = SloSpec {
            name: "all".into(),
            signal: Signal::LinkChecks,
            of: None,
            objective,
            runbook: None,
        };
        let mut world = World::new(RuleSet { rules: Vec::new(), slos: vec![slo] });
        let checks = Value::Share { part: 0, whole: 100 };
        world.ticks(3, &[Reading::of(Signal::LinkChecks, "pay", checks)]);
        let summary = world.standing("SLO_BURN").summary;
        assert!(summary.contains(text), "{summary}");
    }
}

#[test]
fn packs_judge_as_their_systems_did() {
    let mut world = World::of(pack("chittyid").unwrap());
    let readings = [
        Reading::of(Signal::LinkReconnecting, "chittyid", Value::Gauge(1.0)),
        Reading::of(Signal::LinkReconnecting, "mail", Value::Gauge(1.0)),
        Reading::of(Signal::CacheHits, "chittyid", Value::Share { part: 10, whole: 100 }),
        Reading::of(Signal::CacheFill, "chittyid", Value::Standing { part: 98, whole: 100 }),
    ];
    let told = world.tick(&readings);
    let found: Vec<_> = told.iter().map(|one| (&*one.rule, one.severity.unwrap())).collect();
    assert_eq!(
        found,
        [
            ("CHITTYID_RECONNECTING", Severity::Medium),
            ("CHITTYID_CACHE_HIT_RATE", Severity::Medium),
            ("CHITTYID_CACHE_NEARLY_FULL", Severity::Low),
        ]
    );
    assert!(world.standing("CHITTYID_CACHE_NEARLY_FULL").is_muted(), "an event, no notification");
}

#[test]
fn there_is_a_limit_to_alerts_and_it_is_told() {
    let rule = RuleSpec {
        high: Some(Edge { enter: 0.0, exit: 0.0 }),
        ..RuleSpec::new("R", Signal::LinkFailed)
    };
    let mut world = World::of(vec![rule]);
    let names: Vec<String> = (0..ALERTS_MAX + 5).map(|nr| format!("l{nr}")).collect();
    let readings: Vec<_> = names.iter().map(|name| failed(name, 1.0)).collect();
    let _told = world.tick(&readings);
    assert_eq!((world.standings().len(), world.engine.left_out()), (ALERTS_MAX, 5));
}

#[test]
fn what_waits_is_kept_again_so_that_a_restart_knows_how_long() {
    let mut world = World::usual();
    let _told = world.tick(&[latency(1_200, 100)]);
    assert_eq!(world.engine.changed(world.now, world.unix_ms).len(), 1);
    let _told = world.ticks(4, &[latency(1_200, 100)]);
    assert_eq!(world.engine.changed(world.now, world.unix_ms).len(), 0);
    let _told = world.tick(&[latency(1_200, 100)]);
    assert_eq!(world.engine.changed(world.now, world.unix_ms).len(), 1, "each minute");
}

#[test]
fn a_certificate_is_not_renewed_by_a_restart() {
    let days = |days: f64| Reading::of(Signal::LinkCertificate, "pay", Value::Gauge(days));
    let unknown = Reading::of(Signal::LinkCertificate, "pay", Value::Nothing);
    let mut world = World::usual();
    let fired = world.tick(&[days(3.0)]);
    assert_eq!(
        (whats(&fired), fired[0].severity),
        (vec![("CERTIFICATE_EXPIRY", "fired")], Some(Severity::High))
    );
    let mut next = world.restarted(RuleSet::usual(), Duration::from_secs(5));
    assert_eq!(whats(&next.ticks(20, std::slice::from_ref(&unknown))), []);
    assert_eq!(whats(&next.tick(&[days(3.0)])), [], "the same incident");
    assert_eq!(next.standing("CERTIFICATE_EXPIRY").incident, 1);
    let told = next.ticks(10, &[days(90.0)]);
    assert_eq!(whats(&told), [("CERTIFICATE_EXPIRY", "resolved")]);
    let mut other = World::usual();
    assert_eq!(whats(&other.ticks(3, &[unknown])), []);
    assert!(other.standings().is_empty());
}

#[test]
fn what_a_rule_says_beside_its_ladder_follows_it_and_changes_no_name() {
    let with = |label: &str, team: &str| {
        let mut set = RuleSet::usual();
        for rule in &mut set.rules {
            rule.labels = Labels::from([(label.to_owned(), team.to_owned())]);
            rule.runbook = Some(format!("ask {team}"));
        }
        set
    };
    let mut world = World::new(with("team", "red"));
    let id = world.tick(&[failed("a", 3.0)])[0].id;
    world.engine.reload(with("squad", "blue")).unwrap();
    let standing = world.standing("CONNECTION_FAILED");
    assert_eq!(standing.labels.keys().collect::<Vec<_>>(), ["link", "squad"]);
    assert_eq!(standing.runbook.as_deref(), Some("ask blue"));
    let mut next = world.restarted(with("squad", "blue"), Duration::from_secs(1));
    assert_eq!(next.standing("CONNECTION_FAILED").id, id);
    assert_eq!(whats(&next.ticks(4, &[failed("a", 9.0)])), []);
}

#[test]
fn a_silence_that_follows_one_that_just_ran_out_keeps_its_own_words() {
    let mut world = World::usual();
    let id = world.tick(&[failed("a", 3.0)])[0].id;
    let hush = |reason: &str, within: u64| Act::Silence {
        who: "bob".into(),
        reason: reason.into(),
        within: Some(Duration::from_secs(within)),
    };
    let _told = world.act(id, hush("first", 5)).unwrap();
    world.now = world.now.after(Duration::from_secs(6));
    world.unix_ms += 6_000;
    let told = world.act(id, hush("second", 60)).unwrap();
    assert_eq!(whats(&told).len(), 2);
    assert_eq!(told[1].note.as_deref(), Some("second"));
    let silenced = world.standing("CONNECTION_FAILED").silenced.unwrap();
    assert_eq!(
        (silenced.reason.as_str(), silenced.expires_ms),
        ("second", Some(world.unix_ms + 60_000))
    );
}
