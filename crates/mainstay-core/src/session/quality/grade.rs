use super::{Factor, Grader, Profile, Quality};
use crate::time::Instant;

/// What is known of a connection when one of its beats was answered or missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Sample {
    /// The smoothed round trip in microseconds; none before the first.
    pub rtt_us: Option<u32>,
    /// By how much round trips differ, in microseconds.
    pub jitter_us: u32,
    /// The shortest round trip, in microseconds.
    pub min_us: u32,
    /// Outcomes, the newest in the lowest bit: a set bit is a beat that did not come.
    pub losses: u32,
    /// How many of those outcomes there were yet; more than 20 count as 20.
    pub beats: u8,
    /// Misses in a row; zero when this beat came.
    pub missed: u8,
    /// Reconnects in the last 10 minutes.
    pub reconnects: u8,
}

/// The grade of one connection, in eight bytes.
///
/// ```
/// use mainstay_core::session::quality::{Grade, Grader, Quality, QualityConfig, Sample};
///
/// let grader = Grader::new(&QualityConfig::axon())?;
/// let mut grade = Grade::default();
/// for beats in 1..=5 {
///     let sample = Sample { rtt_us: Some(2_000_000), beats, ..Sample::default() };
///     grade = grade.update(&grader, &sample);
/// }
/// assert_eq!(grade.quality(), Quality::Poor);
/// # Ok::<(), mainstay_core::config::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Grade {
    /// Hundredths of a point.
    score: u16,
    quality: Quality,
    factor: Factor,
    /// Beats in a row that spoke for a better grade.
    up: u8,
    /// Beats in a row that spoke for a worse one.
    down: u8,
    /// Beats so far, held at the number from which there is a grade.
    samples: u8,
}

/// What each trouble takes from the score, in hundredths of a point.
#[derive(Clone, Copy, Debug)]
struct Penalties {
    rtt: u32,
    jitter: u32,
    loss: u32,
    flapping: u32,
}

impl Grade {
    /// The grade that was stored before a restart, as if it had been reached by beats.
    #[must_use]
    pub fn restored(grader: &Grader, quality: Quality, factor: Factor) -> Self {
        let known = quality != Quality::Unknown;
        let top = if quality == Quality::Unknown { 0 } else { grader.edge(quality) };
        let samples = if known { grader.config.samples } else { 0 };
        Self { score: top.saturating_add(1_000), quality, factor, up: 0, down: 0, samples }
    }

    /// How good the connection is.
    #[must_use]
    pub const fn quality(self) -> Quality {
        self.quality
    }

    /// What weighs most in that.
    #[must_use]
    pub const fn factor(self) -> Factor {
        self.factor
    }

    /// The score from 0 to 100 that the grade follows.
    #[must_use]
    pub const fn score(self) -> u8 {
        let points = self.score / 100;
        if points > 100 { 100 } else { points.to_le_bytes()[0] }
    }

    /// The grade after a beat that was answered (`sample.missed` is 0) or missed.
    #[must_use]
    pub fn update(self, grader: &Grader, sample: &Sample) -> Self {
        let penalties = Penalties::of(grader.config.profile, sample);
        let mut next = Self { score: self.follow(grader, penalties.raw()), ..self };
        next.samples = self.samples.saturating_add(1).min(grader.config.samples);
        next.factor = penalties.factor(sample.missed);
        if next.samples < grader.config.samples {
            return next;
        }
        match grader.config.profile {
            Profile::Interactive | Profile::Background | Profile::Satellite => {
                next.judge(grader, sample.missed);
            }
            Profile::Axon => next.judge_by_cuts(grader, sample),
        }
        next
    }

    /// The grade while nothing was heard for longer than usual: `POOR` at best.
    #[must_use]
    pub fn suspected(self) -> Self {
        match self.quality {
            Quality::Good | Quality::Excellent => {
                Self { quality: Quality::Poor, factor: Factor::Silence, up: 0, down: 0, ..self }
            }
            Quality::Unknown | Quality::Critical | Quality::Poor => self,
        }
    }

    /// The score, moved towards `raw`; a step is at least a hundredth.
    fn follow(self, grader: &Grader, raw: u16) -> u16 {
        if self.samples == 0 {
            return raw;
        }
        let distance = self.score.abs_diff(raw);
        let share = if raw < self.score { grader.config.falling } else { grader.config.rising };
        let step = share.times(u64::from(distance)).max(1).min(u64::from(distance));
        let step = u16::try_from(step).unwrap_or(distance);
        if raw < self.score { self.score - step } else { self.score + step }
    }

    /// Follows the score, with margins.
    fn judge(&mut self, grader: &Grader, missed: u8) {
        let config = &grader.config;
        let margin = u16::from(config.margin) * 100;
        if self.quality == Quality::Unknown {
            self.settle(grader.band(self.score));
        } else {
            let edge = grader.edge(self.quality);
            let above = grader.band(self.score.saturating_sub(margin));
            if self.score < edge.saturating_sub(u16::from(config.cliff) * 100) {
                self.settle(grader.band(self.score));
            } else if self.score < edge.saturating_sub(margin) {
                (self.up, self.down) = (0, self.down.saturating_add(1));
                if self.down >= config.down_after {
                    self.settle(grader.band(self.score));
                }
            } else if above > self.quality && missed == 0 {
                (self.up, self.down) = (self.up.saturating_add(1), 0);
                if self.up >= config.up_after {
                    self.settle(above);
                }
            } else {
                (self.up, self.down) = (0, 0);
            }
        }
        let at_best = match missed {
            0 | 1 => Quality::Excellent,
            2 => Quality::Poor,
            3.. => Quality::Critical,
        };
        if self.quality > at_best {
            self.settle(at_best);
        }
    }

