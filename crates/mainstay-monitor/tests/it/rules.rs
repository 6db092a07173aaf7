use std::time::Duration;

use mainstay_monitor::alert::{Edge, Severity, Side};
use mainstay_monitor::rules::{
    Budget, Burn, Kind, Matcher, NoData, PACKS, RuleSet, RuleSpec, Signal, SloSpec, Statistic,
    defaults, pack,
};
use proptest::prelude::{prop_assert_eq, proptest};

#[test]
fn every_signal_has_a_name_that_is_read_back() {
    for signal in Signal::ALL {
        assert_eq!(signal.info().name.parse(), Ok(signal));
        assert!(signal.info().label.is_none() || !signal.info().name.starts_with("sessions"));
    }
    let names: std::collections::BTreeSet<_> = Signal::ALL.map(|signal| signal.info().name).into();
    assert_eq!(names.len(), Signal::ALL.len());
    let error = "sessions.lag".parse::<Signal>().unwrap_err().to_string();
    assert!(error.contains("`sessions.lag`") && error.contains("sessions.latency"), "{error}");
    assert_eq!(Signal::LinkChecks.info().name, "link.checks", "the table is in order");
    assert_eq!(Signal::MassSuspicion.info().name, "sessions.mass_suspicion");
    assert_eq!(Signal::GateErrors.info().kind, Kind::Share);
}

#[test]
fn the_default_rules_and_all_packs_hold_together() {
    let mut set = RuleSet::usual();
    set.check().unwrap();
    for name in PACKS {
        pack(name).unwrap().into_iter().for_each(|rule| set.put(rule));
    }
    set.check().unwrap();
    assert_eq!(pack("unknown"), None);
}

fn rule<'a>(rules: &'a [RuleSpec], id: &str) -> &'a RuleSpec {
    rules.iter().find(|rule| rule.id == id).unwrap_or_else(|| panic!("no rule {id}"))
}

fn enters(rule: &RuleSpec) -> [Option<f64>; 4] {
    [rule.low, rule.medium, rule.high, rule.critical].map(|edge| edge.map(|edge| edge.enter))
}

#[test]
fn the_default_rules_are_those_of_the_table() {
    let rules = defaults();
    let of = |id| rule(&rules, id);
    let latency = of("HIGH_LATENCY");
    assert_eq!(enters(latency), [None, Some(500.0), Some(1_000.0), Some(2_000.0)]);
    assert_eq!(latency.high.unwrap().exit, 800.0);
    assert_eq!((latency.statistic(), latency.window), (Statistic::P95, Duration::from_secs(300)));
    assert_eq!(latency.config().hold_for, Duration::from_secs(120));
    assert_eq!(latency.config().keep_firing_for, Duration::from_secs(300));
    let errors = of("HIGH_ERROR_RATE");
    assert_eq!(enters(errors), [None, Some(0.02), Some(0.05), Some(0.20)]);
    assert_eq!(errors.window, Duration::from_secs(600));
    let quality = of("LOW_CONNECTION_QUALITY");
    assert_eq!(quality.side(), Side::Below);
    assert_eq!(enters(quality), [None, Some(0.90), Some(0.75), Some(0.50)]);
    let checks = of("HEALTH_CHECK_SUCCESS");
    assert_eq!(
        (checks.side(), enters(checks)),
        (Side::Below, [None, Some(0.95), None, Some(0.90)])
    );
    assert_eq!(enters(of("CIRCUIT_OPEN")), [None, None, Some(60.0), Some(300.0)]);
    assert_eq!(of("IDS_RUNNING_OUT").side(), Side::Below);
    assert_eq!(of("CERTIFICATE_EXPIRY").side(), Side::Below);
}

