//! A policy that a configuration file switches on with a table (or `true`) and off with `false`.
//!
//! Use it on an `Option` field with `#[serde(with = "mainstay_core::config::switch")]`.

use core::fmt;
use core::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Serialises the policy, or `false` when it is off.
///
/// # Errors
///
/// Those of the serialiser.
pub fn serialize<T: Serialize, S: Serializer>(
    policy: &Option<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match policy {
        Some(policy) => policy.serialize(serializer),
        None => serializer.serialize_bool(false),
    }
}

/// Deserialises a table, `true` (the defaults) or `false` (off).
///
/// # Errors
///
/// When it is none of these, and those of the policy's own fields.
pub fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    deserializer.deserialize_any(Switch(PhantomData))
}

struct Switch<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for Switch<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of settings, true or false")
    }

    fn visit_bool<E: Error>(self, on: bool) -> Result<Self::Value, E> {
        Ok(on.then(T::default))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Some)
    }
}
