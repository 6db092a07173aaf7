use super::health::{Health, Verdict};
use super::{
    Action, CircuitConfig, DeadlineReason, Event, FailReason, Generation, Input, Link, LinkConfig,
    Reaction, Redial, State, StateName, Step, SuspendReason, close_code, refused_upgrade,
};
use crate::policy::outcome::Outcome;
use crate::time::Instant;
use core::time::Duration;
use proptest::prelude::{Just, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy;
use std::vec;
use std::vec::Vec;

mod identity;
mod lifecycle;
mod probing;
mod reacting;
mod schedule;
#[cfg(feature = "serde")]
mod text;

const MAX: u64 = u64::MAX;

/// A link with its clock: draws are the longest possible unless `bits` says otherwise.
struct Rig {
    link: Link,
    now: Instant,
    bits: u64,
}

impl Rig {
    fn new(config: &LinkConfig) -> Self {
        Self { link: Link::new(config).unwrap(), now: Instant::from_millis(1_000), bits: MAX }
    }

    fn plain() -> Self {
        Self::new(&LinkConfig::default())
    }

    fn give(&mut self, input: Input) -> Step {
        self.link.handle(self.now, input, self.bits)
    }

    fn pass(&mut self, millis: u64) {
        self.now = self.now.after(Duration::from_millis(millis));
    }

    fn dialled(&mut self, outcome: Outcome) -> Step {
        self.give(Input::DialFinished { generation: self.link.generation(), outcome })
    }

    fn lost(&mut self, outcome: Outcome) -> Step {
        self.give(Input::Lost { generation: self.link.generation(), outcome })
    }

    fn connected(mut self) -> Self {
        let _ = self.give(Input::Connect);
        let _ = self.dialled(Outcome::Success);
        self
    }

    /// Jumps to the deadline and takes it.
    fn next(&mut self) -> (DeadlineReason, Step) {
        let (at, reason) = self.link.deadline().expect("it waits for something");
        self.now = self.now.max(at);
        (reason, self.give(Input::Timer))
    }

    /// Takes deadlines until one for `wanted` has been taken.
    fn until(&mut self, wanted: DeadlineReason) -> Step {
        for _ in 0..1_000 {
            let (reason, step) = self.next();
            if reason == wanted {
                return step;
            }
            if let Action::Probe { generation, .. } = step.action {
                let rtt = Duration::from_millis(5);
                let outcome = Outcome::Success;
                let _ = self.give(Input::ProbeFinished { generation, outcome, rtt });
            }
        }
        panic!("it never waited for {wanted:?}");
    }

    fn name(&self) -> StateName {
        self.link.state().name()
    }

    #[track_caller]
    fn is(&self, name: StateName) {
        assert_eq!(self.name(), name, "{:?}", self.link.state());
    }
}

fn told(step: &Step) -> Vec<&'static str> {
    step.events().map(|event| event.name()).collect()
}

/// The wait that the step announced.
fn delay(step: &Step) -> Duration {
    let mut delays = step.events().filter_map(|event| {
        if let Event::Reconnecting { delay, .. } = event { Some(delay) } else { None }
    });
    delays.next().expect("a redial was announced")
}

#[test]
fn a_link_is_no_larger_than_400_bytes() {
    assert!(size_of::<Link>() <= 400, "{} B", size_of::<Link>());
}

/// One link for every state, with every reason and every kind of redial.
fn every_state() -> Vec<Rig> {
    let lost = || {
        let mut rig = Rig::plain().connected();
        let _ = rig.lost(Outcome::TRANSIENT);
        rig
    };
    let after = |mut rig: Rig, input| {
        let _ = rig.give(input);
        rig
    };
    let closing = after(Rig::plain().connected(), Input::Disconnect);
    let connecting = after(Rig::plain(), Input::Connect);
    let paused = after(Rig::plain().connected(), Input::Pause);
    let broken = after(lost(), Input::BreakerOpened { until: Instant::from_millis(90_000) });
    let dialling = after(lost(), Input::Connect);
    let mut refused = Rig::plain();
    let _ = refused.give(Input::Connect);
    let _ = refused.dialled(Outcome::Permanent);
    let mut outage = lost();
    while outage.name() != StateName::Suspended {
        let _ = outage.next();
    }
    let mut outage_dialling = lost();
    while outage_dialling.name() != StateName::Suspended {
        let _ = outage_dialling.next();
    }
    let outage_dialling = after(outage_dialling, Input::Connect);
    let states = [Rig::plain(), connecting, Rig::plain().connected(), lost(), dialling];
    let held = [paused, broken, outage, outage_dialling, refused, closing];
    states.into_iter().chain(held).collect()
}

