//! The page for everybody: which links hold, by their names, and how they held. Neither addresses nor
//! errors stand in it.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mainstay::clock;
use mainstay::core::time::Instant;
use mainstay::link::{Link, StateName};
use mainstay::monitor::engine::series::Cell;
use mainstay_store::Store;
use tokio::sync::Mutex;

use crate::api::now_text;
use crate::monitor::{AlertEvent, page, series};
use crate::session::unix_ms;
use crate::state::Shared;

/// How long a page is shown to everybody who asks for it: however many do, the history is read once.
const KEPT: Duration = Duration::from_secs(5);
/// How far back it tells how links held.
const DAYS: u64 = 90;
const DAY_MS: u64 = 86_400_000;
/// Incidents that are told.
const INCIDENTS: usize = 20;

/// Whether there is such a page, and the last one.
#[derive(Debug)]
pub(crate) struct StatusPage {
    wanted: AtomicBool,
    made: Mutex<Option<(Instant, Arc<str>)>>,
}

impl StatusPage {
    pub(crate) fn new(wanted: bool) -> Self {
        Self { wanted: AtomicBool::new(wanted), made: Mutex::new(None) }
    }

    pub(crate) fn want(&self, wanted: bool) {
        self.wanted.store(wanted, Ordering::Relaxed);
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// The page, at most 5 s old.
    pub(crate) async fn show(&self, shared: &Arc<Shared>) -> Arc<str> {
        let mut made = self.made.lock().await;
        let now = clock::now();
        if let Some((_, text)) = made.as_ref().filter(|(at, _)| now.since(*at) < KEPT) {
            return text.clone();
        }
        let from = shared.clone();
        let text = tokio::task::spawn_blocking(move || make(&from)).await.unwrap_or_default();
        let text: Arc<str> = text.into();
        *made = Some((now, text.clone()));
        text
    }
}

/// How a link is, in a word, with a sign and a class for its colour.
const fn word(state: StateName) -> (&'static str, &'static str, &'static str) {
    match state {
        StateName::Connected => ("good", "●", "works"),
        StateName::Connecting | StateName::Reconnecting => ("warn", "▲", "reconnecting"),
        StateName::Suspended => ("warn", "◆", "paused"),
        StateName::Failed => ("bad", "■", "failed"),
        StateName::Disconnected | StateName::Closing => ("idle", "○", "switched off"),
    }
}

fn make(shared: &Shared) -> String {
    let (links, store) = (shared.engine.links(), shared.hub.store());
    let total = links.len();
    let well = links.iter().filter(|(link, _)| link.view().state == StateName::Connected).count();
    let (class, sign) = if well == total { ("good", "●") } else { ("warn", "▲") };
    let sentence = match (total, well == total) {
        (0, _) => "Nothing is watched.".into(),
        (_, true) => "Everything works.".into(),
        (_, false) => format!("{well} of {total} work."),
    };
    let mut rows = String::new();
    for (link, _) in &links {
        row(&mut rows, link, &*store);
    }
    let (at, incidents) = (now_text(), incidents(&*store));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Status</title>\n<link rel=\"icon\" href=\"/dashboard/icon.svg\">\n\
         <link rel=\"stylesheet\" href=\"/dashboard/app.css\">\n</head>\n<body class=\"status\">\n\
         <main>\n<h1>Status</h1>\n\
         <p class=\"sentence {class}\"><span aria-hidden=\"true\">{sign}</span> {sentence}</p>\n\
         <table>\n<thead><tr><th>Name</th><th>State</th><th>For</th><th>Last {DAYS} days</th>\
         <th>Held</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n\
         <h2>Incidents</h2>\n{incidents}\
         <p class=\"quiet\">As of {at}. Grey days: no data.</p>\n</main>\n</body>\n</html>\n"
    )
}

fn row(rows: &mut String, link: &Link, store: &dyn Store) {
    let view = link.view();
    let (class, sign, word) = word(view.state);
    let since = view.since.map(|since| spoken(clock::now().since(since))).unwrap_or_default();
    let name = escaped(link.name());
    let (bars, held) = days(store, link.name());
    // Writing to a text cannot fail.
    let _written: std::fmt::Result = writeln!(
        rows,
        "<tr><th scope=\"row\">{name}</th><td class=\"{class}\"><span aria-hidden=\"true\">{sign}\
         </span> {word}</td><td>{since}</td><td>{bars}</td><td>{held}</td></tr>"
    );
}

