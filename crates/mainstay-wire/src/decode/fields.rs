use core::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::{DecodeError, Meta, Problem, Ratio, Raw, Secret, Seq, syntax};

/// Every field of every frame, outer and inner. Others are passed over.
const NAMES: [&str; 44] = [
    "after_ms",
    "auth",
    "base_ms",
    "caps",
    "client",
    "code",
    "ct",
    "d",
    "for_ms",
    "frame",
    "gen",
    "grace_ms",
    "hb",
    "id",
    "in_ms",
    "interval_ms",
    "jitter_ms",
    "limits",
    "loss",
    "max_ms",
    "message",
    "meta",
    "n",
    "q",
    "quality",
    "rate",
    "reason",
    "recv",
    "replay",
    "resume",
    "resumed",
    "retry",
    "rtt_ms",
    "s",
    "session",
    "t",
    "temporary",
    "time",
    "timeout_ms",
    "token",
    "ts",
    "type",
    "v",
    "version",
];

/// The fields of one object, not yet looked into.
pub(super) struct Fields<'a> {
    /// The frame, and the object in it.
    place: [&'static str; 2],
    found: Found<'a>,
}

#[derive(Default)]
struct Found<'a> {
    values: Vec<(&'static str, &'a RawValue)>,
    twice: Option<&'static str>,
}

impl<'a> Fields<'a> {
    /// The fields of a whole frame whose kind is not known yet.
    pub(super) fn read(text: &'a str) -> Result<Self, DecodeError> {
        let found: Found<'a> = serde_json::from_str(text).map_err(|e| match e.classify() {
            Category::Data => DecodeError::NotAnObject,
            Category::Syntax | Category::Eof | Category::Io => syntax(&e),
        })?;
        Self { place: ["", ""], found }.without_twins()
    }

    /// The same, now that the frame's kind is known.
    pub(super) const fn of(&mut self, frame: &'static str) -> &Self {
        self.place[0] = frame;
        self
    }

    /// The fields of the object `name`.
    pub(super) fn object(&self, name: &'static str) -> Result<Self, DecodeError> {
        let place = [self.place[0], name];
        Self { place, found: self.parse(name, "an object")? }.without_twins()
    }

    /// `read` of the field `name`, if it is there and not null.
    pub(super) fn maybe<T>(
        &self,
        name: &'static str,
        read: impl FnOnce(&'static str) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        let is_there = self.find(name).is_some_and(|value| value.get() != "null");
        is_there.then(|| read(name)).transpose()
    }

    pub(super) fn raw(&self, name: &'static str) -> Result<&'a RawValue, DecodeError> {
        self.find(name).ok_or_else(|| self.error(name, Problem::Missing))
    }

    pub(super) fn meta(&self, name: &'static str) -> Result<Meta, DecodeError> {
        Meta::of(Raw::checked(self.raw(name)?)).map_err(|problem| self.error(name, problem))
    }

    pub(super) fn number(&self, name: &'static str) -> Result<u64, DecodeError> {
        self.parse(name, "a whole number from 0 to 18446744073709551615")
    }

    pub(super) fn small(&self, name: &'static str) -> Result<u32, DecodeError> {
        self.parse(name, "a whole number from 0 to 4294967295")
    }

    pub(super) fn code(&self, name: &'static str) -> Result<u16, DecodeError> {
        self.parse(name, "a whole number from 0 to 65535")
    }

    pub(super) fn seq(&self, name: &'static str) -> Result<Seq, DecodeError> {
        self.number(name).map(Seq)
    }

    pub(super) fn share(&self, name: &'static str) -> Result<Ratio, DecodeError> {
        const SHARE: &str = "a number from 0 to 1";
        let share = Ratio::try_from(self.parse::<f64>(name, SHARE)?);
        let share = share.ok().filter(|share| *share <= Ratio::ONE);
        share.ok_or_else(|| self.error(name, Problem::Not(SHARE)))
    }

    pub(super) fn flag(&self, name: &'static str) -> Result<bool, DecodeError> {
        self.parse(name, "true or false")
    }

    pub(super) fn text(&self, name: &'static str) -> Result<String, DecodeError> {
        self.parse(name, "text")
    }

    pub(super) fn texts(&self, name: &'static str) -> Result<Vec<String>, DecodeError> {
        self.parse(name, "a list of texts")
    }

    pub(super) fn secret(&self, name: &'static str) -> Result<Secret, DecodeError> {
        self.text(name).map(Secret::new)
    }

    /// The parser's own message is dropped: it would show what stands there.
    fn parse<T: Deserialize<'a>>(
        &self,
        name: &'static str,
        expected: &'static str,
    ) -> Result<T, DecodeError> {
        let value = self.raw(name)?;
        serde_json::from_str(value.get()).map_err(|_| self.error(name, Problem::Not(expected)))
    }

    fn find(&self, name: &'static str) -> Option<&'a RawValue> {
        debug_assert!(NAMES.contains(&name), "`{name}` is in the list");
        self.found.values.iter().find(|(found, _)| *found == name).map(|(_, value)| *value)
    }

    fn without_twins(self) -> Result<Self, DecodeError> {
        match self.found.twice {
            Some(name) => Err(self.error(name, Problem::Twice)),
            None => Ok(self),
        }
    }

    fn error(&self, name: &str, problem: Problem) -> DecodeError {
        let parts: Vec<&str> =
            self.place.into_iter().chain([name]).filter(|part| !part.is_empty()).collect();
        DecodeError::Field { path: parts.join("."), problem }
    }
}

impl<'de> Deserialize<'de> for Found<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Collect)
    }
}

struct Collect;

impl<'de> Visitor<'de> for Collect {
    type Value = Found<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found<'de>, A::Error> {
        let mut found = Found::default();
        while let Some(Name(name)) = map.next_key()? {
            let Some(name) = name else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = map.next_value()?;
            if found.values.iter().any(|(before, _)| *before == name) {
                found.twice.get_or_insert(name);
            } else {
                found.values.push((name, value));
            }
        }
        Ok(found)
    }
}

/// The name of a field, if it is one of ours.
struct Name(Option<&'static str>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Lookup)
    }
}

struct Lookup;

impl Visitor<'_> for Lookup {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, text: &str) -> Result<Name, E> {
        Ok(Name(NAMES.into_iter().find(|name| *name == text)))
    }
}
