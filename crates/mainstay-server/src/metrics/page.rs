//! A page of metrics, in the format that was asked for.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use super::buckets::Spread;

/// How a page is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Prometheus' text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

/// What kind of number a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Grows until the process ends; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How many samples were at most so large.
    Histogram,
}

/// What is named beside a number.
pub(crate) type Labels<'a> = &'a [(&'a str, &'a str)];

/// What is written so far.
#[derive(Debug)]
pub(crate) struct Page {
    format: Format,
    text: String,
    /// Names of families, which occur once.
    names: BTreeSet<String>,
    /// In place of the text, when it is to be written otherwise.
    #[cfg(feature = "otlp")]
    pub(super) gathered: Option<Vec<super::Gathered>>,
}

/// A family whose samples are being written.
#[derive(Debug)]
pub(crate) struct Family<'a> {
    page: &'a mut Page,
    name: &'a str,
}

impl Format {
    /// The one that a client would rather have, by its `Accept`.
    pub(crate) fn accepted(accept: Option<&str>) -> Self {
        let (mut open, mut text) = (0.0, 0.0);
        for range in accept.unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default().to_ascii_lowercase();
            let (mut quality, mut is_known) = (1.0, true);
            for (name, value) in parts.filter_map(|part| part.split_once('=')) {
                let value = value.trim().trim_matches('"');
                match name.trim() {
                    "q" => quality = value.parse::<f64>().unwrap_or(0.0).clamp(0.0, 1.0),
                    "version" => is_known = value == "1.0.0" || media == "text/plain",
                    _ => {}
                }
            }
            match &*media {
                "application/openmetrics-text" if is_known => open = quality.max(open),
                "text/plain" | "text/*" => text = quality.max(text),
                _ => {}
            }
        }
        // Whoever takes anything gets what everything can read.
        if open > 0.0 && open >= text { Self::OpenMetrics } else { Self::Text }
    }

    /// What the page is called on its way.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl Page {
    pub(crate) fn new(format: Format) -> Self {
        Self {
            format,
            text: String::new(),
            names: BTreeSet::new(),
            #[cfg(feature = "otlp")]
            gathered: None,
        }
    }

    /// Begins a family; the name of a counter ends in `_total`.
    pub(crate) fn family<'a>(&'a mut self, name: &'a str, kind: Kind, help: &str) -> Family<'a> {
        let stem = name.strip_suffix("_total").unwrap_or(name);
        let is_new = self.names.insert(stem.to_owned());
        debug_assert!(is_new, "{name} is torn apart");
        #[cfg(feature = "otlp")]
        if self.gathers(name, kind, help) {
            return Family { page: self, name };
        }
        let (shown, help) = match self.format {
            Format::Text => (name, escaped(help, false)),
            Format::OpenMetrics => (stem, escaped(help, true)),
        };
        self.line(format_args!("# HELP {shown} {help}"));
        self.line(format_args!("# TYPE {shown} {}", kind.name()));
        if self.format == Format::OpenMetrics
            && let Some(unit) = unit(stem)
        {
            self.line(format_args!("# UNIT {shown} {unit}"));
        }
        Family { page: self, name }
    }

    /// A family of one number without labels.
    pub(crate) fn one(&mut self, name: &str, kind: Kind, help: &str, value: f64) {
        self.family(name, kind, help).sample(&[], value);
    }

    /// Whether there is such a family, or samples of another have such names.
    pub(super) fn has(&self, name: &str) -> bool {
        let stem = name.strip_suffix("_total").unwrap_or(name);
        let base = ["_bucket", "_count", "_sum", "_created"]
            .iter()
            .find_map(|suffix| stem.strip_suffix(suffix))
            .unwrap_or(stem);
        self.names.contains(stem) || self.names.contains(base)
    }

    /// The whole page.
    pub(crate) fn end(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.line(format_args!("# EOF"));
        }
        self.text
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        writeln!(self.text, "{line}").expect("writing to a string cannot fail");
    }
}

