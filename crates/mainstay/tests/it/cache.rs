//! The cache, under a paused clock.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use mainstay::cache::{Cache, CacheConfig};
use mainstay::core::config::Ratio;
use tokio::task::LocalSet;
use tokio::time::{advance, sleep};

const SECOND: Duration = Duration::from_secs(1);

fn cache() -> Cache<&'static str, u32, String> {
    let config = CacheConfig { ttl_jitter: Ratio::ZERO, ..CacheConfig::default() };
    Cache::new(&config).unwrap()
}

async fn broken() -> Result<Option<u32>, String> {
    Err("broken".into())
}

#[tokio::test(start_paused = true)]
async fn a_value_is_good_for_its_time() {
    let cache = cache();
    assert_eq!(cache.get_or_load("key", || async { Ok(Some(1)) }).await, Ok(Some(1)));
    assert_eq!(cache.get_or_load("key", || async { Ok(Some(2)) }).await, Ok(Some(1)));
    advance(301 * SECOND).await;
    assert_eq!(cache.get_or_load("key", || async { Ok(Some(2)) }).await, Ok(Some(2)));
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.loads, stats.size), (1, 2, 2, 1));
}

#[tokio::test(start_paused = true)]
async fn not_found_is_kept_for_a_shorter_time() {
    let cache = cache();
    assert_eq!(cache.get_or_load("key", || async { Ok(None) }).await, Ok(None));
    assert_eq!(cache.get_or_load("key", || async { Ok(Some(1)) }).await, Ok(None));
    advance(11 * SECOND).await;
    assert_eq!(cache.get_or_load("key", || async { Ok(Some(1)) }).await, Ok(Some(1)));
}

#[tokio::test(start_paused = true)]
async fn k01_an_error_is_not_kept() {
    let cache = cache();
    assert_eq!(*cache.get_or_load("key", broken).await.unwrap_err(), "broken");
    assert_eq!(cache.stats().size, 0, "and takes no place");
    assert_eq!(cache.get_or_load("key", || async { Ok(Some(1)) }).await, Ok(Some(1)));
}

/// Asks for one key from many tasks at the same time; answers how many loads there were.
async fn crowd(cache: &Cache<&'static str, u32, String>, fails: bool) -> (u32, Vec<bool>) {
    let (loads, local) = (Rc::new(Cell::new(0)), LocalSet::new());
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let (cache, loads) = (cache.clone(), Rc::clone(&loads));
            local.spawn_local(async move {
                let load = || async {
                    loads.set(loads.get() + 1);
                    sleep(SECOND).await;
                    if fails { Err("broken".to_owned()) } else { Ok(Some(7)) }
                };
                cache.get_or_load("key", load).await.is_ok()
            })
        })
        .collect();
    local.await;
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    (loads.get(), answers)
}

#[tokio::test(start_paused = true)]
async fn k02_a_crowd_loads_once_and_shares_what_came_of_it() {
    let cache = cache();
    let (loads, answers) = crowd(&cache, false).await;
    assert!(loads == 1 && answers.iter().all(|ok| *ok));
    advance(301 * SECOND).await;
    assert_eq!(crowd(&cache, false).await.0, 1, "also when it expires");
}

#[tokio::test(start_paused = true)]
async fn k01_a_crowd_shares_the_error_and_the_next_call_asks_again() {
    let cache = cache();
    let (loads, answers) = crowd(&cache, true).await;
    assert!(loads == 1 && answers.iter().all(|ok| !*ok), "{loads} loads");
    assert_eq!(crowd(&cache, false).await.0, 1);
}

#[tokio::test(start_paused = true)]
async fn k01_when_the_one_that_loads_goes_away_the_next_takes_over() {
    let cache = cache();
    let leader = tokio::spawn({
        let cache = cache.clone();
        async move { cache.get_or_load("key", std::future::pending).await }
    });
    tokio::task::yield_now().await;
    let follower = tokio::spawn({
        let cache = cache.clone();
        async move { cache.get_or_load("key", || async { Ok(Some(2)) }).await }
    });
    tokio::task::yield_now().await;
    leader.abort();
    assert_eq!(follower.await.unwrap(), Ok(Some(2)));
}

