//! AArch64: table look-ups in vectors of 16 bytes.

use crate::field::HALVES;
use crate::kernel::{AHEAD, GROUP, Job, WIDE, kernel, plain};
use core::arch::aarch64::*;

const LANES: usize = 16;
const PAIRS: bool = false;
static NO_HALVES: [u8; 32] = [0; 32];
const NO_TABLE: Table = &NO_HALVES;
type Vector = uint8x16_t;
type Split = (Vector, Vector);
type Table = &'static [u8; 32];

/// There is no hint for it outside of nightly toolchains.
#[inline(always)]
fn prefetch(_: *const u8) {}

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

plain!("neon", vdupq_n_u8(0), vld1q_u8, vst1q_u8);
kernel!("neon");
