//! Rows as they were last, and what has changed since when.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;

use super::Told;

/// Deltas that are kept: two minutes of the busiest server.
const DELTAS: usize = 512;

/// The rows of one topic, by their ids.
pub(super) type Rows = BTreeMap<String, Box<RawValue>>;

/// The rows of a topic as they were gathered.
pub(super) struct Gathered {
    pub(super) topic: &'static str,
    /// Fields that tell nothing but how time passes. A row that differs in these alone is not told:
    /// whoever has it can count by itself.
    pub(super) clocks: &'static [&'static str],
    pub(super) rows: Rows,
}

/// What was told last, and the deltas that led there.
#[derive(Debug)]
pub(super) struct Ring {
    boot: u32,
    topics: BTreeMap<&'static str, Rows>,
    /// The number of the last delta.
    last: u64,
    deltas: VecDeque<(u64, Arc<str>)>,
    snapshot: Option<(u64, Arc<str>)>,
}

/// What a listener is told next.
#[derive(Debug)]
pub(super) enum Next {
    /// This, after which it has seen everything up to that number.
    Tell(u64, Told),
    /// Nothing yet.
    Wait,
}

#[derive(Serialize)]
struct Snapshot<'a> {
    at: &'a str,
    topics: &'a BTreeMap<&'static str, Rows>,
}

#[derive(Serialize)]
struct Delta<'a> {
    at: &'a str,
    topics: BTreeMap<&'static str, Change<'a>>,
}

#[derive(Default, Serialize)]
struct Change<'a> {
    set: BTreeMap<&'a str, &'a RawValue>,
    gone: Vec<&'a str>,
}

impl Ring {
    pub(super) fn new(bits: u64) -> Self {
        Self {
            boot: u32::try_from(bits >> 32).unwrap_or(0),
            topics: BTreeMap::new(),
            last: 0,
            deltas: VecDeque::new(),
            snapshot: None,
        }
    }

    /// Takes the rows of a round; answers the number of the delta, if anything has changed.
    pub(super) fn take(&mut self, gathered: Vec<Gathered>, at: &str) -> Option<u64> {
        let mut changes = BTreeMap::new();
        for Gathered { topic, clocks, rows } in &gathered {
            let change = change(self.topics.get(topic), rows, clocks);
            if !change.set.is_empty() || !change.gone.is_empty() {
                changes.insert(*topic, change);
            }
        }
        let text = (!changes.is_empty())
            .then(|| serde_json::to_string(&Delta { at, topics: changes }).ok())
            .flatten();
        self.topics = gathered.into_iter().map(|one| (one.topic, one.rows)).collect();
        let text = text?;
        self.last += 1;
        if self.deltas.len() == DELTAS {
            self.deltas.pop_front();
        }
        self.deltas.push_back((self.last, text.into()));
        Some(self.last)
    }

    /// What comes after `seen`: the next delta, or everything where that is not kept any more.
    pub(super) fn after(&mut self, seen: Option<u64>, at: &str) -> Next {
        if seen == Some(self.last) {
            return Next::Wait;
        }
        let first = self.deltas.front().map_or(u64::MAX, |(number, _)| *number);
        let next = seen.filter(|seen| *seen < self.last).map(|seen| seen + 1);
        let place = next.and_then(|next| next.checked_sub(first));
        let kept = place.and_then(|place| self.deltas.get(usize::try_from(place).ok()?));
        match kept {
            Some((number, data)) => self.tell("delta", *number, data.clone()),
            None => {
                let data = self.snapshot(at);
                self.tell("snapshot", self.last, data)
            }
        }
    }

    fn tell(&self, event: &'static str, number: u64, data: Arc<str>) -> Next {
        let id = format!("{:08x}-{number}", self.boot);
        Next::Tell(number, Told { event, id, data })
    }

    fn snapshot(&mut self, at: &str) -> Arc<str> {
        if let Some((_, data)) = self.snapshot.as_ref().filter(|(number, _)| *number == self.last) {
            return data.clone();
        }
        let text = serde_json::to_string(&Snapshot { at, topics: &self.topics });
        let data: Arc<str> = text.unwrap_or_default().into();
        self.snapshot = Some((self.last, data.clone()));
        data
    }

    /// The number in an id, if it is one of ours.
    pub(super) fn place(&self, id: &str) -> Option<u64> {
        let (boot, number) = id.split_once('-')?;
        let boot = u32::from_str_radix(boot, 16).ok()?;
        number.parse().ok().filter(|number| boot == self.boot && *number <= self.last)
    }
}

fn change<'a>(old: Option<&'a Rows>, new: &'a Rows, clocks: &[&str]) -> Change<'a> {
    let differs = |id: &str, row: &RawValue| {
        let old = old.and_then(|old| old.get(id));
        old.is_none_or(|old| !is_same(old.get(), row.get(), clocks))
    };
    let set = new.iter().filter(|(id, row)| differs(id, row));
    let gone = old.into_iter().flat_map(Rows::keys).filter(|id| !new.contains_key(*id));
    Change {
        set: set.map(|(id, row)| (id.as_str(), &**row)).collect(),
        gone: gone.map(String::as_str).collect(),
    }
}

