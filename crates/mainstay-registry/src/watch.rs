use mainstay_core::session::quality::Quality;

/// What happened to the beats of a session in one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bar {
    /// Minutes since 1970; 0 in a minute before it was watched.
    pub minute: u64,
    /// Beats that came.
    pub came: u16,
    /// Beats that did not.
    pub missed: u16,
    /// The longest round trip in microseconds; 0 without any.
    pub rtt_max_us: u32,
    /// The worst grade; unknown without any.
    pub worst: Quality,
}

/// The last hour of one session, minute by minute.
#[derive(Clone, Debug)]
pub(crate) struct Bars {
    ring: Box<[Bar; 60]>,
}

impl Bars {
    pub(crate) fn new() -> Self {
        Self { ring: Box::new([Bar::default(); 60]) }
    }

    pub(crate) fn record(&mut self, unix_ms: u64, missed: bool, rtt_us: u32, quality: Quality) {
        let minute = unix_ms / 60_000;
        let place = usize::try_from(minute % 60).unwrap_or(0);
        let bar = &mut self.ring[place];
        if bar.minute != minute {
            *bar = Bar { minute, ..Bar::default() };
        }
        let count = if missed { &mut bar.missed } else { &mut bar.came };
        *count = count.saturating_add(1);
        bar.rtt_max_us = bar.rtt_max_us.max(rtt_us);
        let first = bar.worst == Quality::Unknown;
        if quality != Quality::Unknown && (first || quality < bar.worst) {
            bar.worst = quality;
        }
    }

    /// The minutes up to this one, the oldest first.
    pub(crate) fn list(&self, unix_ms: u64) -> Vec<Bar> {
        let last = unix_ms / 60_000;
        (last.saturating_sub(59)..=last)
            .map(|minute| {
                let found = self.ring[usize::try_from(minute % 60).unwrap_or(0)];
                if found.minute == minute { found } else { Bar { minute, ..Bar::default() } }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_kept_and_what_is_older_goes() {
        let mut bars = Bars::new();
        let at = |minute: u64| (30_000_000 + minute) * 60_000;
        bars.record(at(0), false, 500, Quality::Good);
        bars.record(at(0), true, 0, Quality::Poor);
        bars.record(at(1), false, 900, Quality::Good);
        let list = bars.list(at(59));
        assert_eq!(list.len(), 60);
        assert_eq!((list[0].came, list[0].missed, list[0].rtt_max_us), (1, 1, 500));
        assert_eq!((list[0].worst, list[2].worst), (Quality::Poor, Quality::Unknown));
        assert_eq!(bars.list(at(60))[0].rtt_max_us, 900);
        bars.record(at(60), false, 1, Quality::Good);
        assert_eq!((bars.list(at(60))[59].came, bars.list(at(60))[59].missed), (1, 0));
    }
}