    /// Seed 004's grade.
    fn judge_by_cuts(&mut self, grader: &Grader, sample: &Sample) {
        let by_latency = match sample.rtt_us.unwrap_or(0) {
            0..=500_000 => Quality::Excellent,
            500_001..=1_000_000 => Quality::Good,
            1_000_001..=3_000_000 => Quality::Poor,
            3_000_001.. => Quality::Critical,
        };
        let by_misses = match sample.missed {
            0 => Quality::Excellent,
            1 => Quality::Good,
            2 => Quality::Poor,
            3.. => Quality::Critical,
        };
        let target = by_latency.min(by_misses);
        if target > self.quality && self.quality != Quality::Unknown {
            (self.up, self.down) = (self.up.saturating_add(1), 0);
            if self.up >= grader.config.up_after {
                self.settle(target);
            }
        } else if target < self.quality {
            (self.up, self.down) = (0, self.down.saturating_add(1));
            if self.down >= grader.config.down_after {
                self.settle(target);
            }
        } else {
            self.settle(target);
        }
    }

    const fn settle(&mut self, quality: Quality) {
        (self.quality, self.up, self.down) = (quality, 0, 0);
    }
}

impl Penalties {
    fn of(profile: Profile, sample: &Sample) -> Self {
        let rtt = sample.rtt_us.unwrap_or(0);
        let rtt = match profile {
            Profile::Interactive | Profile::Background | Profile::Axon => rtt,
            Profile::Satellite => rtt.saturating_sub(sample.min_us),
        };
        let with_jitter = rtt.saturating_add(sample.jitter_us.saturating_mul(2));
        let (steady, all) = (delay(profile, rtt), delay(profile, with_jitter));
        let beats = u32::from(sample.beats.clamp(1, 20));
        let lost = (sample.losses & ((1 << beats) - 1)).count_ones();
        let flapping = u32::from(sample.reconnects.saturating_sub(1)) * 1_000;
        Self { rtt: steady, jitter: all - steady, loss: lost * 25_000 / beats, flapping }
    }

    fn raw(&self) -> u16 {
        let all = [self.rtt, self.jitter, self.loss, self.flapping];
        let taken = all.into_iter().fold(0, u32::saturating_add).min(10_000);
        u16::try_from(10_000 - taken).unwrap_or(0)
    }

    /// What takes most; nothing stands out below 5 points.
    fn factor(&self, missed: u8) -> Factor {
        if missed >= 2 {
            return Factor::Silence;
        }
        let all = [
            (self.rtt, Factor::Rtt),
            (self.jitter, Factor::Jitter),
            (self.loss, Factor::Loss),
            (self.flapping, Factor::Flapping),
        ];
        let worst = all.into_iter().max_by_key(|(taken, _)| *taken);
        worst.filter(|(taken, _)| *taken >= 500).map_or(Factor::None, |(_, factor)| factor)
    }
}

/// What an effective delay takes from the score, in hundredths of a point.
const fn delay(profile: Profile, us: u32) -> u32 {
    let effective = us.saturating_add(10_000);
    let effective = match profile {
        Profile::Background => effective / 5 * 2,
        Profile::Interactive | Profile::Satellite | Profile::Axon => effective,
    };
    if effective < 160_000 { effective / 400 } else { (effective - 120_000) / 100 }
}

/// How often a connection came back in the last ten minutes, in eight bytes.
///
/// Exact to two minutes: it counts in five parts, and forgets a part at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Reconnects {
    /// The latest part, counted in two minutes since the clock's origin, modulo 2¹⁶.
    part: u16,
    counts: [u8; 5],
}

impl Reconnects {
    /// None yet.
    pub const NONE: Self = Self { part: 0, counts: [0; 5] };
    const PART_NANOS: u64 = 120_000_000_000;

    /// Counts one more.
    pub fn record(&mut self, now: Instant) {
        self.forget(now);
        self.counts[0] = self.counts[0].saturating_add(1);
    }

    /// How many there were in the ten minutes before `now`.
    #[must_use]
    pub fn count(mut self, now: Instant) -> u8 {
        self.forget(now);
        self.counts.into_iter().fold(0, u8::saturating_add)
    }

    fn forget(&mut self, now: Instant) {
        let [low, high, ..] = (now.as_nanos() / Self::PART_NANOS).to_le_bytes();
        let part = u16::from_le_bytes([low, high]);
        let past = usize::from(part.wrapping_sub(self.part));
        // A clock that steps back reads as a leap of nearly 2¹⁶ parts: it forgets nothing.
        if past == 0 || past > usize::from(u16::MAX / 2) {
            return;
        }
        self.counts.rotate_right(past.min(5) % 5);
        for stale in self.counts.iter_mut().take(past.min(5)) {
            *stale = 0;
        }
        self.part = part;
    }
}