/// Whether two rows say the same, but for these fields. Their values are numbers, times or null.
fn is_same(old: &str, new: &str, clocks: &[&str]) -> bool {
    old == new || (!clocks.is_empty() && without(old, clocks) == without(new, clocks))
}

/// A row without the values of these fields. Within texts quotes are escaped, so that what stands
/// there is never taken for a field.
fn without(row: &str, clocks: &[&str]) -> String {
    let mut rest = String::from(row);
    for name in clocks {
        let field = format!("\"{name}\":");
        let mut kept = String::with_capacity(rest.len());
        let mut parts = rest.split(field.as_str());
        kept.push_str(parts.next().unwrap_or_default());
        for part in parts {
            kept.push_str(&part[part.find([',', '}']).unwrap_or(0)..]);
        }
        rest = kept;
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn gathered(rows: &[(&str, &str)]) -> Vec<Gathered> {
        let raw = |text: &str| RawValue::from_string(text.into()).unwrap();
        let rows = rows.iter().map(|(id, row)| ((*id).to_owned(), raw(row))).collect();
        vec![Gathered { topic: "links", clocks: &["uptime_ms", "at"], rows }]
    }

    fn told(next: Next) -> Option<(&'static str, String, Value)> {
        match next {
            Next::Tell(_, told) => {
                Some((told.event, told.id, serde_json::from_str(&told.data).unwrap()))
            }
            Next::Wait => None,
        }
    }

    #[test]
    fn a_delta_holds_what_changed_and_nothing_else() {
        let mut ring = Ring::new(0xABCD << 32);
        assert_eq!(ring.take(gathered(&[("a", "1"), ("b", "1")]), "t1"), Some(1));
        assert_eq!(ring.take(gathered(&[("a", "1"), ("b", "1")]), "t2"), None);
        assert_eq!(ring.take(gathered(&[("b", "2"), ("c", "1")]), "t3"), Some(2));
        let (event, id, data) = told(ring.after(Some(1), "t")).unwrap();
        assert_eq!((event, id.as_str()), ("delta", "0000abcd-2"));
        let links = json!({ "set": { "b": 2, "c": 1 }, "gone": ["a"] });
        assert_eq!(data, json!({ "at": "t3", "topics": { "links": links } }));
        assert!(told(ring.after(Some(2), "t")).is_none());
    }

    #[test]
    fn whoever_is_behind_the_ring_gets_everything_anew() {
        let mut ring = Ring::new(0);
        for n in 0..=DELTAS {
            ring.take(gathered(&[("a", &n.to_string())]), "t");
        }
        // The first delta is gone, the second is the oldest.
        let (event, _, data) = told(ring.after(Some(0), "now")).unwrap();
        assert_eq!((event, &data["topics"]["links"]["a"]), ("snapshot", &json!(DELTAS)));
        assert_eq!(data["at"], "now");
        let (event, id, _) = told(ring.after(Some(1), "now")).unwrap();
        assert_eq!((event, id.as_str()), ("delta", "00000000-2"));
        assert_eq!(told(ring.after(None, "now")).unwrap().0, "snapshot");
        assert_eq!(told(ring.after(Some(u64::MAX), "now")).unwrap().0, "snapshot");
    }

    #[test]
    fn a_place_is_one_of_this_process_that_was_told() {
        let mut ring = Ring::new(0x1234 << 32);
        ring.take(gathered(&[("a", "1")]), "t");
        assert_eq!(ring.place("00001234-1"), Some(1));
        assert_eq!(ring.place("00001234-0"), Some(0));
        for foreign in ["00001235-1", "00001234-2", "1", "", "-", "00001234-x", "x-1"] {
            assert_eq!(ring.place(foreign), None, "{foreign:?}");
        }
    }

    #[test]
    fn what_only_counts_the_time_is_not_told() {
        let mut ring = Ring::new(0);
        let row = |uptime: &str, state: &str| {
            format!(
                r#"{{"uptime_ms":{uptime},"name":"\"uptime_ms\":1","s":{{"at":"x"}},"state":"{state}"}}"#
            )
        };
        let mut take = |row: &str| ring.take(gathered(&[("a", row)]), "t");
        assert_eq!(take(&row("1", "UP")), Some(1));
        assert_eq!(take(&row("2", "UP")), None);
        assert_eq!(take(&row("null", "UP")), None);
        assert_eq!(take(&row("2", "DOWN")), Some(2));
        let other = row("2", "DOWN").replace(r#"\"uptime_ms\":1"#, r#"\"uptime_ms\":2"#);
        assert_eq!(take(&other), Some(3));
    }
}