#[test]
fn the_chittyid_pack_has_the_thresholds_of_seeds_000_and_002() {
    let rules = pack("chittyid").unwrap();
    let of = |id| rule(&rules, id);
    // CRITICAL: FAILED, breaker open for more than five minutes, errors above 5 %, health below 90 %.
    assert_eq!(enters(of("CHITTYID_CONNECTION_FAILED")), [None, None, None, Some(0.001)]);
    assert_eq!(enters(of("CHITTYID_CIRCUIT_OPEN")), [None, None, None, Some(300.0)]);
    assert_eq!(enters(of("CHITTYID_ERROR_RATE")), [None, None, None, Some(0.05)]);
    // Seed 000: degraded below 95 %.
    assert_eq!(enters(of("CHITTYID_HEALTH_CHECKS")), [None, Some(0.95), None, Some(0.90)]);
    // WARNING: RECONNECTING, HALF_OPEN, hits below 50 %, p95 above 500 ms.
    assert_eq!(enters(of("CHITTYID_RECONNECTING")), [None, Some(0.001), None, None]);
    assert_eq!(enters(of("CHITTYID_CIRCUIT_HALF_OPEN")), [None, Some(0.5), None, None]);
    let hits = of("CHITTYID_CACHE_HIT_RATE");
    assert_eq!((hits.side(), enters(hits)), (Side::Below, [None, Some(0.50), None, None]));
    let latency = of("CHITTYID_LATENCY");
    assert_eq!(
        (latency.statistic(), enters(latency)),
        (Statistic::P95, [None, Some(500.0), None, None])
    );
    // INFO: the cache is more than 90 % full. An event: nobody is notified.
    let full = of("CHITTYID_CACHE_NEARLY_FULL");
    assert_eq!((full.notify, enters(full)), (false, [Some(0.90), None, None, None]));
    for rule in &rules {
        assert!(rule.matching.values().all(|about| about.fits("chittyid-eu") && !about.fits("x")));
        assert_eq!(rule.matching.len(), 1, "{}", rule.id);
        assert_eq!(rule.config().hold_for, Duration::ZERO);
    }
}

#[test]
fn the_axon_pack_has_the_thresholds_of_seed_004() {
    let rules = pack("axon").unwrap();
    let close = |id: &str, wanted: [f64; 4]| {
        let found = enters(rule(&rules, id)).map(Option::unwrap);
        let fits = found.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-9);
        assert!(fits, "{id}: {found:?}");
    };
    close("AXON_HIGH_LATENCY", [1_000.0, 1_200.0, 1_500.0, 2_000.0]);
    close("AXON_HIGH_ERROR_RATE", [0.1, 0.125, 0.15, 0.2]);
    close("AXON_LOW_CONNECTION_QUALITY", [0.8, 0.72, 0.64, 0.48]);
    close("AXON_SYSTEM_OVERLOAD", [0.8, 0.88, 1.0, 1.2]);
    let reconnections = rule(&rules, "AXON_HIGH_RECONNECTION_RATE");
    assert_eq!(enters(reconnections), [None, Some(0.2), None, None]);
    assert_eq!(rule(&rules, "AXON_HIGH_LATENCY").statistic(), Statistic::Mean);
}

#[test]
fn a_rule_of_the_same_name_takes_the_place_of_the_default() {
    let mut set = RuleSet::usual();
    let before = set.rules.len();
    let own = RuleSpec {
        high: Some(Edge { enter: 9.0, exit: 8.0 }),
        ..RuleSpec::new("HIGH_LATENCY", Signal::SessionLatency)
    };
    set.put(own.clone());
    assert_eq!(set.rules.len(), before);
    assert_eq!(rule(&set.rules, "HIGH_LATENCY"), &own);
}

#[test]
fn what_makes_no_sense_names_rule_and_field() {
    let good = || RuleSpec {
        high: Some(Edge { enter: 9.0, exit: 8.0 }),
        ..RuleSpec::new("MINE", Signal::LinkLatency)
    };
    let mut wrong: Vec<(RuleSpec, &str)> = vec![
        (RuleSpec { id: String::new(), ..good() }, "rule..id"),
        (RuleSpec { id: "a\nb".into(), ..good() }, ".id"),
        (RuleSpec { window: Duration::from_secs(1), ..good() }, "rule.MINE.window"),
        (RuleSpec { window: Duration::from_secs(3_601), ..good() }, "rule.MINE.window"),
        (RuleSpec { statistic: Some(Statistic::Share), ..good() }, "rule.MINE.statistic"),
        (RuleSpec { high: None, ..good() }, "rule.MINE.high"),
        (RuleSpec { min_samples: Some(0), ..good() }, "rule.MINE.min_samples"),
    ];
    let mut other = good();
    other.matching.insert("gate".into(), Matcher("*".into()));
    wrong.push((other, "rule.MINE.match"));
    let mut own = good();
    own.labels.insert("link".into(), "x".into());
    wrong.push((own, "rule.MINE.labels"));
    for (rule, field) in wrong {
        let error = RuleSet { rules: vec![rule], slos: Vec::new() }.check().unwrap_err();
        assert!(error.field.ends_with(field), "{field}: {error}");
    }
    let twice = RuleSet { rules: vec![good(), good()], slos: Vec::new() };
    assert_eq!(twice.check().unwrap_err().field, "rule.MINE.id");
}

