use core::time::Duration;

use mainstay_core::link::{Reaction, Wait, close_code};
use mainstay_wire::{CloseCode, RETRY_MAX, Retry, Verdict, reaction};

const SECOND: Duration = Duration::from_secs(1);
const RETRY: Retry = Retry { after_ms: 2_000, jitter_ms: 3_000 };

const fn redial(at_least: Wait) -> Reaction {
    Reaction::Redial { at_least }
}

#[test]
fn each_range_has_its_reaction_for_codes_known_and_unknown() {
    for code in [4000, 4001, 4002, 4099, 4100, 4101, 4106, 4107, 4199] {
        assert_eq!(reaction(code, None), redial(Wait::Usual), "{code}");
        let between = Wait::Between(2 * SECOND, 5 * SECOND);
        assert_eq!(reaction(code, Some(RETRY)), redial(between), "{code}");
    }
    for code in [4200, 4202, 4203, 4204, 4205, 4206, 4207, 4299] {
        assert_eq!(reaction(code, Some(RETRY)), Reaction::Fail, "{code}");
    }
    for retry in [None, Some(RETRY)] {
        assert_eq!(reaction(4201, retry), Reaction::Refresh);
    }
}

#[test]
fn codes_that_are_not_ours_mean_what_they_always_mean() {
    for code in [0, 1000, 1002, 1003, 1008, 1009, 1012, 1013, 3000, 3999, 4300, 4401, u16::MAX] {
        assert_eq!(Verdict::of(code), None);
        assert_eq!(reaction(code, Some(RETRY)), close_code(code), "{code}");
    }
}

#[test]
fn w14_a_peers_wish_is_bounded_and_never_overflows() {
    let endless = Retry { after_ms: u64::MAX, jitter_ms: u64::MAX };
    assert_eq!(reaction(4101, Some(endless)), redial(Wait::Between(RETRY_MAX, 2 * RETRY_MAX)));
    let none = Retry { after_ms: 0, jitter_ms: 0 };
    let Reaction::Redial { at_least } = reaction(4101, Some(none)) else { panic!("it redials") };
    assert_eq!(
        at_least.at_least(SECOND, RETRY_MAX, u64::MAX),
        SECOND,
        "the usual wait stays the least"
    );
}

#[test]
fn the_table_is_in_order_and_finds_each_code() {
    assert!(CloseCode::ALL.is_sorted_by(|one, next| one.code < next.code));
    for known in CloseCode::ALL {
        assert_eq!(CloseCode::find(known.code), Some(known));
        assert!(Verdict::of(known.code).is_some(), "{} is in one of the ranges", known.code);
        // A WebSocket's close holds 123 bytes of reason.
        assert!(known.name.len() <= 123 && !known.meaning.is_empty());
    }
    let listed: Vec<u16> = CloseCode::ALL.into_iter().map(|known| known.code).collect();
    let first: Vec<u16> = (4001..=4002).chain(4101..=4107).chain(4201..=4206).collect();
    assert_eq!(listed, first);
    assert_eq!(CloseCode::find(4000), None);
}
