use core::time::Duration;

use super::config::{CircuitConfig, LinkConfig};
use crate::config::Ratio;
use crate::policy::backoff::{Jitter, Strategy};

/// What one link does differently from the configuration of all: field by field, absent means *as
/// the others*.
///
/// Where a field of the configuration may be absent itself, `Some(None)` says so: a limit of
/// attempts lifted, a breaker removed (`false` in a file).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct LinkOverrides {
    /// See [`LinkConfig::dial_timeout`].
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration::option"))]
    pub dial_timeout: Option<Duration>,
    /// See [`LinkConfig::close_timeout`].
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration::option"))]
    pub close_timeout: Option<Duration>,
    /// See [`LinkConfig::stable_after`].
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration::option"))]
    pub stable_after: Option<Duration>,
    /// See [`LinkConfig::suspend_after`].
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration::option"))]
    pub suspend_after: Option<Duration>,
    /// What differs in redialling.
    pub reconnect: ReconnectOverrides,
    /// What differs in probing.
    pub health: HealthOverrides,
}

/// What one link does differently in redialling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct ReconnectOverrides {
    /// See [`super::ReconnectConfig::enabled`].
    pub enabled: Option<bool>,
    /// See [`super::ReconnectConfig::attempts`].
    #[cfg_attr(feature = "serde", serde(with = "limit", skip_serializing_if = "Option::is_none"))]
    pub attempts: Option<Option<u32>>,
    /// See [`super::ReconnectConfig::hint_cap`].
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration::option"))]
    pub hint_cap: Option<Duration>,
    /// How the waits grow.
    pub strategy: Option<Strategy>,
    /// The first wait.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration::option"))]
    pub base: Option<Duration>,
    /// The longest wait.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration::option"))]
    pub cap: Option<Duration>,
    /// The growth of exponential waits.
    pub factor: Option<Ratio>,
    /// The growth of linear waits.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration::option"))]
    pub increment: Option<Duration>,
    /// How a wait is drawn.
    pub jitter: Option<Jitter>,
    /// See [`super::ReconnectConfig::circuit`].
    #[cfg_attr(
        feature = "serde",
        serde(with = "switched", skip_serializing_if = "Option::is_none")
    )]
    pub circuit: Option<Option<CircuitConfig>>,
}

/// What one link does differently in probing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct HealthOverrides {
    /// See [`super::HealthConfig::enabled`].
    pub enabled: Option<bool>,
    /// See [`super::HealthConfig::interval`].
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration::option"))]
    pub interval: Option<Duration>,
    /// See [`super::HealthConfig::timeout`].
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration::option"))]
    pub timeout: Option<Duration>,
    /// See [`super::HealthConfig::edge_interval`].
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration::option"))]
    pub edge_interval: Option<Duration>,
    /// See [`super::HealthConfig::down`].
    pub down: Option<u32>,
    /// See [`super::HealthConfig::up`].
    pub up: Option<u32>,
}

impl ReconnectOverrides {
    /// What these say, and where they say nothing what `earlier` says.
    #[must_use]
    pub fn over(self, earlier: Self) -> Self {
        Self {
            enabled: self.enabled.or(earlier.enabled),
            attempts: self.attempts.or(earlier.attempts),
            hint_cap: self.hint_cap.or(earlier.hint_cap),
            strategy: self.strategy.or(earlier.strategy),
            base: self.base.or(earlier.base),
            cap: self.cap.or(earlier.cap),
            factor: self.factor.or(earlier.factor),
            increment: self.increment.or(earlier.increment),
            jitter: self.jitter.or(earlier.jitter),
            circuit: self.circuit.or(earlier.circuit),
        }
    }
}

impl HealthOverrides {
    /// What these say, and where they say nothing what `earlier` says.
    #[must_use]
    pub fn over(self, earlier: Self) -> Self {
        Self {
            enabled: self.enabled.or(earlier.enabled),
            interval: self.interval.or(earlier.interval),
            timeout: self.timeout.or(earlier.timeout),
            edge_interval: self.edge_interval.or(earlier.edge_interval),
            down: self.down.or(earlier.down),
            up: self.up.or(earlier.up),
        }
    }
}

/// Puts `value`, if there is one, into `field`.
fn put<T: Copy>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

impl LinkConfig {
    /// This configuration with `overrides` put over it, field by field.
    #[must_use]
    pub fn merged(&self, overrides: &LinkOverrides) -> Self {
        let mut merged = *self;
        put(&mut merged.dial_timeout, overrides.dial_timeout);
        put(&mut merged.close_timeout, overrides.close_timeout);
        put(&mut merged.stable_after, overrides.stable_after);
        put(&mut merged.suspend_after, overrides.suspend_after);
        let (into, from) = (&mut merged.reconnect, &overrides.reconnect);
        put(&mut into.enabled, from.enabled);
        put(&mut into.attempts, from.attempts);
        put(&mut into.hint_cap, from.hint_cap);
        put(&mut into.backoff.strategy, from.strategy);
        put(&mut into.backoff.base, from.base);
        put(&mut into.backoff.cap, from.cap);
        put(&mut into.backoff.factor, from.factor);
        put(&mut into.backoff.increment, from.increment.map(Some));
        put(&mut into.backoff.jitter, from.jitter);
        put(&mut into.circuit, from.circuit);
        let (into, from) = (&mut merged.health, &overrides.health);
        put(&mut into.enabled, from.enabled);
        put(&mut into.interval, from.interval);
        put(&mut into.timeout, from.timeout);
        put(&mut into.edge_interval, from.edge_interval);
        put(&mut into.down, from.down);
        put(&mut into.up, from.up);
        merged
    }
}

/// A limit that is a number, or `false` for none: TOML has no `null`.
#[cfg(feature = "serde")]
mod limit {
    use core::fmt;
    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        limit: &Option<Option<u32>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match limit.flatten() {
            Some(limit) => serializer.serialize_u32(limit),
            None => serializer.serialize_bool(false),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Option<u32>>, D::Error> {
        deserializer.deserialize_any(Limit)
    }

    struct Limit;

    impl Visitor<'_> for Limit {
        type Value = Option<Option<u32>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number from 0 to 4294967295, or false for no limit")
        }

        fn visit_u64<E: Error>(self, limit: u64) -> Result<Self::Value, E> {
            let limit = u32::try_from(limit);
            limit.map(|limit| Some(Some(limit))).map_err(|_| E::custom("more than 4294967295"))
        }

        fn visit_i64<E: Error>(self, limit: i64) -> Result<Self::Value, E> {
            let limit = u64::try_from(limit).map_err(|_| E::custom("less than 0"))?;
            self.visit_u64(limit)
        }

        fn visit_bool<E: Error>(self, limited: bool) -> Result<Self::Value, E> {
            if limited { Err(E::custom("say how many, or false")) } else { Ok(Some(None)) }
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(Some(None))
        }
    }
}

/// Tells a breaker that is switched off from one that is not mentioned.
#[cfg(feature = "serde")]
mod switched {
    use crate::config::switch;
    use crate::link::CircuitConfig;
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        circuit: &Option<Option<CircuitConfig>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        switch::serialize(&circuit.flatten(), serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Option<CircuitConfig>>, D::Error> {
        switch::deserialize(deserializer).map(Some)
    }
}