/// A bar for each of the last days, and the share of the time in which the link was connected.
fn days(store: &dyn Store, name: &str) -> (String, String) {
    let now = unix_ms();
    // One more than is shown, which is more than hours are kept for: so the cells are days.
    let span = Duration::from_millis((DAYS + 1) * DAY_MS);
    let cells = series(store, &format!("link:{name}"), now, span);
    let cells = cells.map(|span| span.cells).unwrap_or_default();
    let mut whole = Cell::default();
    cells.iter().for_each(|(_, cell)| whole.merge(cell));
    let held = whole.level().map_or_else(|| "–".into(), percent);
    let mut bars = format!(
        "<span class=\"days\" role=\"img\" aria-label=\"{} of {DAYS} days known, held {held}\">",
        cells.len()
    );
    let today = now / DAY_MS;
    for day in (today + 1).saturating_sub(DAYS)..=today {
        let cell = cells.iter().find(|(at, _)| at / DAY_MS == day);
        let class = match cell.and_then(|(_, cell)| cell.level()) {
            None => "none",
            Some(level) if level >= 0.999 => "good",
            Some(level) if level >= 0.95 => "warn",
            Some(_) => "bad",
        };
        bars.push_str("<i class=\"");
        bars.push_str(class);
        bars.push_str("\"></i>");
    }
    bars.push_str("</span>");
    (bars, held)
}

/// A share that never reads as more than it is.
fn percent(share: f64) -> String {
    format!("{:.2} %", (share * 10_000.0).floor() / 100.0)
}

/// What was the matter with links, the latest first: since when, and for how long.
fn incidents(store: &dyn Store) -> String {
    let from = unix_ms().saturating_sub(DAYS * DAY_MS);
    let mut after = None;
    // Pages go from the oldest on; the latest are wanted.
    let mut told = VecDeque::new();
    while let Ok(found) = page(store, (from, u64::MAX), None, after.as_deref(), 500) {
        let over = found.events.into_iter().map(|(_, event)| event);
        told.extend(over.filter(|event| event.what == "resolved" && is_of_a_link(event)));
        told.drain(..told.len().saturating_sub(INCIDENTS));
        after = found.next;
        if after.is_none() {
            break;
        }
    }
    let resolved = told.iter().rev();
    let rows: Vec<String> = resolved
        .filter_map(|event| {
            let (link, lasted) = (event.labels.get("link")?, event.lasted_ms?);
            let began = crate::api::time::unix(event.at_ms.saturating_sub(lasted));
            let lasted = spoken(Duration::from_millis(lasted));
            let rule = event.rule.to_ascii_lowercase().replace('_', " ");
            let (link, rule) = (escaped(link), escaped(&rule));
            let began = &began[..began.len().min(16)].replace('T', " ");
            Some(format!("<li>{began} UTC: {link}, {rule}, for {lasted}</li>\n"))
        })
        .take(INCIDENTS)
        .collect();
    if rows.is_empty() {
        return "<p class=\"quiet\">None that is over and known.</p>\n".into();
    }
    format!("<ul>\n{}</ul>\n", rows.concat())
}

fn is_of_a_link(event: &AlertEvent) -> bool {
    event.labels.contains_key("link") && event.lasted_ms.is_some()
}

/// A duration in its two largest units.
fn spoken(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// A text that may stand in HTML.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out_of_the_page() {
        assert_eq!(escaped("<b a='\"&"), "&lt;b a=&#39;&quot;&amp;");
    }

    #[test]
    fn times_are_told_in_two_units() {
        let told = |seconds| spoken(Duration::from_secs(seconds));
        assert_eq!([told(0), told(59)], ["0 s", "59 s"]);
        assert_eq!([told(61), told(7260)], ["1 min 1 s", "2 h 1 min"]);
        assert_eq!(told(90_000), "1 d 1 h");
    }

    #[test]
    fn a_share_is_never_rounded_up() {
        assert_eq!(
            [percent(1.0), percent(0.999_99), percent(0.0)],
            ["100.00 %", "99.99 %", "0.00 %"]
        );
    }
}