#[tokio::test(start_paused = true)]
async fn k02_a_stale_value_is_served_while_its_source_fails() {
    let cache = cache();
    cache.insert(&"key", Some(1));
    advance(301 * SECOND).await;
    assert_eq!(cache.get_or_load("key", broken).await, Ok(Some(1)));
    assert_eq!(cache.stats().stale, 1);
    advance(60 * SECOND).await;
    assert!(cache.get_or_load("key", broken).await.is_err());
    cache.insert(&"key", None);
    advance(11 * SECOND).await;
    assert!(cache.get_or_load("key", broken).await.is_err(), "not found is never stale");
}

#[tokio::test(start_paused = true)]
async fn k02_lifetimes_are_spread() {
    let cache: Cache<u32, u32, String> = Cache::new(&CacheConfig::default()).unwrap();
    (0..1_000).for_each(|key| cache.insert(&key, Some(key)));
    advance(285 * SECOND).await;
    let left = (0..1_000).filter(|key| cache.get(key).is_some()).count();
    assert!((350..650).contains(&left), "{left} of 1000 after half of the spread");
}

#[tokio::test(start_paused = true)]
async fn the_least_useful_values_make_room() {
    let config = CacheConfig { capacity: 100, ..CacheConfig::default() };
    let cache: Cache<u32, u32, String> = Cache::new(&config).unwrap();
    (0..10_000).for_each(|key| cache.insert(&key, Some(key)));
    assert!(cache.stats().size <= 110, "{}", cache.stats().size);
    assert!(cache.invalidate(&9_999) || cache.stats().size > 0);
    cache.clear();
    assert_eq!((cache.stats().size, cache.stats().hits), (0, 0));
}

#[test]
fn a_config_that_makes_no_sense_is_refused() {
    let config = CacheConfig { ttl: Duration::ZERO, ..CacheConfig::default() };
    assert_eq!(Cache::<u32, u32, String>::new(&config).unwrap_err().field, "ttl");
}

#[tokio::test(start_paused = true)]
async fn k02_a_key_that_is_being_loaded_does_not_make_room_for_others() {
    let config = CacheConfig { capacity: 4, ..CacheConfig::default() };
    let cache: Cache<u32, u32, String> = Cache::new(&config).unwrap();
    let loads = Cell::new(0);
    let slow = || async {
        loads.set(loads.get() + 1);
        sleep(SECOND).await;
        Ok(Some(7))
    };
    let crowd = |keys: std::ops::Range<u32>| keys.for_each(|key| cache.insert(&key, Some(key)));
    crowd(1..100);
    let crowded = async {
        tokio::task::yield_now().await;
        crowd(100..1_000);
        cache.get_or_load(0, slow).await
    };
    let answers = tokio::join!(cache.get_or_load(0, slow), crowded);
    assert_eq!(answers, (Ok(Some(7)), Ok(Some(7))));
    assert_eq!(loads.get(), 1, "one load at a time");
    assert!(cache.stats().size <= 5, "{}", cache.stats().size);
}

#[tokio::test(start_paused = true)]
async fn k02_more_loads_than_places_each_run_once_and_then_make_room() {
    let config = CacheConfig { capacity: 2, ..CacheConfig::default() };
    let cache: Cache<u32, u32, String> = Cache::new(&config).unwrap();
    let (loads, local) = (Rc::new(Cell::new(0)), LocalSet::new());
    for call in 0..32 {
        let (cache, loads) = (cache.clone(), Rc::clone(&loads));
        local.spawn_local(async move {
            let load = || async {
                loads.set(loads.get() + 1);
                sleep(SECOND).await;
                Ok(Some(call % 16))
            };
            assert_eq!(cache.get_or_load(call % 16, load).await, Ok(Some(call % 16)));
        });
    }
    local.await;
    assert_eq!(loads.get(), 16);
    (100..200).for_each(|key| cache.insert(&key, Some(key)));
    assert!(cache.stats().size <= 2, "{}", cache.stats().size);
}
