//! When something is worked on.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use mainstay::monitor::engine::engine::Maintenance;
use mainstay::monitor::engine::rules::Matcher;

/// Names of days in files.
pub(crate) const WEEKDAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// Work on something, during which its alerts notify nobody.
#[derive(Clone, Debug)]
pub struct MaintenanceSpec {
    /// Its name.
    pub name: String,
    /// When.
    pub times: Times,
    /// Which rules' alerts, with `*`; none: all.
    pub rules: Vec<Matcher>,
    /// About what, by label, with `*`; none: everything.
    pub matching: BTreeMap<String, Matcher>,
}

/// When something is worked on.
#[derive(Clone, Debug)]
pub enum Times {
    /// Once.
    Once {
        /// From then on.
        start: Timestamp,
        /// Until then, exclusively.
        end: Timestamp,
    },
    /// Again and again.
    Again(Recurring),
}

/// Days and a time of day.
#[derive(Clone, Debug)]
pub struct Recurring {
    /// The days on which it begins; none: all.
    pub days: Vec<Weekday>,
    /// The time at which it begins, in `timezone`.
    pub at: Time,
    /// How long it lasts, up to a week.
    pub length: Duration,
    /// Where that time is shown.
    pub timezone: TimeZone,
}

impl Times {
    /// Whether it is on at `now`.
    fn is_on(&self, now: Timestamp) -> bool {
        match self {
            Self::Once { start, end } => *start <= now && now < *end,
            Self::Again(again) => again.is_on(now),
        }
    }
}

impl Recurring {
    fn is_on(&self, now: Timestamp) -> bool {
        let Ok(length) = SignedDuration::try_from(self.length) else { return false };
        let today = now.to_zoned(self.timezone.clone()).date();
        // One that began up to a week ago may go on.
        (0..=7).any(|ago| {
            let Ok(day) = today.checked_sub(jiff::Span::new().days(ago)) else { return false };
            if !self.days.is_empty() && !self.days.contains(&day.weekday()) {
                return false;
            }
            let begins = day.to_datetime(self.at).to_zoned(self.timezone.clone());
            let Ok(begins) = begins.map(|begins| begins.timestamp()) else { return false };
            begins <= now && begins.checked_add(length).is_ok_and(|ends| now < ends)
        })
    }
}

/// What is worked on at `now`.
pub(super) fn now_on(specs: &[MaintenanceSpec], now: Timestamp) -> Vec<Maintenance> {
    let on = specs.iter().filter(|spec| spec.times.is_on(now));
    on.map(|spec| Maintenance {
        name: spec.name.clone(),
        rules: spec.rules.clone(),
        matching: spec.matching.clone(),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn again(days: &[Weekday], at: &str, hours: u64, zone: &str) -> Times {
        Times::Again(Recurring {
            days: days.to_vec(),
            at: at.parse().unwrap(),
            length: Duration::from_secs(hours * 3_600),
            timezone: TimeZone::get(zone).unwrap(),
        })
    }

    #[test]
    fn once_is_from_then_until_then() {
        let once =
            Times::Once { start: at("2026-11-21T22:00:00Z"), end: at("2026-11-21T23:00:00Z") };
        for (now, on) in [
            ("2026-11-21T21:59:59Z", false),
            ("2026-11-21T22:00:00Z", true),
            ("2026-11-21T22:59:59Z", true),
            ("2026-11-21T23:00:00Z", false),
        ] {
            assert_eq!(once.is_on(at(now)), on, "{now}");
        }
    }

    #[test]
    fn again_is_on_days_and_over_midnight() {
        // 2026-11-21 is a Saturday.
        let nights = again(&[Weekday::Saturday], "23:00", 3, "UTC");
        for (now, on) in [
            ("2026-11-21T22:59:00Z", false),
            ("2026-11-21T23:00:00Z", true),
            ("2026-11-22T01:59:00Z", true),
            ("2026-11-22T02:00:00Z", false),
            ("2026-11-22T23:30:00Z", false),
        ] {
            assert_eq!(nights.is_on(at(now)), on, "{now}");
        }
        let daily = again(&[], "02:00", 1, "UTC");
        assert!(
            daily.is_on(at("2026-11-25T02:30:00Z")) && !daily.is_on(at("2026-11-25T03:30:00Z"))
        );
    }

    #[test]
    fn the_time_of_day_is_that_of_the_place() {
        let berlin = again(&[], "02:00", 1, "Europe/Berlin");
        assert!(berlin.is_on(at("2026-11-21T01:30:00Z")), "UTC+1 in winter");
        assert!(berlin.is_on(at("2026-07-21T00:30:00Z")), "UTC+2 in summer");
        assert!(!berlin.is_on(at("2026-07-21T01:30:00Z")));
        // On the day of the change 02:00 does not exist: it begins an hour later.
        assert!(berlin.is_on(at("2026-03-29T01:30:00Z")));
    }

    #[test]
    fn a_week_is_a_week() {
        let long = again(&[Weekday::Monday], "00:00", 168, "UTC");
        assert!((16..30).all(|day| long.is_on(at(&format!("2026-11-{day}T12:00:00Z")))));
    }
}
