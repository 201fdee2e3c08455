//! Nothing is read or written that does not belong to a row: rows lie right in front of and right behind pages that may not be touched.
#![cfg(unix)]

use gf256::{Backend, Coefficients, Source};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use std::ptr::null_mut;
use std::slice;

/// More than any machine has.
const PAGE: usize = 65_536;

/// Memory between two pages that may not be touched.
struct Guarded(*mut u8);

impl Guarded {
    fn new() -> Self {
        let flags = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // SAFETY: new memory, which nobody else has.
        let start = unsafe { mmap_anonymous(null_mut(), 3 * PAGE, flags.0, flags.1) }.expect("three pages");
        for page in [0, 2] {
            let page = start.cast::<u8>().wrapping_add(page * PAGE);
            // SAFETY: of the three pages made just now.
            unsafe { mprotect(page.cast(), PAGE, MprotectFlags::empty()) }.expect("a page is closed");
        }
        Self(start.cast())
    }

    /// The first or the last `len` bytes between the pages.
    #[allow(clippy::needless_pass_by_ref_mut, reason = "what is returned is borrowed from it")]
    fn bytes(&mut self, len: usize, at_end: bool) -> &mut [u8] {
        assert!(len <= PAGE);
        let start = self.0.wrapping_add(if at_end { 2 * PAGE - len } else { PAGE });
        // SAFETY: in the page between, which may be read and written and is full of zeros at first; borrowed as `self` is.
        unsafe { slice::from_raw_parts_mut(start, len) }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: what `new` mapped, and nothing of it is borrowed any more.
        unsafe { munmap(self.0.cast(), 3 * PAGE) }.expect("what was mapped");
    }
}

#[test]
fn nothing_beside_rows_is_touched() {
    let (mut source, mut output) = (Guarded::new(), Guarded::new());
    let factors = [7, 1, 0, 99, 250, 3, 80, 81, 8, 200];
    for backend in Backend::available() {
        for len in (1..=300).chain([1_024, 1_088]) {
            for at_end in [false, true] {
                let source = source.bytes(len, at_end);
                source.iter_mut().zip(1..=255u8).for_each(|(byte, to)| *byte = to);
                for rows in 1..=5 {
                    // One source, and two: the ways are different.
                    for count in [1, 2] {
                        let factors = Coefficients::new(&factors, count);
                        let outputs = output.bytes(rows * len, at_end);
                        backend.combine(factors, std::iter::repeat_n(&*source, count), outputs);
                        let read = std::iter::repeat_n(Source::Bytes(source), count);
                        let targets: Vec<usize> = (0..rows).collect();
                        backend.combine_within(outputs, len, factors, read, &targets);
                        // Added to itself it is gone.
                        assert!(outputs.iter().all(|byte| *byte == 0), "{backend}, {len} bytes, {rows} rows");
                    }
                }
                backend.scale(source, 9);
            }
        }
    }
}
