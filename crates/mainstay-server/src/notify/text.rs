//! Notices for people.

use std::time::Duration;

use mainstay_monitor::notify::{Condition, Told, What};

use super::letter::{Letter, severity};

/// Characters of a title, at most.
const TITLE_MAX: usize = 160;
/// Alerts that a text names one by one; the rest is counted.
const LINES_MAX: usize = 20;

/// A notice in one line, without anything that could end the line.
pub(super) fn title(letter: &Letter) -> String {
    let notification = &letter.notification;
    let Some(first) = notification.alerts.first() else { return "nothing".into() };
    let news = notification.alerts.iter().filter(|told| told.what != What::Still).count();
    let more = if notification.is_repeat() { notification.alerts.len() } else { news } - 1;
    let more = if more == 0 { String::new() } else { format!(" (and {more} more)") };
    let standing = &first.standing;
    let text = format!("[{}] {}: {}", word(first), standing.rule, standing.summary);
    let room = TITLE_MAX - more.len();
    plain(&text).chars().take(room).chain(more.chars()).collect()
}

/// All of it, a line for each alert.
pub(super) fn body(letter: &Letter) -> String {
    let alerts = &letter.notification.alerts;
    let mut text = String::new();
    for told in alerts.iter().take(LINES_MAX) {
        text.push_str(&line(told));
        text.push('\n');
        if let Some(runbook) = &told.standing.runbook {
            text.push_str(&format!("    what to do: {}\n", plain(runbook)));
        }
    }
    let more = alerts.len().saturating_sub(LINES_MAX);
    if more > 0 {
        text.push_str(&format!("and {more} more\n"));
    }
    text
}

/// One alert.
pub(super) fn line(told: &Told) -> String {
    let standing = &told.standing;
    let labels: Vec<String> =
        standing.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let labels = if labels.is_empty() { String::new() } else { format!(" {}", labels.join(" ")) };
    plain(&format!("[{}] {}{labels}: {}", word(told), standing.rule, standing.summary))
}

/// What is said of an alert: `HIGH`, `still HIGH for 3 h`, `RESOLVED after 12 min`.
fn word(told: &Told) -> String {
    let now = match told.standing.status.condition() {
        Condition::Holds => severity(told.standing.severity),
        Condition::NoData => "NO DATA",
    };
    let lasted = duration(told.lasted);
    match told.what {
        What::Fired => now.to_owned(),
        What::Rose { from } => format!("{now}, was {}", severity(from)),
        What::Fell { from } => format!("only {now}, was {}", severity(from)),
        What::Flapping => format!("FLAPPING, {now}"),
        What::Settled => format!("{now}, no longer flapping"),
        What::Resolved => match told.standing.status.condition() {
            Condition::Holds => format!("RESOLVED after {lasted}"),
            Condition::NoData => format!("DATA AGAIN after {lasted}"),
        },
        What::Muted => format!("{now}, seen to"),
        What::Still => format!("still {now} for {lasted}"),
    }
}

/// A duration as people say it: the largest unit, and the next one where that says much.
pub(super) fn duration(lasted: Duration) -> String {
    let seconds = lasted.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let two = |large: u64, unit: &str, small: u64, next: &str| {
        if small == 0 || large >= 10 {
            format!("{large} {unit}")
        } else {
            format!("{large} {unit} {small} {next}")
        }
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => two(minutes, "min", seconds % 60, "s"),
        3_600..86_400 => two(hours, "h", minutes % 60, "min"),
        _ => two(days, "d", hours % 24, "h"),
    }
}

/// A text in one line.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_said_as_people_do() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (95, "1 min 35 s"),
            (3_599, "59 min"),
            (10_800, "3 h"),
            (12_600, "3 h 30 min"),
            (86_400, "1 d"),
            (1_000_000, "11 d"),
        ] {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn a_title_is_one_short_line_whatever_an_alert_says() {
        let mut letter = Letter::test("team", 1);
        let mut told = letter.notification.alerts[0].clone();
        told.standing.summary = "a\r\nBcc: everybody@example.org\u{7}".into();
        letter.notification.alerts[0] = told.clone();
        assert_eq!(title(&letter), "[LOW] TEST: a  Bcc: everybody@example.org ");
        told.standing.summary = "ö".repeat(1_000).into();
        letter.notification.alerts = vec![told; 30];
        let title = title(&letter);
        assert!(title.chars().count() <= TITLE_MAX && title.ends_with(" (and 29 more)"), "{title}");
        assert!(body(&letter).ends_with("and 10 more\n"));
    }

    #[test]
    fn a_repeat_says_for_how_long() {
        let mut letter = Letter::test("team", 1);
        letter.notification.alerts[0].what = What::Still;
        letter.notification.alerts[0].lasted = Duration::from_secs(3 * 3_600);
        assert!(title(&letter).starts_with("[still LOW for 3 h] TEST: "), "{}", title(&letter));
        letter.notification.alerts[0].what = What::Resolved;
        assert!(title(&letter).starts_with("[RESOLVED after 3 h] TEST: "));
    }
}
