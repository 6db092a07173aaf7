//! One alert as the dispatcher knows it, and what of it is news to a receiver.

use mainstay_core::time::Instant;

use super::config::DispatchConfig;
use super::notification::What;
use super::route::Route;
use super::standing::{Condition, Standing};
use crate::alert::Severity;

/// Which alert, and what of it.
pub(super) type Key = (u64, Condition);

/// One alert as the dispatcher knows it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) standing: Standing,
    /// Since when it goes on; of one that is over, when it began.
    pub(super) since: Instant,
    /// Since when it goes on and is not muted.
    pub(super) audible: Option<Instant>,
    /// When it ended, if it has.
    pub(super) ended: Option<Instant>,
    /// When anything of it was last otherwise than before.
    pub(super) changed: Instant,
    /// How often it came back while the notice of its end waited.
    pub(super) returns: u32,
}

/// What a receiver has been told of an alert that it has not been told the end of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) severity: Severity,
    pub(super) flapping: bool,
    pub(super) muted: bool,
}

/// What there is to tell of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Nothing; it is not told again either.
    Quiet,
    /// Nothing new: it goes on.
    Still,
    /// Something, but not before then.
    Later(Instant),
    /// Something, since then at the latest.
    Now(Instant, What),
}

impl Entry {
    pub(super) fn new(now: Instant, standing: Standing) -> Self {
        let (is_active, muted) = (standing.status.is_active(), standing.muted);
        Self {
            since: now,
            changed: now,
            audible: (is_active && !muted).then_some(now),
            ended: (!is_active).then_some(now),
            returns: 0,
            standing,
        }
    }

    /// Takes down how it stands now.
    pub(super) fn update(&mut self, now: Instant, standing: Standing) {
        match (self.ended, standing.status.is_active()) {
            (Some(_), true) => {
                self.since = now;
                self.ended = None;
                self.returns = self.returns.saturating_add(1);
            }
            (None, false) => self.ended = Some(now),
            (None, true) | (Some(_), false) => {}
        }
        if self.standing != standing {
            self.changed = now;
        }
        let is_audible = self.ended.is_none() && !standing.muted;
        self.audible = if is_audible { self.audible.or(Some(now)) } else { None };
        self.standing = standing;
    }

    /// What there is to tell a receiver that has `heard` that.
    pub(super) fn news(
        &self,
        now: Instant,
        heard: Option<Heard>,
        route: &Route,
        config: &DispatchConfig,
    ) -> News {
        match (heard, self.ended) {
            (None, Some(_)) => News::Quiet,
            (None, None) => self.first(now, route),
            (Some(heard), None) => self.more(heard, route),
            (Some(heard), Some(ended)) => self.end(now, heard, ended, config),
        }
    }

    /// Of something that it has not been told.
    fn first(&self, now: Instant, route: &Route) -> News {
        let Some(audible) = self.audible else { return News::Quiet };
        if self.standing.severity < route.min_severity {
            return News::Quiet;
        }
        let from = audible.after(route.after);
        if from > now {
            return News::Later(from);
        }
        let what = if self.standing.flapping { What::Flapping } else { What::Fired };
        News::Now(from.max(self.changed), what)
    }

    /// Of something that it has been told and that goes on.
    fn more(&self, heard: Heard, route: &Route) -> News {
        let Standing { severity, muted, flapping, .. } = self.standing;
        if muted {
            let is_news = route.muting && !heard.muted;
            return if is_news { News::Now(self.changed, What::Muted) } else { News::Quiet };
        }
        if severity > heard.severity {
            return News::Now(self.changed, What::Rose { from: heard.severity });
        }
        match (flapping, heard.flapping) {
            (true, true) => News::Still,
            (true, false) => News::Now(self.changed, What::Flapping),
            (false, true) => News::Now(self.changed, What::Settled),
            (false, false) if severity < heard.severity => {
                News::Now(self.changed, What::Fell { from: heard.severity })
            }
            (false, false) => News::Still,
        }
    }

    /// Of something that it has been told and that is over.
    fn end(&self, now: Instant, heard: Heard, ended: Instant, config: &DispatchConfig) -> News {
        let Standing { muted, flapping, .. } = self.standing;
        if flapping && !heard.flapping && !muted {
            return News::Now(self.changed, What::Flapping);
        }
        // What flaps is judged by whoever evaluates it; should that stop, its end must be told.
        let most = config.resolved_delay_max;
        let wait = if flapping { most } else { self.delay(config) };
        let from = ended.after(wait);
        if from > now { News::Later(from) } else { News::Now(from, What::Resolved) }
    }

    /// How long the notice of its end waits.
    fn delay(&self, config: &DispatchConfig) -> core::time::Duration {
        let (mut delay, most) = (config.resolved_delay, config.resolved_delay_max);
        let factor = u128::from(config.resolved_delay_factor.ppm());
        for _ in 0..self.returns {
            if delay >= most || delay.is_zero() {
                break;
            }
            let nanos = delay.as_nanos() * factor / 1_000_000;
            delay = core::time::Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
            if factor == 1_000_000 {
                break;
            }
        }
        delay.min(most)
    }
}
