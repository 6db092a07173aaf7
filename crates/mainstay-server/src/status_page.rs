//! The page for everybody: which links hold, by their names, and since when. Neither addresses nor
//! errors stand in it.

use std::fmt::Write as _;
use std::time::Duration;

use mainstay::clock;
use mainstay::link::{Link, StateName};

use crate::api::now_text;
use crate::state::Shared;

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

/// The page.
pub(crate) fn show(shared: &Shared) -> String {
    let links = shared.engine.links();
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
        row(&mut rows, link);
    }
    let (at, up) = (now_text(), spoken(shared.started.elapsed()));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Status</title>\n<link rel=\"icon\" href=\"/dashboard/icon.svg\">\n\
         <link rel=\"stylesheet\" href=\"/dashboard/app.css\">\n</head>\n<body class=\"status\">\n\
         <main>\n<h1>Status</h1>\n\
         <p class=\"sentence {class}\"><span aria-hidden=\"true\">{sign}</span> {sentence}</p>\n\
         <table>\n<thead><tr><th>Name</th><th>State</th><th>For</th><th>Checks passed</th></tr>\
         </thead>\n<tbody>\n{rows}</tbody>\n</table>\n\
         <p class=\"quiet\">As of {at}; watched for {up}.</p>\n</main>\n</body>\n</html>\n"
    )
}

fn row(rows: &mut String, link: &Link) {
    let (view, stats) = (link.view(), link.stats());
    let (class, sign, word) = word(view.state);
    let since = view.since.map(|since| spoken(clock::now().since(since)));
    let checks = match stats.total_health_checks {
        0 => "none yet".into(),
        _ => stats.success_text(),
    };
    let name = escaped(link.name());
    let since = since.unwrap_or_default();
    // Writing to a text cannot fail.
    let _written: std::fmt::Result = writeln!(
        rows,
        "<tr><th scope=\"row\">{name}</th><td class=\"{class}\"><span aria-hidden=\"true\">{sign}\
         </span> {word}</td><td>{since}</td><td>{checks}</td></tr>"
    );
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
}
