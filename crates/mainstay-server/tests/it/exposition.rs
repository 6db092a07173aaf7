//! The page of metrics, read as strictly as its formats say.

use std::collections::{BTreeMap, BTreeSet};

use crate::running::{Running, start};

const OPEN: &str = "application/openmetrics-text; version=1.0.0";

/// The name, labels and value of a sample.
type Sample = (String, Vec<(String, String)>, f64);

/// What was read of one family.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    help: String,
    unit: Option<String>,
    samples: Vec<Sample>,
}

/// Reads a page, and panics with the line that breaks a rule.
fn read(page: &str, open: bool) -> BTreeMap<String, Family> {
    assert!(page.ends_with('\n') && !page.contains("\r"), "lines end in a line feed");
    let page =
        if open { page.strip_suffix("# EOF\n").expect("the page ends in # EOF") } else { page };
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    let mut series = BTreeSet::new();
    for line in page.lines() {
        if let Some(said) = line.strip_prefix("# ") {
            let mut words = said.splitn(3, ' ');
            let [what, name, text] = [(); 3].map(|()| words.next().expect(line));
            if name != current {
                assert!(!families.contains_key(name), "torn apart: {line}");
                current = name.into();
            }
            let family = families.entry(name.into()).or_default();
            assert!(family.samples.is_empty(), "after its samples: {line}");
            let place = match what {
                "HELP" => &mut family.help,
                "TYPE" => &mut family.kind,
                "UNIT" if open => family.unit.get_or_insert_default(),
                other => panic!("{other}: {line}"),
            };
            assert!(place.is_empty() && !text.is_empty(), "twice, or nothing: {line}");
            *place = text.into();
            continue;
        }
        let (name, labels, value) = sample(line);
        assert!(series.insert((name.clone(), labels.clone())), "twice: {line}");
        let family = families.get_mut(&current).expect(line);
        let suffix = name.strip_prefix(&*current).expect(line);
        let allowed: &[&str] = match (&*family.kind, open) {
            ("counter", true) => &["_total"],
            ("counter", false) | ("gauge", _) => &[""],
            ("histogram", _) => &["_bucket", "_sum", "_count"],
            (other, _) => panic!("{other}: {line}"),
        };
        assert!(allowed.contains(&suffix), "{line}");
        family.samples.push((name, labels, value));
    }
    for (name, family) in &families {
        judge(name, family, open);
    }
    families
}

fn judge(name: &str, family: &Family, open: bool) {
    assert!(is_name(name) && !family.help.is_empty() && !family.kind.is_empty(), "{name}");
    assert_eq!(family.kind == "counter" && !open, name.ends_with("_total"), "{name}");
    if let Some(unit) = &family.unit {
        assert!(name.ends_with(&format!("_{unit}")), "{name}: {unit}");
    }
    if family.kind == "counter" {
        assert!(family.samples.iter().all(|(.., value)| *value >= 0.0), "{name}");
    }
    if family.kind == "histogram" {
        let mut left = &*family.samples;
        while !left.is_empty() {
            left = histogram(name, left);
        }
    }
}

/// Takes the samples of one histogram off `left`: buckets in order, then sum and count.
fn histogram<'a>(name: &str, left: &'a [Sample]) -> &'a [Sample] {
    let buckets = left.iter().take_while(|(sample, ..)| sample.ends_with("_bucket")).count();
    let of = |labels: &[(String, String)]| -> Vec<(String, String)> {
        labels.iter().filter(|(name, _)| name != "le").cloned().collect()
    };
    let own = of(&left[0].1);
    // Those of the next label set follow a sum and a count.
    assert!(left[..buckets].iter().all(|(_, labels, _)| of(labels) == own), "{name}: mixed");
    let bounds: Vec<f64> = left[..buckets]
        .iter()
        .map(|(_, labels, _)| {
            let (_, bound) = labels.iter().find(|(name, _)| name == "le").expect(name);
            assert!(bound == "+Inf" || bound.contains('.'), "{name}: {bound}");
            bound.replace("+Inf", "inf").parse().unwrap()
        })
        .collect();
    assert!(bounds.is_sorted_by(|one, next| one < next), "{name}: {bounds:?}");
    assert_eq!(bounds.last(), Some(&f64::INFINITY), "{name}");
    assert!(left[..buckets].is_sorted_by(|one, next| one.2 <= next.2), "{name}: cumulative");
    let [sum, count] = [&left[buckets], &left[buckets + 1]];
    assert_eq!((&sum.0, &count.0), (&format!("{name}_sum"), &format!("{name}_count")));
    assert_eq!((&sum.1, &count.1), (&own, &own), "{name}");
    assert_eq!(count.2.to_bits(), left[buckets - 1].2.to_bits(), "{name}");
    &left[buckets + 2..]
}