fn every_input(generation: Generation, now: Instant) -> Vec<Input> {
    let mut inputs = Vec::from([
        Input::Connect,
        Input::Disconnect,
        Input::CheckNow,
        Input::Pause,
        Input::Resume,
        Input::Reset,
        Input::CloseFinished { generation },
        Input::Timer,
        Input::BreakerOpened { until: now.after(Duration::from_secs(5)) },
        Input::BreakerOpened { until: now },
        Input::BreakerClosed,
        Input::EnableReconnection,
        Input::DisableReconnection,
    ]);
    let hint = Some(Duration::from_secs(7));
    let outcomes = [
        Outcome::Success,
        Outcome::Refused,
        Outcome::Permanent,
        Outcome::Transient { hint },
        Outcome::Elsewhere,
        Outcome::Throttled { hint },
        Outcome::Rejected { retry_after: hint },
        Outcome::Rejected { retry_after: None },
        Outcome::Abandoned,
    ];
    for outcome in outcomes {
        inputs.extend([
            Input::DialFinished { generation, outcome },
            Input::ProbeFinished { generation, outcome, rtt: Duration::from_millis(3) },
            Input::Lost { generation, outcome },
            Input::Traffic { outcome, took: Duration::ZERO },
        ]);
    }
    inputs
}

/// Where each input may lead from each state; what is not listed stays where it is.
fn may_lead(from: StateName, to: StateName) -> bool {
    use StateName::{
        Closing, Connected, Connecting, Disconnected, Failed, Reconnecting, Suspended,
    };
    let legal: &[StateName] = match from {
        Disconnected => &[Connecting, Suspended],
        Connecting => &[Connected, Reconnecting, Suspended, Failed, Disconnected],
        Connected => &[Reconnecting, Suspended, Failed, Closing, Disconnected],
        Reconnecting => &[Connected, Suspended, Failed, Disconnected],
        Suspended => &[Connected, Connecting, Reconnecting, Failed, Disconnected],
        Failed => &[Connecting, Suspended, Disconnected],
        Closing => &[Disconnected],
    };
    legal.contains(&to)
}

#[test]
fn every_state_takes_every_input_and_only_legal_changes_are_told() {
    let states = every_state().len();
    for index in 0..states {
        let inputs = {
            let rig = &every_state()[index];
            every_input(rig.link.generation(), rig.now)
        };
        for input in inputs {
            let mut rig = every_state().swap_remove(index);
            let before = rig.name();
            let step = rig.give(input);
            let mut at = before;
            for event in step.events() {
                if let Event::StateChanged { from, to } = event {
                    assert_eq!(from, at, "{input:?} in {before}");
                    assert!(may_lead(from, to), "{input:?}: {from} to {to}");
                    at = to;
                }
            }
            assert_eq!(at, rig.name(), "{input:?} in {before} changed the state untold");
        }
    }
}

#[test]
fn answers_of_an_earlier_generation_change_nothing_in_any_state() {
    for mut rig in every_state() {
        let stale = Generation::new(rig.link.generation().number().wrapping_sub(1));
        for input in every_input(stale, rig.now) {
            let answers = matches!(
                input,
                Input::DialFinished { .. }
                    | Input::ProbeFinished { .. }
                    | Input::CloseFinished { .. }
                    | Input::Lost { .. }
            );
            if !answers {
                continue;
            }
            let before = rig.link.clone();
            assert_eq!(rig.give(input), Step::default(), "{input:?}");
            assert_eq!(rig.link.state(), before.state());
            assert_eq!(rig.link.deadline(), before.deadline());
            assert_eq!(rig.link.stats(rig.now), before.stats(rig.now));
        }
    }
}

#[test]
fn a_transient_failure_is_never_failed() {
    for mut rig in every_state() {
        if rig.name() == StateName::Failed {
            continue;
        }
        let _ = rig.dialled(Outcome::TRANSIENT);
        let _ = rig.lost(Outcome::THROTTLED);
        assert_ne!(rig.name(), StateName::Failed);
    }
}

fn reaction() -> impl Strategy<Value = Reaction> {
    prop_oneof![
        any::<u16>().prop_map(close_code),
        (100..600_u16).prop_map(|status| refused_upgrade(status, Some(Duration::from_secs(7)))),
    ]
}

