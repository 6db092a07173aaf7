use super::config::Settings;
use super::state::Generation;
use crate::time::Instant;

/// Probes, the run of failures and the planned successor of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Health {
    pub(super) probe: Probe,
    failures: u16,
    successes: u16,
    /// The dial of a connection to take over from this one; otherwise the default, which is none's.
    pub(super) migration: Generation,
}

/// Probes never overlap: there is one, or none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Probe {
    #[default]
    Idle,
    Due(Instant),
    Running {
        generation: Generation,
        until: Instant,
    },
}

/// What one more result means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing new.
    Steady,
    /// The first failure of a healthy connection.
    Suspect,
    /// The failures are forgiven.
    Restored,
    /// Enough failures.
    Down(u32),
}

impl Health {
    /// Of a new connection.
    pub(super) fn new(settings: &Settings, now: Instant) -> Self {
        let mut health = Self::default();
        health.plan(settings, now);
        health
    }

    /// Between the first failure and the verdict.
    pub(super) const fn is_suspect(self) -> bool {
        self.failures > 0
    }

    /// Takes one result, of a probe or of a real call.
    ///
    /// `down` failures are a verdict, unless `up` successes in a row lie between: a peer that fails
    /// every other time is not well.
    pub(super) fn record(&mut self, settings: &Settings, good: bool) -> Verdict {
        if !good {
            self.successes = 0;
            self.failures = self.failures.saturating_add(1);
            return match self.failures {
                failures if failures >= settings.down => Verdict::Down(u32::from(failures)),
                1 => Verdict::Suspect,
                _ => Verdict::Steady,
            };
        }
        if self.failures == 0 {
            return Verdict::Steady;
        }
        self.successes = self.successes.saturating_add(1);
        if self.successes < settings.up {
            return Verdict::Steady;
        }
        (self.failures, self.successes) = (0, 0);
        Verdict::Restored
    }

    /// Plans the next probe, sooner at the edge. A running one plans for itself when it ends.
    pub(super) fn plan(&mut self, settings: &Settings, now: Instant) {
        if matches!(self.probe, Probe::Running { .. }) {
            return;
        }
        let wait = if self.is_suspect() { settings.edge_interval } else { settings.interval };
        let at = Instant::from_nanos(now.as_nanos().saturating_add(wait));
        self.probe = if settings.probing { Probe::Due(at) } else { Probe::Idle };
    }

    /// Moves a planned probe back: the peer was heard at `at`. Between the first failure and the
    /// verdict, probes stay close together.
    pub(super) fn postpone(&mut self, settings: &Settings, at: Instant) {
        if let Probe::Due(planned) = self.probe
            && !self.is_suspect()
        {
            let at = Instant::from_nanos(at.as_nanos().saturating_add(settings.interval));
            self.probe = Probe::Due(planned.max(at));
        }
    }

    /// Brings a planned probe forward when the interval has become shorter.
    pub(super) fn hasten(&mut self, settings: &Settings, now: Instant) {
        let planned = self.probe;
        self.plan(settings, now);
        if let (Probe::Due(before), Probe::Due(after)) = (planned, self.probe) {
            self.probe = Probe::Due(before.min(after));
        }
    }
}