impl Family<'_> {
    /// A number.
    pub(crate) fn sample(&mut self, labels: Labels<'_>, value: f64) {
        #[cfg(feature = "otlp")]
        if self.page.takes(labels, || super::Measured::Number(value)) {
            return;
        }
        self.write("", labels, None, value);
    }

    /// All numbers of a histogram.
    #[expect(clippy::cast_precision_loss, reason = "counts beyond 2^53 may be off by one")]
    pub(crate) fn spread(&mut self, labels: Labels<'_>, spread: &Spread) {
        #[cfg(feature = "otlp")]
        if self.page.takes(labels, || super::Measured::Spread(spread.clone())) {
            return;
        }
        let mut sum = 0_u64;
        for (place, count) in spread.counts.iter().enumerate() {
            sum = sum.saturating_add(*count);
            let bound = spread.bounds.get(place).copied().unwrap_or(f64::INFINITY);
            // The same text in both formats: the label is part of the series' name.
            let bound = if bound.is_finite() { format!("{bound:?}") } else { "+Inf".into() };
            self.write("_bucket", labels, Some(&bound), sum as f64);
        }
        self.write("_sum", labels, None, spread.sum);
        self.write("_count", labels, None, sum as f64);
    }

    fn write(&mut self, suffix: &str, labels: Labels<'_>, bound: Option<&str>, value: f64) {
        let bound = bound.map(|bound| ("le", bound));
        let pairs: Vec<String> = labels
            .iter()
            .copied()
            .chain(bound)
            .map(|(name, value)| format!("{name}=\"{}\"", escaped(value, true)))
            .collect();
        let name = self.name;
        let value = number(value);
        if pairs.is_empty() {
            self.page.line(format_args!("{name}{suffix} {value}"));
        } else {
            self.page.line(format_args!("{name}{suffix}{{{}}} {value}", pairs.join(",")));
        }
    }
}

/// The unit that a name ends in, if it is a base unit.
fn unit(stem: &str) -> Option<&str> {
    let (_, last) = stem.rsplit_once('_')?;
    matches!(last, "seconds" | "bytes" | "ratio").then_some(last)
}

fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".into() } else { "-Inf".into() }
    } else {
        value.to_string()
    }
}

fn escaped(text: &str, quotes: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if quotes { text.replace('"', "\\\"") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_the_one_that_is_preferred_and_known() {
        let prometheus = "application/openmetrics-text;version=1.0.0,\
                          application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for (accept, wanted) in [
            (None, Format::Text),
            (Some(""), Format::Text),
            (Some("*/*"), Format::Text),
            (Some("text/plain"), Format::Text),
            (Some("application/openmetrics-text"), Format::OpenMetrics),
            (Some("Application/OpenMetrics-Text; version=\"1.0.0\""), Format::OpenMetrics),
            (Some("application/openmetrics-text; version=2.0.0"), Format::Text),
            (Some("application/openmetrics-text;q=0"), Format::Text),
            (Some("application/openmetrics-text;q=0.4, text/plain;q=0.5"), Format::Text),
            (Some(prometheus), Format::OpenMetrics),
        ] {
            assert_eq!(Format::accepted(accept), wanted, "{accept:?}");
        }
    }

    #[test]
    fn labels_and_help_cannot_break_out_of_their_place() {
        for (format, help) in
            [(Format::Text, "a\"b\\\\c\\nd"), (Format::OpenMetrics, "a\\\"b\\\\c\\nd")]
        {
            let mut page = Page::new(format);
            page.family("odd", Kind::Gauge, "a\"b\\c\nd").sample(&[("who", "a\"b\\c\nd")], 1.5);
            let text = page.end();
            assert!(text.starts_with(&format!("# HELP odd {help}\n# TYPE odd gauge\n")), "{text}");
            assert!(text.contains("\nodd{who=\"a\\\"b\\\\c\\nd\"} 1.5\n"), "{text}");
        }
    }

    #[test]
    fn a_counter_is_called_as_each_format_wants_it() {
        let written = |format| {
            let mut page = Page::new(format);
            page.one("sent_bytes_total", Kind::Counter, "Bytes.", 3.0);
            page.end()
        };
        let text = "# HELP sent_bytes_total Bytes.\n# TYPE sent_bytes_total counter\n\
                    sent_bytes_total 3\n";
        assert_eq!(written(Format::Text), text);
        let open = "# HELP sent_bytes Bytes.\n# TYPE sent_bytes counter\n\
                    # UNIT sent_bytes bytes\nsent_bytes_total 3\n# EOF\n";
        assert_eq!(written(Format::OpenMetrics), open);
    }

    #[test]
    fn numbers_that_are_none_are_written_as_the_formats_want_them() {
        let shown = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.1, 1e21].map(number);
        assert_eq!(shown, ["NaN", "+Inf", "-Inf", "0.1", "1000000000000000000000"]);
    }
}
