//! What gates and caches have counted.

use std::sync::Arc;

use mainstay::core::policy::breaker::State;
use mainstay::gate::GateView;
use mainstay::monitor::CacheFigures;

use super::page::{Kind, Page};
use super::whole;

/// A number that a thing with a name has.
type Column<T> = (&'static str, Kind, &'static str, fn(&T) -> f64);

const GATES: [Column<GateView>; 3] = [
    ("mainstay_gate_succeeded_total", Kind::Counter, "Calls that spoke for the peer.", |gate| {
        whole(gate.succeeded)
    }),
    ("mainstay_gate_failed_total", Kind::Counter, "Calls that spoke against the peer.", |gate| {
        whole(gate.failed)
    }),
    (
        "mainstay_breaker_half_open",
        Kind::Gauge,
        "1 when the breaker lets a few calls through to see.",
        |gate| {
            let state = gate.breaker.map(|breaker| breaker.state);
            f64::from(u8::from(state == Some(State::HalfOpen)))
        },
    ),
];

const CACHES: [Column<CacheFigures>; 4] = [
    ("mainstay_cache_hits_total", Kind::Counter, "Lookups that the cache answered.", |cache| {
        whole(cache.hits)
    }),
    ("mainstay_cache_misses_total", Kind::Counter, "Lookups that it did not.", |cache| {
        whole(cache.misses)
    }),
    ("mainstay_cache_entries", Kind::Gauge, "Places of the cache that are taken.", |cache| {
        whole(cache.taken)
    }),
    ("mainstay_cache_capacity", Kind::Gauge, "All its places.", |cache| whole(cache.places)),
];

/// Writes what the gates have counted.
pub(super) fn gates(page: &mut Page, gates: &[GateView]) {
    let named: Vec<(Arc<str>, GateView)> =
        gates.iter().map(|gate| (gate.name.clone(), gate.clone())).collect();
    write(page, "gate", &GATES, &named);
}

/// Writes what the caches have counted.
pub(super) fn caches(page: &mut Page, caches: &[(Arc<str>, CacheFigures)]) {
    write(page, "cache", &CACHES, caches);
}

fn write<T>(page: &mut Page, label: &'static str, columns: &[Column<T>], named: &[(Arc<str>, T)]) {
    for (name, kind, help, read) in columns {
        let mut family = page.family(name, *kind, help);
        for (of, value) in named {
            family.sample(&[(label, of)], read(value));
        }
    }
}