fn sample(line: &str) -> Sample {
    let end = line.find(['{', ' ']).expect(line);
    let name = line[..end].to_owned();
    assert!(is_name(&name), "{line}");
    let mut labels: Vec<(String, String)> = Vec::new();
    let mut rest = &line[end..];
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, after) = rest.split_once("=\"").expect(line);
            assert!(is_name(label) && !label.contains(':'), "{line}");
            assert!(labels.iter().all(|(known, _)| known != label), "{line}");
            let (value, after) = unquoted(after).expect(line);
            labels.push((label.into(), value));
            if let Some(after) = after.strip_prefix('}') {
                rest = after;
                break;
            }
            rest = after.strip_prefix(',').expect(line);
        }
    }
    let value = rest.strip_prefix(' ').expect(line);
    let value = match value {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        "NaN" => f64::NAN,
        text => {
            assert!(text.starts_with(|c: char| c.is_ascii_digit() || c == '-'), "{line}");
            text.parse().expect(line)
        }
    };
    (name, labels, value)
}

/// What stands before the closing quote, and what follows it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let (mut value, mut chars) = (String::new(), text.char_indices());
    loop {
        match chars.next()? {
            (at, '"') => return Some((value, &text[at + 1..])),
            (_, '\\') => value.push(match chars.next()?.1 {
                'n' => '\n',
                known @ ('\\' | '"') => known,
                _ => return None,
            }),
            (_, other) => value.push(other),
        }
    }
}

fn is_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}

async fn page(running: &Running, accept: &str) -> (String, String) {
    let headers = format!("Host: {}\r\nAccept: {accept}", running.address);
    let answer = running.get("/metrics", &headers).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_ascii_lowercase(), body.into())
}

#[tokio::test]
async fn the_page_keeps_the_rules_of_both_formats_whatever_is_recorded() {
    let text = "[[link]]\nname = \"down\"\nurl = \"tcp://127.0.0.1:1\"\npolicy = \"axon\"\n\
                [policy.axon]\n[[receiver]]\nname = \"ops\"\nkind = \"alertmanager\"\n\
                url = \"http://127.0.0.1:1/\"\n";
    let running = start(text).await;
    let odd = "a\"b\\c\nd{},= é";
    metrics::counter!("odd.things", "who is it" => odd).increment(2);
    metrics::gauge!("9lives", "who" => odd).set(f64::NAN);
    metrics::describe_gauge!("9lives", "With a \"quote\" and a \\ and\na line.");
    metrics::histogram!("odd_seconds", "who" => odd, "le" => "no").record(0.3);
    metrics::histogram!("odd_seconds", "who" => "else").record(30.0);
    // Names that are taken: neither is on the page.
    metrics::gauge!("mainstay_link_up").set(7.0);
    metrics::gauge!("mainstay_sessions_rtt_seconds_sum").set(7.0);
    for (accept, open, kind) in [
        ("text/plain", false, "content-type: text/plain; version=0.0.4; charset=utf-8"),
        (OPEN, true, "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"),
    ] {
        let (head, body) = page(&running, accept).await;
        assert!(head.contains(kind) && head.contains("vary: accept"), "{head}");
        let families = read(&body, open);
        let counter = families.get(if open { "odd_things" } else { "odd_things_total" }).unwrap();
        let who = vec![("who_is_it".to_owned(), odd.to_owned())];
        assert_eq!(counter.samples[0].1, who);
        assert!(families["_9lives"].samples[0].2.is_nan(), "{body}");
        assert_eq!(families["odd_seconds"].samples.len(), 2 * 14);
        assert!(families["mainstay_link_up"].samples.iter().all(|(.., value)| *value < 2.0));
        for name in [
            "mainstay_sessions_rtt_seconds",
            "mainstay_operation_seconds",
            "mainstay_notification_seconds",
        ] {
            let family = &families[name];
            assert_eq!(family.kind, "histogram", "{name}");
            assert_eq!(family.unit.as_deref(), open.then_some("seconds"), "{name}");
            let bounds: Vec<&str> = family
                .samples
                .iter()
                .filter_map(|(_, labels, _)| labels.iter().find(|(name, _)| name == "le"))
                .map(|(_, bound)| &**bound)
                .collect();
            assert_eq!((bounds[0], bounds[10], bounds[11]), ("0.005", "10.0", "+Inf"), "{name}");
        }
        let version = &families["mainstay_build_info"].samples[0];
        assert_eq!(version.1, [("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]);
        let streams = if open { "mainstay_stream_lagged" } else { "mainstay_stream_lagged_total" };
        assert_eq!(families[streams].samples.len(), 2, "events and messages");
    }
}

#[tokio::test]
async fn the_page_says_whether_the_configuration_was_put_in_force() {
    let running = start("").await;
    let good = async || {
        let (_, body) = page(&running, OPEN).await;
        let families = read(&body, true);
        let since = &families["mainstay_config_last_reload_timestamp_seconds"];
        assert!(since.samples[0].2 > 1.0e9);
        families["mainstay_config_last_reload_successful"].samples[0].2 > 0.5
    };
    assert!(good().await);
    running.handle.reload_failed();
    assert!(!good().await);
    running.handle.reload(&crate::running::config("")).await.unwrap();
    assert!(good().await);
}
