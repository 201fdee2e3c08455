//! AArch64: table look-ups in vectors of 16 bytes.

use crate::field::HALVES;
use crate::kernel::{AHEAD, GROUP, Job, kernel, parts};
use core::arch::aarch64::*;

const LANES: usize = 16;
const PAIRS: bool = false;
const WIDE: usize = 2;
static NO_HALVES: [u8; 32] = [0; 32];
const NO_TABLE: Table = &NO_HALVES;
type Vector = uint8x16_t;
type Split = (Vector, Vector);
type Table = &'static [u8; 32];

#[inline]
#[target_feature(enable = "neon")]
fn zero() -> Vector {
    vdupq_n_u8(0)
}

/// There is no hint for it outside of nightly toolchains.
#[inline(always)]
fn prefetch(_: *const u8) {}

/// # Safety
/// The pointer is to 16 bytes.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn load(source: *const u8) -> Vector {
    // SAFETY: as this function's.
    unsafe { vld1q_u8(source) }
}

/// # Safety
/// The pointer is to 16 bytes that may be written.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn store(output: *mut u8, vector: Vector) {
    // SAFETY: as this function's.
    unsafe { vst1q_u8(output, vector) }
}

/// Low and high halves of the bytes.
#[inline]
#[target_feature(enable = "neon")]
fn split(vector: Vector) -> Split {
    (vandq_u8(vector, vdupq_n_u8(0x0f)), vshrq_n_u8::<4>(vector))
}

#[inline]
fn table(factor: u8) -> Table {
    &HALVES[usize::from(factor)]
}

#[inline]
#[target_feature(enable = "neon")]
fn multiply_add(sum: Vector, (low, high): Split, table: Table) -> Vector {
    // SAFETY: the table is 32 bytes.
    let lows = unsafe { load(table.as_ptr()) };
    // SAFETY: the table is 32 bytes.
    let highs = unsafe { load(table.as_ptr().wrapping_add(16)) };
    veorq_u8(sum, veorq_u8(vqtbl1q_u8(lows, low), vqtbl1q_u8(highs, high)))
}

#[inline]
#[target_feature(enable = "neon")]
fn multiply_add_two(sum: Vector, [(a, by_a), (b, by_b)]: [(Split, Table); 2]) -> Vector {
    multiply_add(multiply_add(sum, a, by_a), b, by_b)
}

parts!("neon");
kernel!("neon");