#[test]
fn rules_are_read_from_json_with_few_words() {
    let rule: RuleSpec = serde_json::from_str(
        r#"{ "id": "SLOW", "signal": "link.latency", "match": { "link": "pay*" },
             "high": { "enter": 300, "exit": 200 }, "for": "30s", "no_data": "alert" }"#,
    )
    .unwrap();
    assert_eq!(rule.statistic(), Statistic::P95);
    assert_eq!(rule.config().hold_for, Duration::from_secs(30));
    assert_eq!((rule.no_data, rule.notify, rule.enabled), (NoData::Alert, true, true));
    rule.check().unwrap();
    let error =
        serde_json::from_str::<RuleSpec>(r#"{ "id": "X", "signal": "link.latency", "hihg": 1 }"#);
    assert!(error.unwrap_err().to_string().contains("hihg"));
}

#[test]
fn names_are_matched_with_stars() {
    for (pattern, text, fits) in [
        ("pay", "pay", true),
        ("pay", "payments", false),
        ("pay*", "payments", true),
        ("*ments", "payments", true),
        ("p*m*s", "payments", true),
        ("p*x*s", "payments", false),
        ("a*a", "a", false),
        ("*", "", true),
        ("", "", true),
        ("a*b*a*b", "abab", true),
        ("*ab*", "xaby", true),
    ] {
        assert_eq!(Matcher(pattern.into()).fits(text), fits, "{pattern} {text}");
    }
}

proptest! {
    #[test]
    fn matching_is_that_of_the_plain_recursion(pattern in "[ab*]{0,6}", text in "[ab]{0,8}") {
        fn plain(pattern: &[u8], text: &[u8]) -> bool {
            match (pattern.first(), text.first()) {
                (None, None) => true,
                (Some(b'*'), _) => {
                    plain(&pattern[1..], text) || (!text.is_empty() && plain(pattern, &text[1..]))
                }
                (Some(p), Some(t)) if p == t => plain(&pattern[1..], &text[1..]),
                _ => false,
            }
        }
        let fits = plain(pattern.as_bytes(), text.as_bytes());
        prop_assert_eq!(Matcher(pattern).fits(&text), fits);
    }
}

fn slo(objective: f64) -> SloSpec {
    SloSpec {
        name: "checkout".into(),
        signal: Signal::GateErrors,
        of: None,
        objective,
        runbook: None,
    }
}

#[test]
fn objectives_are_checked() {
    slo(0.999).check().unwrap();
    for wrong in [0.0, 1.0, -1.0, 2.0, f64::NAN] {
        assert_eq!(slo(wrong).check().unwrap_err().field, "objective");
    }
    for wrong in ["", "a\0b", "a\nb"] {
        let named = SloSpec { name: wrong.into(), ..slo(0.9) };
        assert_eq!(named.check().unwrap_err().field, "name");
    }
    let gauge = SloSpec { signal: Signal::GateOpen, ..slo(0.9) };
    assert_eq!(gauge.check().unwrap_err().field, "signal");
}

