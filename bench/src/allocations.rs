//! An allocator that counts.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

struct Counting;

static COUNT: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call is passed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(layout.size() as u64, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size() as u64, Ordering::Relaxed);
        // SAFETY: `pointer` came from `alloc` above, which is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// What was allocated meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Allocated {
    pub count: u64,
    /// Bytes more than before.
    pub bytes: u64,
}

pub fn counted<T>(work: impl FnOnce() -> T) -> (T, Allocated) {
    let (count, bytes) = (COUNT.load(Ordering::Relaxed), BYTES.load(Ordering::Relaxed));
    let made = work();
    let (count_after, bytes_after) = (COUNT.load(Ordering::Relaxed), BYTES.load(Ordering::Relaxed));
    let bytes = bytes_after.saturating_sub(bytes);
    (made, Allocated { count: count_after - count, bytes })
}

/// Bytes that are allocated now.
pub fn held() -> u64 {
    BYTES.load(Ordering::Relaxed)
}
