//! What must not matter: how large a count window is, and how long nobody called.

use std::sync::Arc;
use std::time::Duration;

use mainstay_core::policy::breaker::Window;
use mainstay_core::time::{Instant, Moment};

use crate::breakers::{NOW, breaker, call};
use crate::measure::Row;
use crate::peers::fails_one_in_ten;
use crate::report::Section;

pub fn sections() -> Vec<Section> {
    let size = "Admission and record with one failure in ten, which is judged.";
    let idle = "Admission and record of the first call after a pause, in a window of 10 s.";
    vec![
        Section::new("cost by the size of a count window", size, || {
            [16, 100, 1000, 4000].map(by_size).into()
        }),
        Section::new("cost by idle time", idle, || {
            let hour = Duration::from_secs(3600);
            vec![
                by_idle("1 s", Duration::from_secs(1)),
                by_idle("1 h", hour),
                by_idle("30 days", 30 * 24 * hour),
            ]
        }),
    ]
}

fn by_size(size: u32) -> Row {
    let breaker = breaker(Window::Count(size));
    Row::new(&format!("mainstay, {size} calls"), move || {
        let breaker = Arc::clone(&breaker);
        move |n| call(&breaker, fails_one_in_ten(n), NOW)
    })
}

fn by_idle(name: &str, idle: Duration) -> Row {
    // Short enough a clock that the steps of all rounds fit into it: it wraps to its start, which
    // to the window is one more step.
    let steps = u64::MAX / 2 / u64::try_from(idle.as_nanos()).unwrap_or(u64::MAX);
    let breaker = breaker(Window::Time(Duration::from_secs(10)));
    Row::new(&format!("mainstay, idle for {name}"), move || {
        let breaker = Arc::clone(&breaker);
        let mut step = 0;
        move |_| {
            step = if step == steps { 0 } else { step + 1 };
            let now = Instant::from_nanos(step * idle.as_nanos() as u64);
            call(&breaker, false, Moment { now, ..NOW });
        }
    })
}
