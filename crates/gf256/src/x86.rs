//! x86-64: GFNI in vectors of 64 and of 32 bytes, shuffles in vectors of 32 and of 16.

use crate::field::{HALVES, MATRICES};
use crate::kernel::{AHEAD, GROUP, Job, WIDE, kernel, plain};
use core::arch::x86_64::*;

/// A factor's products with all low and all high halves of a byte.
type Halves = &'static [u8; 32];
static NO_HALVES: [u8; 32] = [0; 32];

#[inline(always)]
fn prefetch(address: *const u8) {
    // SAFETY: a hint; an address that is not mapped is not fetched.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
}

pub(crate) mod gfni_avx512 {
    use super::*;

    const LANES: usize = 64;
    const PAIRS: bool = true;
    const NO_TABLE: u64 = 0;
    type Vector = __m512i;
    type Split = Vector;
    type Table = u64;

    #[inline]
    #[target_feature(enable = "gfni,avx512f,avx512bw")]
    fn zero() -> Vector {
        _mm512_setzero_si512()
    }

    /// # Safety
    /// The pointer is to 64 bytes.
    #[inline]
    #[target_feature(enable = "gfni,avx512f,avx512bw")]
    unsafe fn load(source: *const u8) -> Vector {
        // SAFETY: as this function's.
        unsafe { _mm512_loadu_si512(source.cast()) }
    }

    /// # Safety
    /// The pointer is to 64 bytes that may be written.
    #[inline]
    #[target_feature(enable = "gfni,avx512f,avx512bw")]
    unsafe fn store(output: *mut u8, vector: Vector) {
        // SAFETY: as this function's.
        unsafe { _mm512_storeu_si512(output.cast(), vector) }
    }

    /// # Safety
    /// The pointer is to `count` bytes, fewer than 64.
    #[inline]
    #[target_feature(enable = "gfni,avx512f,avx512bw")]
    unsafe fn load_part(source: *const u8, count: usize) -> Vector {
        // SAFETY: what lies behind `count` is masked, and is not touched.
        unsafe { _mm512_maskz_loadu_epi8((1 << count) - 1, source.cast()) }
    }

    /// # Safety
    /// The pointer is to `count` bytes that may be written, fewer than 64.
    #[inline]
    #[target_feature(enable = "gfni,avx512f,avx512bw")]
    unsafe fn store_part(output: *mut u8, count: usize, vector: Vector) {
        // SAFETY: what lies behind `count` is masked, and is not touched.
        unsafe { _mm512_mask_storeu_epi8(output.cast(), (1 << count) - 1, vector) }
    }

    #[inline]
    fn split(vector: Vector) -> Split {
        vector
    }

    #[inline]
    fn table(factor: u8) -> Table {
        MATRICES[usize::from(factor)]
    }

    #[inline]
    #[target_feature(enable = "gfni,avx512f,avx512bw")]
    fn multiply_add(sum: Vector, piece: Split, table: Table) -> Vector {
        let matrix = _mm512_set1_epi64(table.cast_signed());
        _mm512_xor_si512(sum, _mm512_gf2p8affine_epi64_epi8::<0>(piece, matrix))
    }

    #[inline]
    #[target_feature(enable = "gfni,avx512f,avx512bw")]
    fn multiply_add_two(sum: Vector, [(a, by_a), (b, by_b)]: [(Split, Table); 2]) -> Vector {
        let a = _mm512_gf2p8affine_epi64_epi8::<0>(a, _mm512_set1_epi64(by_a.cast_signed()));
        let b = _mm512_gf2p8affine_epi64_epi8::<0>(b, _mm512_set1_epi64(by_b.cast_signed()));
        // 0x96: the exclusive or of all three.
        _mm512_ternarylogic_epi64::<0x96>(sum, a, b)
    }

    kernel!("gfni,avx512f,avx512bw");
}

pub(crate) mod gfni_avx {
    use super::*;

    const LANES: usize = 32;
    const PAIRS: bool = false;
    const NO_TABLE: u64 = 0;
    type Vector = __m256i;
    type Split = Vector;
    type Table = u64;

    #[inline]
    fn split(vector: Vector) -> Split {
        vector
    }

    #[inline]
    fn table(factor: u8) -> Table {
        MATRICES[usize::from(factor)]
    }

    #[inline]
    #[target_feature(enable = "gfni,avx2")]
    fn multiply_add(sum: Vector, piece: Split, table: Table) -> Vector {
        let matrix = _mm256_set1_epi64x(table.cast_signed());
        _mm256_xor_si256(sum, _mm256_gf2p8affine_epi64_epi8::<0>(piece, matrix))
    }

    plain!("gfni,avx2", _mm256_setzero_si256(), _mm256_loadu_si256, _mm256_storeu_si256);
    kernel!("gfni,avx2");
}

pub(crate) mod avx2 {
    use super::*;

    const LANES: usize = 32;
    const PAIRS: bool = false;
    const NO_TABLE: Halves = &NO_HALVES;
    type Vector = __m256i;
    type Split = (Vector, Vector);
    type Table = Halves;

    /// Low and high halves of the bytes.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn split(vector: Vector) -> Split {
        let low = _mm256_set1_epi8(0x0f);
        (_mm256_and_si256(vector, low), _mm256_and_si256(_mm256_srli_epi64::<4>(vector), low))
    }

    #[inline]
    fn table(factor: u8) -> Table {
        &HALVES[usize::from(factor)]
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn multiply_add(sum: Vector, (low, high): Split, table: Table) -> Vector {
        // Each half of the table twice, straight from memory: shuffles are what there is too little of.
        // SAFETY: the table is 32 bytes.
        let lows = _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(table.as_ptr().cast()) });
        let highs = table.as_ptr().wrapping_add(16);
        // SAFETY: the table is 32 bytes.
        let highs = _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(highs.cast()) });
        let product = _mm256_xor_si256(_mm256_shuffle_epi8(lows, low), _mm256_shuffle_epi8(highs, high));
        _mm256_xor_si256(sum, product)
    }

    plain!("avx2", _mm256_setzero_si256(), _mm256_loadu_si256, _mm256_storeu_si256);
    kernel!("avx2");
}

pub(crate) mod ssse3 {
    use super::*;

    const LANES: usize = 16;
    const PAIRS: bool = false;
    const NO_TABLE: Halves = &NO_HALVES;
    type Vector = __m128i;
    type Split = (Vector, Vector);
    type Table = Halves;

    /// Low and high halves of the bytes.
    #[inline]
    #[target_feature(enable = "ssse3")]
    fn split(vector: Vector) -> Split {
        let low = _mm_set1_epi8(0x0f);
        (_mm_and_si128(vector, low), _mm_and_si128(_mm_srli_epi64::<4>(vector), low))
    }

    #[inline]
    fn table(factor: u8) -> Table {
        &HALVES[usize::from(factor)]
    }

    #[inline]
    #[target_feature(enable = "ssse3")]
    fn multiply_add(sum: Vector, (low, high): Split, table: Table) -> Vector {
        // SAFETY: the table is 32 bytes.
        let lows = unsafe { load(table.as_ptr()) };
        // SAFETY: the table is 32 bytes.
        let highs = unsafe { load(table.as_ptr().wrapping_add(16)) };
        let product = _mm_xor_si128(_mm_shuffle_epi8(lows, low), _mm_shuffle_epi8(highs, high));
        _mm_xor_si128(sum, product)
    }

    plain!("ssse3", _mm_setzero_si128(), _mm_loadu_si128, _mm_storeu_si128);
    kernel!("ssse3");
}
