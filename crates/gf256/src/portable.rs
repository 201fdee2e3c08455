//! Plain integers: eight bytes at a time.

use crate::field::multiply;
use crate::kernel::Job;

const LOWEST_BITS: u64 = 0x0101_0101_0101_0101;

/// # Safety
/// As [`Job`] says.
pub(crate) unsafe fn run(job: &Job<'_>) {
    for row in 0..job.outputs.len() {
        let output = job.outputs.row(row, job.len);
        if !job.add {
            let (source, factor) = (job.sources[0], job.coefficients[row * job.stride]);
            // SAFETY: all pointers are to `len` bytes.
            unsafe { row_by(source, factor, output, job.len, false) };
        }
        for j in usize::from(!job.add)..job.sources.len() {
            let (source, factor) = (job.sources[j], job.coefficients[row * job.stride + j]);
            // SAFETY: all pointers are to `len` bytes.
            unsafe { row_by(source, factor, output, job.len, true) };
        }
    }
}

/// # Safety
/// Both pointers are to `len` bytes; those of `output` may be written.
unsafe fn row_by(source: *const u8, factor: u8, output: *mut u8, len: usize, add: bool) {
    // What each bit of a byte adds to the product.
    let shares: [u64; 8] = core::array::from_fn(|bit| multiply(factor, 1 << bit).into());
    let mut at = 0;
    while at + 8 <= len {
        // SAFETY: eight bytes are left of the source.
        let word = unsafe { source.wrapping_add(at).cast::<u64>().read_unaligned() };
        let word = product(word.to_le(), &shares).to_le();
        let output = output.wrapping_add(at).cast::<u64>();
        // SAFETY: eight bytes are left of the output.
        let before = if add { unsafe { output.read_unaligned() } } else { 0 };
        // SAFETY: eight bytes are left of the output.
        unsafe { output.write_unaligned(before ^ word) };
        at += 8;
    }
    while at < len {
        // SAFETY: a byte is left of the source.
        let byte = unsafe { source.wrapping_add(at).read() };
        let output = output.wrapping_add(at);
        // SAFETY: a byte is left of the output.
        let before = if add { unsafe { output.read() } } else { 0 };
        // SAFETY: a byte is left of the output.
        unsafe { output.write(before ^ product(byte.into(), &shares) as u8) };
        at += 1;
    }
}

/// The products of eight bytes with a factor. Bytes of 0 or 1 times a byte: nothing is carried from one byte to the next.
fn product(word: u64, shares: &[u64; 8]) -> u64 {
    let mut product = 0;
    for (bit, share) in shares.iter().enumerate() {
        product ^= (word >> bit & LOWEST_BITS).wrapping_mul(*share);
    }
    product
}
