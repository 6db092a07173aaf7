//! What receivers know in the end, against a model that knows nothing of groups and waits.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mainstay_core::time::Instant;
use mainstay_monitor::alert::Severity;
use mainstay_monitor::notify::{
    Condition, DispatchConfig, Dispatcher, Notification, Route, Standing, Status, What,
};
use proptest::prelude::*;

use crate::notify::standing;

#[derive(Clone, Debug)]
enum Action {
    Alert { id: u64, severity: usize, active: bool, no_data: bool, muted: bool, flapping: bool },
    Pass { seconds: u64 },
    Restart { outage: u64 },
}

fn action() -> impl Strategy<Value = Action> {
    let alert = (0..4_u64, 0..4_usize, any::<bool>(), 0..8_u8, 0..4_u8, 0..6_u8).prop_map(
        |(id, severity, active, no_data, muted, flapping)| Action::Alert {
            id,
            severity,
            active,
            no_data: no_data == 0,
            muted: muted == 0,
            flapping: flapping == 0,
        },
    );
    prop_oneof![
        4 => alert,
        4 => (1..400_u64).prop_map(|seconds| Action::Pass { seconds }),
        1 => (0..50_u64).prop_map(|outage| Action::Restart { outage }),
    ]
}

fn routes() -> Vec<Route> {
    let pager = Route { min_severity: Severity::High, muting: true, ..Route::new("pager") };
    let boss = Route { after: Duration::from_secs(600), ..Route::new("boss") };
    vec![Route::new("team"), pager, boss]
}

/// What one receiver believes.
#[derive(Debug, Default)]
struct Belief {
    open: BTreeMap<(u64, Condition), Severity>,
    last: Option<Instant>,
}

#[derive(Debug, Default)]
struct Model {
    stands: BTreeMap<(u64, Condition), Standing>,
    beliefs: BTreeMap<String, Belief>,
    numbers: BTreeSet<u64>,
}

impl Model {
    fn hear(&mut self, now: Instant, notice: &Notification) {
        assert!(self.numbers.insert(notice.number), "{notice:?} comes twice");
        let belief = self.beliefs.entry(notice.receiver.to_string()).or_default();
        let mut is_urgent = false;
        assert!(!notice.alerts.is_empty());
        for told in &notice.alerts {
            let key = (told.standing.id, told.standing.status.condition());
            let stands = &self.stands[&key];
            assert_eq!(&told.standing, stands, "what is told is how it stands");
            let severity = told.standing.severity;
            let before = belief.open.get(&key).copied();
            match told.what {
                What::Fired => {
                    assert_eq!(before, None, "told twice: {told:?}");
                    assert!(!stands.muted && stands.status.is_active());
                    belief.open.insert(key, severity);
                    is_urgent |= severity == Severity::Critical;
                }
                What::Rose { from } => {
                    assert_eq!(before, Some(from));
                    assert!(from < severity && !stands.muted);
                    belief.open.insert(key, severity);
                    is_urgent = true;
                }
                What::Fell { from } => {
                    assert_eq!(before, Some(from));
                    assert!(from > severity && !stands.muted);
                    belief.open.insert(key, severity);
                }
                What::Flapping => {
                    assert!(!stands.muted && stands.flapping);
                    belief.open.insert(key, before.map_or(severity, |had| had.max(severity)));
                }
                What::Settled => {
                    assert!(before.is_some() && !stands.flapping);
                    belief.open.insert(key, severity);
                }
                What::Resolved => {
                    assert!(belief.open.remove(&key).is_some(), "never told: {told:?}");
                    assert!(!stands.status.is_active());
                }
                What::Muted => {
                    assert!(&*notice.receiver == "pager" && before.is_some() && stands.muted);
                    is_urgent = true;
                }
                What::Still => {
                    assert!(before.is_some() && !stands.muted && stands.status.is_active());
                }
            }
        }
        if !is_urgent && let Some(last) = belief.last {
            assert!(now.since(last) >= Duration::from_secs(300), "too soon: {notice:?}");
        }
        belief.last = Some(now).filter(|_| !belief.open.is_empty());
    }

    /// What a receiver must know once nothing has happened for long.
    fn expected(&self, route: &Route) -> BTreeSet<(u64, Condition)> {
        let open = self.beliefs.get(&*route.receiver).map(|belief| &belief.open);
        let has = |key| open.is_some_and(|open| open.contains_key(key));
        self.stands
            .iter()
            .filter(|(key, stands)| {
                let wants = !stands.muted && stands.severity >= route.min_severity;
                stands.status.is_active() && (wants || has(key))
            })
            .map(|(key, _)| *key)
            .collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn receivers_know_in_the_end_what_is_so(
        actions in prop::collection::vec(action(), 1..60),
    ) {
        let (routes, config) = (routes(), DispatchConfig::default());
        let mut dispatcher = Dispatcher::new(&routes, &config);
        let mut model = Model::default();
        let mut now = Instant::default();
        // Half of all restarts begin the clock anew.
        let mut offset = Duration::ZERO;
        let wait = |dispatcher: &mut Dispatcher, model: &mut Model, now: &mut Instant,
                    offset: Duration, until: Instant| {
            // From one time that it names to the next: nothing may be due in between.
            loop {
                let own = |at: Instant| at.after(offset);
                let next = dispatcher.next_due().map(own).unwrap_or(Instant::MAX).max(*now);
                if next > until {
                    *now = until;
                    return;
                }
                *now = next;
                let inner = Instant::default().after(next.since(Instant::default().after(offset)));
                for notice in dispatcher.due(inner) {
                    model.hear(*now, &notice);
                }
                assert!(dispatcher.next_due().map(own).is_none_or(|next| next > *now), "it spins");
            }
        };
        for action in actions {
            match action {
                Action::Alert { id, severity, active, no_data, muted, flapping } => {
                    let status = match (active, no_data) {
                        (true, false) => Status::Firing,
                        (false, false) => Status::Resolved,
                        (true, true) => Status::NoData,
                        (false, true) => Status::NoDataEnded,
                    };
                    let severity = Severity::ALL[severity];
                    let stands = Standing { muted, flapping, ..standing(id, severity, status) };
                    model.stands.insert((id, status.condition()), stands.clone());
                    let inner = now.since(Instant::default().after(offset));
                    dispatcher.alert(Instant::default().after(inner), stands);
                }
                Action::Pass { seconds } => {
                    let until = now.after(Duration::from_secs(seconds));
                    wait(&mut dispatcher, &mut model, &mut now, offset, until);
                }
                Action::Restart { outage } => {
                    let inner = Instant::default().after(now.since(Instant::default().after(offset)));
                    let snapshot = dispatcher.snapshot(inner);
                    now = now.after(Duration::from_secs(outage));
                    offset = now.since(Instant::default());
                    let outage = Duration::from_secs(outage);
                    dispatcher = Dispatcher::restore(
                        Instant::default(), &routes, &config, snapshot, outage,
                    );
                }
            }
        }
        let until = now.after(Duration::from_secs(2 * 3_600));
        wait(&mut dispatcher, &mut model, &mut now, offset, until);
        for route in &routes {
            let found: BTreeSet<_> = model
                .beliefs
                .get(&*route.receiver)
                .map(|belief| belief.open.keys().copied().collect())
                .unwrap_or_default();
            prop_assert_eq!(found, model.expected(route), "{}", route.receiver);
        }
    }
}