fn any_input() -> impl Strategy<Value = (u32, Input)> {
    let outcome = || {
        prop_oneof![
            4 => Just(Outcome::Success),
            4 => Just(Outcome::TRANSIENT),
            1 => Just(Outcome::Refused),
            1 => Just(Outcome::Permanent),
            1 => Just(Outcome::Abandoned),
            1 => any::<u16>().prop_map(|s| Outcome::Throttled {
                hint: Some(Duration::from_secs(u64::from(s)))
            }),
            1 => any::<u8>().prop_map(|s| Outcome::Rejected {
                retry_after: Some(Duration::from_millis(u64::from(s)))
            }),
        ]
    };
    let generation = Generation::default();
    let input = prop_oneof![
        3 => Just(Input::Connect),
        1 => Just(Input::Disconnect),
        2 => Just(Input::CheckNow),
        1 => Just(Input::Pause),
        1 => Just(Input::Resume),
        1 => Just(Input::Reset),
        9 => outcome().prop_map(move |outcome| Input::DialFinished { generation, outcome }),
        6 => outcome().prop_map(move |outcome| Input::ProbeFinished {
            generation, outcome, rtt: Duration::from_millis(1)
        }),
        1 => Just(Input::CloseFinished { generation }),
        3 => outcome().prop_map(move |outcome| Input::Lost { generation, outcome }),
        3 => outcome().prop_map(|outcome| Input::Traffic { outcome, took: Duration::ZERO }),
        9 => Just(Input::Timer),
        1 => any::<u32>().prop_map(|n| Input::BreakerOpened {
            until: Instant::from_millis(u64::from(n))
        }),
        1 => Just(Input::BreakerClosed),
        4 => (outcome(), reaction()).prop_map(move |(outcome, reaction)| Input::Ended {
            generation, outcome, reaction
        }),
        3 => any::<u16>().prop_map(move |ms| Input::Heard {
            generation, at: Instant::from_millis(u64::from(ms) * 9)
        }),
        2 => Just(Input::Woke),
        1 => any::<u16>().prop_map(move |ms| Input::DialDelayed {
            generation, until: Instant::from_millis(u64::from(ms) * 9)
        }),
        2 => Just(Input::Migrate),
        2 => outcome().prop_map(move |outcome| Input::Migrated { generation, outcome }),
        1 => Just(Input::EnableReconnection),
        1 => Just(Input::DisableReconnection),
    ];
    (0..4_000_000_u32, input)
}

/// `input` with a generation: the right one three times out of four.
fn addressed(input: Input, link: &Link, probe: Generation, pick: u32) -> Input {
    let of = |right: Generation| if pick.is_multiple_of(4) { Generation::new(pick) } else { right };
    match input {
        Input::DialFinished { outcome, .. } => {
            Input::DialFinished { generation: of(link.generation()), outcome }
        }
        Input::ProbeFinished { outcome, rtt, .. } => {
            Input::ProbeFinished { generation: of(probe), outcome, rtt }
        }
        Input::CloseFinished { .. } => Input::CloseFinished { generation: of(link.generation()) },
        Input::Lost { outcome, .. } => Input::Lost { generation: of(link.generation()), outcome },
        Input::Ended { outcome, reaction, .. } => {
            Input::Ended { generation: of(link.generation()), outcome, reaction }
        }
        Input::Heard { at, .. } => Input::Heard { generation: of(link.generation()), at },
        Input::DialDelayed { until, .. } => {
            Input::DialDelayed { generation: of(link.generation()), until }
        }
        Input::Migrated { outcome, .. } => {
            let none = link.health.migration == Generation::default();
            let right = if none { link.generation() } else { link.health.migration };
            Input::Migrated { generation: of(right), outcome }
        }
        Input::Connect
        | Input::Disconnect
        | Input::CheckNow
        | Input::Pause
        | Input::Resume
        | Input::Reset
        | Input::Traffic { .. }
        | Input::Timer
        | Input::BreakerOpened { .. }
        | Input::BreakerClosed
        | Input::Woke
        | Input::Migrate
        | Input::EnableReconnection
        | Input::DisableReconnection => input,
    }
}

/// What a person would keep on a sheet of paper: counts of events, and which dial is out.
#[derive(Default)]
struct Sheet {
    state: StateName,
    connections: u64,
    reconnections: u64,
    dialling: Option<Generation>,
    migrating: Option<Generation>,
}

