//! How much memory does a piece of work take?
//!
//! The system's allocator, and beside it how many bytes this thread holds and held at most. One
//! thread's are nobody else's, so tests that run at the same time do not see each other.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The allocator of the integration tests.
pub(crate) struct Counting;

thread_local! {
    /// Bytes held, and the most that was. What is freed elsewhere makes it go below 0.
    static HELD: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
}

/// Does this, and tells how many bytes more than before were held meanwhile.
pub(crate) fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    HELD.set((0, 0));
    let done = work();
    let (_, peak) = HELD.get();
    (done, usize::try_from(peak).unwrap_or(0))
}

fn count(bytes: isize) {
    // A thread that ends has no count any more, and nobody asks for it.
    let _ = HELD.try_with(|held| {
        let (now, peak) = held.get();
        let now = now.wrapping_add(bytes);
        held.set((now, peak.max(now)));
    });
}

#[expect(
    unsafe_code,
    reason = "an allocator is one; it passes everything on as it came"
)]
// SAFETY: every call goes to the system's allocator with the arguments that it came with.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: as promised by whoever calls.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: as promised by whoever calls.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: as promised by whoever calls.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // While it is moved, both are held.
        count(bytes.cast_signed());
        count(-layout.size().cast_signed());
        // SAFETY: as promised by whoever calls.
        unsafe { System.realloc(memory, layout, bytes) }
    }
}
