//! Nothing is left behind: not after pictures, not after errors, not after pictures that nobody asked for.
#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic as the test may")]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use av1_backends::{Decoder, Plane, Settings};
use support::pattern;

/// The system's allocator, and how many of its blocks each thread has in use (the decoder keeps to one thread).
struct Counting;

thread_local! {
    static BLOCKS: Cell<isize> = const { Cell::new(0) };
}

fn blocks() -> isize {
    BLOCKS.get()
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BLOCKS.set(blocks() + 1);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        BLOCKS.set(blocks() - 1);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A decoder's whole life: pictures taken, pictures left, data refused, data fed too early.
fn live_and_die(units: &[Vec<u8>]) {
    let Ok(mut decoder) = Decoder::new(Settings::default()) else { return };
    for unit in units {
        let _ = decoder.feed(unit, 0);
        while let Ok(Some(picture)) = decoder.next_picture() {
            assert_eq!(picture.rows(Plane::Y).count(), 48);
        }
        let damaged: Vec<u8> = unit.iter().rev().copied().collect();
        let _ = decoder.feed(&damaged, 0);
        let flipped: Vec<u8> =
            unit.iter().enumerate().map(|(i, byte)| if i > 8 { !byte } else { *byte }).collect();
        let _ = decoder.feed(&flipped, 0);
        let _ = decoder.next_picture();
    }
    decoder.reset();
    let twice = [&units[0][..], &units[1]].concat();
    let _ = decoder.feed(&twice, 0);
    let _ = decoder.feed(&units[2], 0);
}

#[test]
fn a_decoder_gives_back_all_its_memory() {
    let units = pattern();
    // The first life fills what stays for the process's lifetime.
    live_and_die(&units);
    let before = blocks();
    for _ in 0..20 {
        live_and_die(&units);
    }
    assert_eq!(blocks() - before, 0, "blocks left behind by 20 decoders");
}

#[test]
fn a_long_stream_needs_no_more_memory_than_a_short_one() {
    let units = pattern();
    let Ok(mut decoder) = Decoder::new(Settings::default()) else { return };
    let mut after = |rounds: usize| {
        for unit in units.iter().cycle().take(6 * rounds) {
            decoder.feed(unit, 0).unwrap();
            while decoder.next_picture().unwrap().is_some() {}
        }
        blocks()
    };
    assert_eq!(after(5), after(25));
}