#[test]
fn a_budget_burns_at_the_factors_of_the_workbook() {
    // 99.9 %: each minute 1 000 calls.
    let burnt = |minutes: u64, failed: u64| {
        let mut burn = Burn::default();
        (0..minutes).for_each(|minute| burn.count(minute, failed, 1_000));
        burn.severity(0.999)
    };
    assert_eq!(burnt(60, 0), None);
    assert_eq!(burnt(4_320, 1), None, "exactly the budget: not proven to be beyond it");
    assert_eq!(burnt(4_320, 2), Some(Severity::Low), "twice too fast for three days");
    assert_eq!(burnt(1_440, 4), Some(Severity::Medium), "four times for a day");
    assert_eq!(burnt(360, 8), Some(Severity::High), "eight times for six hours");
    assert_eq!(burnt(60, 20), Some(Severity::Critical), "twenty times for an hour");
}

#[test]
fn what_is_over_burns_no_longer_and_few_events_prove_nothing() {
    let mut burn = Burn::default();
    (0..60).for_each(|minute| burn.count(minute, 50, 1_000));
    assert_eq!(burn.severity(0.999), Some(Severity::Critical));
    (60..66).for_each(|minute| burn.count(minute, 0, 1_000));
    assert_ne!(burn.severity(0.999), Some(Severity::Critical), "the short window is clean");
    let mut few = Burn::default();
    few.count(0, 1, 2);
    assert_ne!(few.severity(0.9), Some(Severity::Critical), "1 of 2 wakes nobody");
    // A gap is a gap, a clock that goes back is not followed, and three days are all there is.
    let mut gaps = Burn::default();
    gaps.count(10, 1, 10);
    gaps.count(20, 1, 10);
    gaps.count(15, 1, 10);
    assert_eq!((gaps.last(1), gaps.last(11), gaps.last(9_999)), ((2, 20), (3, 30), (3, 30)));
    let mut back = gaps.clone();
    back.count(20 + 9_000, 5, 10);
    back.count(21, 1, 10);
    assert_eq!(back.last(9_999), (1, 10), "a clock that had leapt ahead is back");
    gaps.count(20 + 4_320, 0, 1);
    assert_eq!(gaps.last(9_999), (0, 1));
}

#[test]
fn rates_say_how_fast_over_each_window() {
    let mut burn = Burn::default();
    assert!(burn.rates(0.99).iter().all(|rate| rate.long_rate.is_none() && !rate.beyond));
    // An hour ago 10 % failed for ten minutes; nothing has since.
    (0..10).for_each(|minute| burn.count(minute, 100, 1_000));
    (10..60).for_each(|minute| burn.count(minute, 0, 1_000));
    let [critical, high, medium, low] = burn.rates(0.99);
    let minutes = |count| Duration::from_secs(60) * count;
    let near = |rate: Option<f64>, wanted: f64| (rate.unwrap() - wanted).abs() < 1e-9;
    assert!(near(critical.long_rate, 10.0 / 6.0) && near(critical.short_rate, 0.0));
    assert!(near(high.long_rate, 10.0 / 6.0) && near(high.short_rate, 0.0));
    assert!(near(medium.short_rate, 10.0 / 6.0) && !medium.beyond, "3 times would be too fast");
    assert!(low.beyond && low.factor == 1.0, "1.7 times is");
    assert_eq!((low.long, low.short), (minutes(72 * 60), minutes(6 * 60)));
    assert_eq!(burn.severity(0.99), Some(Severity::Low));
}

#[test]
fn a_budget_is_what_may_fail_without_what_did() {
    let nothing = Budget::default();
    assert_eq!((nothing.success(), nothing.left(0.9), nothing.allowed(0.9)), (None, None, 0));
    for (failed, all, objective, allowed, left) in [
        (0, 1_000, 0.999, 1, 1.0),
        (1, 1_000, 0.999, 1, 0.0),
        (3, 1_000, 0.999, 1, -2.0),
        (5, 100, 0.9, 10, 0.5),
        (100, 100, 0.5, 50, -1.0),
    ] {
        let budget = Budget { failed, all };
        assert_eq!(budget.allowed(objective), allowed, "{budget:?}");
        assert!((budget.left(objective).unwrap() - left).abs() < 1e-9, "{budget:?}");
    }
    let mut sum = Budget { failed: 1, all: 2 };
    sum.add(3, u64::MAX);
    assert_eq!(sum, Budget { failed: 4, all: u64::MAX });
}
