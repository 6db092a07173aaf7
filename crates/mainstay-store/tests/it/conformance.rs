//! What every store promises. Each test is run with each store.

mod history;
mod promises;

use std::fmt::Debug;

use mainstay_store::{MemoryStore, RedbStore, Store, StoreConfig};
use tempfile::TempDir;

/// A store and what must live as long as it.
pub(crate) struct Open {
    pub(crate) store: Box<dyn Store>,
    _folder: Option<TempDir>,
}

fn memory() -> Open {
    Open { store: Box::new(MemoryStore::new()), _folder: None }
}

fn redb() -> Open {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::open(folder.path(), &StoreConfig::default()).unwrap();
    Open { store: Box::new(store), _folder: Some(folder) }
}

/// One test for each store and promise.
macro_rules! every_store {
    ($($from:ident: $($promise:ident),+ $(,)?;)+) => {
        mod in_memory {
            $($(
                #[test]
                fn $promise() {
                    super::$from::$promise(&*super::memory().store);
                }
            )+)+
        }

        mod in_a_file {
            $($(
                #[test]
                fn $promise() {
                    super::$from::$promise(&*super::redb().store);
                }
            )+)+
        }
    };
}

every_store! {
    promises:
        a_batch_is_kept_whole,
        a_refused_batch_leaves_no_trace_and_touches_no_other,
        later_changes_of_a_batch_win,
        the_same_event_twice_is_one_event,
        another_event_with_the_same_seq_takes_its_place,
        sessions_come_in_the_order_of_their_names,
        a_key_is_claimed_once,
        a_number_is_taken_once,
        a_sequence_ends_at_its_limit,
        a_number_and_a_name_are_used_up_together,
        areas_do_not_see_each_other,
        large_rows_are_kept_and_larger_ones_refused,
        checkpoints_refresh_sessions,
        an_old_checkpoint_changes_nothing,
        checkpoints_of_a_shard_take_the_place_of_its_former_ones;
    history:
        history_of_a_session_comes_in_pages,
        history_between_two_times_comes_in_pages,
        events_with_an_earlier_time_are_found_and_not_lost,
        history_is_dropped_oldest_first_in_steps,
        whole_days_are_dropped_by_age,
        the_oldest_are_dropped_by_size,
        positions_are_never_given_again;
}

/// What `answer` refused with.
pub(crate) fn refusal<T: Debug, E>(answer: Result<T, E>) -> E {
    match answer {
        Ok(value) => panic!("not refused: {value:?}"),
        Err(error) => error,
    }
}
