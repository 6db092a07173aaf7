//! What a session takes.

use mainstay_core::session::status::EndReason;
use mainstay_registry::{Beats, RegistryConfig};

use crate::world::World;

#[test]
fn a_session_takes_at_most_160_bytes_beside_its_names_and_little_is_reserved_in_advance() {
    let mut world = World::new();
    for nr in 0..20_000 {
        world.connect(Some(&format!("user-{nr}")), Beats::Server);
        world.drain();
    }
    let memory = world.registry.memory();
    assert!(memory.a_session <= 160, "{memory:?}");
    assert_eq!(memory.sessions, 20_000);
    // 64 shards of about 312 grow by an eighth, and by 64 at least.
    assert!(memory.columns <= 20_000 * 160 * 3 / 2, "{memory:?}");
    assert!(memory.index <= 20_000 * 192, "{memory:?}");
}

#[test]
fn slots_and_names_are_used_again() {
    let mut world = World::with(&RegistryConfig { ended_max: 0, ..Default::default() });
    let mut most = 0;
    for round in 0..200 {
        let keys: Vec<_> = (0..64)
            .map(|nr| world.connect(Some(&format!("{round}-{nr}")), Beats::Server))
            .collect();
        for key in keys {
            assert!(world.registry.end(world.now, key.session(), EndReason::Bye));
        }
        world.drain();
        if round == 100 {
            most = world.registry.memory().columns;
        }
    }
    let memory = world.registry.memory();
    assert_eq!((memory.sessions, memory.columns), (0, most));
    assert!(world.registry.counts_by_name().0.is_empty());
}