impl Sheet {
    fn note(&mut self, step: &Step, input: Input) {
        for event in step.events() {
            if let Event::StateChanged { from, to } = event {
                assert_eq!(from, self.state);
                self.state = to;
            }
            let made = matches!(event, Event::Connected | Event::Migrated);
            self.connections += u64::from(made);
            self.reconnections += u64::from(matches!(event, Event::Reconnected { .. }));
        }
        if input == Input::Reset {
            (self.connections, self.reconnections) = (0, 0);
        }
        if let Input::DialFinished { generation, .. } | Input::Ended { generation, .. } = input
            && self.dialling == Some(generation)
        {
            self.dialling = None;
        }
        let attempts = step.events().any(|e| matches!(e, Event::ReconnectAttempt { .. }));
        if attempts && step.action == Action::Nothing {
            self.dialling = self.migrating;
        }
        if let Input::Migrated { generation, .. } = input
            && self.dialling == Some(generation)
        {
            self.dialling = None;
        }
        match step.action {
            Action::Migrate { generation, .. } => self.migrating = Some(generation),
            Action::Dial { generation, .. } => self.dialling = Some(generation),
            Action::Abandon | Action::Close { .. } => self.dialling = None,
            Action::Probe { .. } | Action::Nothing => {}
        }
    }
}

proptest! {
    #[test]
    fn any_history_keeps_the_books(
        history in proptest::collection::vec(any_input(), 1..200),
        limit in proptest::option::of(0..4_u32),
        circuit: bool,
    ) {
        let mut config = LinkConfig::default();
        config.reconnect.attempts = limit;
        config.reconnect.circuit = circuit.then(CircuitConfig::default);
        let mut link = Link::new(&config).unwrap();
        let (mut now, mut probe) = (Instant::from_millis(1), Generation::default());
        let mut sheet = Sheet::default();
        for (pick, input) in history {
            now = match (input, link.deadline()) {
                (Input::Timer, Some((at, _))) => now.max(at),
                _ => now.after(Duration::from_millis(u64::from(pick % 4_000))),
            };
            let input = addressed(input, &link, probe, pick);
            let step = link.handle(now, input, crate::bits::bits(1, 2, u64::from(pick)));
            if let Action::Probe { generation, .. } = step.action {
                probe = generation;
            }
            sheet.note(&step, input);
            let stats = link.stats(now);
            prop_assert_eq!(sheet.state, link.state().name());
            prop_assert_eq!(sheet.connections, stats.total_connections);
            prop_assert_eq!(sheet.reconnections, stats.total_reconnections);
            prop_assert_eq!(sheet.dialling.is_some(), link.state().is_dialling());
            prop_assert_eq!(stats.is_connected, link.view().healthy);
            prop_assert!(stats.is_connected || stats.uptime == Duration::ZERO);
            if let Some(limit) = limit {
                prop_assert!(stats.reconnect_attempts <= limit.max(1));
            }
        }
    }

    #[test]
    fn timers_alone_never_spin(
        history in proptest::collection::vec(any_input(), 1..60), bits: u64,
    ) {
        let mut link = Link::new(&LinkConfig::streamotter()).unwrap();
        let mut now = Instant::from_millis(1);
        for (pick, input) in history {
            now = now.after(Duration::from_millis(u64::from(pick % 9_000)));
            let input = addressed(input, &link, Generation::new(pick), pick);
            let _ = link.handle(now, input, bits);
            let mut taken = 0;
            while link.deadline().is_some_and(|(at, _)| at <= now) {
                let _ = link.handle(now, Input::Timer, bits);
                taken += 1;
                prop_assert!(taken < 8, "{:?}", link.deadline());
            }
        }
    }

    #[test]
    fn health_agrees_with_a_list_of_results(
        results in proptest::collection::vec(any::<bool>(), 1..50), down in 1..5_u32, up in 1..4_u32,
    ) {
        let mut config = LinkConfig::default();
        (config.health.down, config.health.up) = (down, up);
        let settings = super::config::Settings::new(&config).unwrap();
        let mut health = Health::default();
        let mut since_forgiven: Vec<bool> = Vec::new();
        for good in results {
            since_forgiven.push(good);
            let run = since_forgiven.iter().rev().take_while(|good| **good).count();
            let failures = since_forgiven.iter().filter(|good| !**good).count();
            let verdict = health.record(&settings, good);
            if good && failures > 0 && run >= usize::try_from(up).unwrap() {
                prop_assert_eq!(verdict, Verdict::Restored);
                since_forgiven.clear();
            } else if !good && failures >= usize::try_from(down).unwrap() {
                prop_assert_eq!(verdict, Verdict::Down(u32::try_from(failures).unwrap()));
                break;
            } else {
                prop_assert_eq!(verdict == Verdict::Suspect, !good && failures == 1);
            }
        }
    }
}
