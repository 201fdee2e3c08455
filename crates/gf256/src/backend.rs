//! Which instructions, and the operations in safe code's terms.

use crate::kernel::{GROUP, Job, Outputs};
use core::fmt;
use std::sync::OnceLock;

/// The instructions by which rows are multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Backend(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    GfniAvx512,
    #[cfg(target_arch = "x86_64")]
    GfniAvx,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Ssse3,
    #[cfg(target_arch = "aarch64")]
    Neon,
    Portable,
}

impl Kind {
    /// Fastest first.
    const ALL: &[Self] = &[
        #[cfg(target_arch = "x86_64")]
        Self::GfniAvx512,
        #[cfg(target_arch = "x86_64")]
        Self::GfniAvx,
        #[cfg(target_arch = "x86_64")]
        Self::Avx2,
        #[cfg(target_arch = "x86_64")]
        Self::Ssse3,
        #[cfg(target_arch = "aarch64")]
        Self::Neon,
        Self::Portable,
    ];

    fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::GfniAvx512 => {
                is_x86_feature_detected!("gfni")
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
            }
            #[cfg(target_arch = "x86_64")]
            Self::GfniAvx => is_x86_feature_detected!("gfni") && is_x86_feature_detected!("avx2"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2"),
            #[cfg(target_arch = "x86_64")]
            Self::Ssse3 => is_x86_feature_detected!("ssse3"),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            Self::Portable => true,
        }
    }
}

/// Factors: a row of bytes for each output, a byte in it for each source.
#[derive(Debug, Clone, Copy)]
pub struct Coefficients<'a> {
    bytes: &'a [u8],
    stride: usize,
}

impl<'a> Coefficients<'a> {
    /// Factors in rows of `stride` bytes each, of which there may be more than sources: what is left over is not used. The last
    /// row may be cut short there.
    pub const fn new(bytes: &'a [u8], stride: usize) -> Self {
        Self { bytes, stride }
    }

    /// # Panics
    /// When they are too few for so many outputs and sources.
    fn check(self, outputs: usize, sources: usize) {
        let needed = outputs.checked_sub(1).map_or(0, |before| before * self.stride + sources);
        let fits = sources <= self.stride || outputs <= 1;
        assert!(
            fits && needed <= self.bytes.len(),
            "too few coefficients: {sources} for each of {outputs} rows"
        );
    }
}

/// A row that is read by [`Backend::combine_within`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source<'a> {
    /// One of the block's own rows, by its place.
    Row(usize),
    /// A row elsewhere.
    Bytes(&'a [u8]),
}

impl Backend {
    /// The fastest that this machine has. Looked up once.
    pub fn best() -> Self {
        static BEST: OnceLock<Backend> = OnceLock::new();
        *BEST.get_or_init(|| Self::available().next().unwrap_or(Self::PORTABLE))
    }

    /// Plain integers: everywhere, and slow.
    pub const PORTABLE: Self = Self(Kind::Portable);

    /// All that this machine has, fastest first, [`PORTABLE`](Self::PORTABLE) last.
    pub fn available() -> impl Iterator<Item = Self> {
        Kind::ALL.iter().copied().filter(|kind| kind.is_available()).map(Self)
    }

    /// What it is called in reports.
    pub const fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::GfniAvx512 => "gfni-avx512",
            #[cfg(target_arch = "x86_64")]
            Kind::GfniAvx => "gfni-avx",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::Ssse3 => "ssse3",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => "neon",
            Kind::Portable => "portable",
        }
    }

    /// Writes combinations of `sources` into `outputs`: row `r` of them becomes `Σ coefficients[r][j] · sources[j]`.
    /// `outputs` is as many rows, one after another, as have room in it; each is as long as a source. Without a source
    /// there is nothing that says how long, and nothing is written.
    ///
    /// # Panics
    /// When sources differ in length, `outputs` is not a whole number of rows, or there are too few coefficients.
    pub fn combine<'a>(
        self,
        coefficients: Coefficients<'_>,
        sources: impl IntoIterator<Item = &'a [u8]>,
        outputs: &mut [u8],
    ) {
        let mut sources = sources.into_iter().peekable();
        let len = sources.peek().map_or(0, |first| first.len());
        if len == 0 {
            assert!(outputs.is_empty() || sources.peek().is_none(), "rows of no bytes make none");
            return;
        }
        assert!(outputs.len().is_multiple_of(len), "outputs are not whole rows");
        let rows = outputs.len() / len;
        let sources = sources.map(|source| {
            assert!(source.len() == len, "sources differ in length");
            source.as_ptr()
        });
        // SAFETY: every pointer is to `len` bytes: the sources were looked at, and `outputs` is `rows` times `len` long.
        // They are not in one another: `outputs` is borrowed mutably, and the sources are borrowed as long as `'a`.
        unsafe { self.run(coefficients, sources, Outputs::Rows(outputs.as_mut_ptr(), rows), len, false) }
    }

    /// Adds combinations of `sources` to rows of a block: row `targets[r]` of it, in which rows of `len` bytes follow one
    /// another, gets `Σ coefficients[r][j] · sources[j]` on top of what it holds. A source may be a row of the block.
    ///
    /// A target that is a source too, or comes twice, ends up with bytes that nothing is promised about.
    ///
    /// # Panics
    /// When `len` is 0, a source or target is not in the block, a source has another length, or there are too few
    /// coefficients.
    pub fn combine_within<'a>(
        self,
        block: &mut [u8],
        len: usize,
        coefficients: Coefficients<'_>,
        sources: impl IntoIterator<Item = Source<'a>>,
        targets: &[usize],
    ) {
        assert!(len > 0, "rows of no bytes");
        let rows = block.len() / len;
        assert!(targets.iter().all(|target| *target < rows), "a target is not in the block");
        let start = block.as_mut_ptr();
        let sources = sources.into_iter().map(|source| match source {
            Source::Row(row) => {
                assert!(row < rows, "a source is not in the block");
                start.wrapping_add(row * len).cast_const()
            }
            Source::Bytes(bytes) => {
                assert!(bytes.len() == len, "a source has another length");
                bytes.as_ptr()
            }
        });
        // SAFETY: every pointer is to `len` bytes: rows were compared with what the block has room for, other sources
        // looked at. What is read and written in the block goes through pointers made from its one mutable borrow.
        unsafe { self.run(coefficients, sources, Outputs::Places(start, targets), len, true) }
    }

    /// Multiplies a row by one factor, in place.
    pub fn scale(self, row: &mut [u8], factor: u8) {
        // As an addition of what is missing: factor · x = x + (factor + 1) · x.
        if !row.is_empty() && factor != 1 {
            let pointer = row.as_mut_ptr();
            let (source, factor) = (core::iter::once(pointer.cast_const()), [factor]);
            // SAFETY: the pointer is to all of `row`, and used for nothing else meanwhile. An output that is the source
            // as well is read before it is written, piece by piece.
            unsafe {
                self.run(Coefficients::new(&factor, 1), source, Outputs::Rows(pointer, 1), row.len(), false);
            }
        }
    }

    /// Goes through the sources in groups; what follows the first is added to what that gave.
    ///
    /// # Safety
    /// Every pointer, of `sources` and `outputs`, is to `len` bytes that may be read, and written if it is an output's.
    /// Nobody else uses those of the outputs meanwhile.
    unsafe fn run(
        self,
        coefficients: Coefficients<'_>,
        mut sources: impl Iterator<Item = *const u8>,
        outputs: Outputs<'_>,
        len: usize,
        mut add: bool,
    ) {
        let mut group = [core::ptr::null(); GROUP];
        let mut done = 0;
        loop {
            let mut count = 0;
            while count < GROUP
                && let Some(source) = sources.next()
            {
                group[count] = source;
                count += 1;
            }
            if count == 0 {
                return;
            }
            coefficients.check(outputs.len(), done + count);
            if outputs.len() == 0 {
                return;
            }
            let job = Job {
                coefficients: &coefficients.bytes[done..],
                stride: coefficients.stride,
                sources: &group[..count],
                outputs,
                len,
                add,
            };
            // SAFETY: the caller vouches for the pointers, `check` for the coefficients, and whoever made the backend for
            // the instructions.
            unsafe { self.dispatch(&job) }
            if count < GROUP {
                return;
            }
            done += count;
            add = true;
        }
    }

    /// # Safety
    /// As [`Job`] says. A `Backend` is only ever made where the machine has its instructions.
    unsafe fn dispatch(self, job: &Job<'_>) {
        match self.0 {
            // SAFETY: the caller vouches for the job; the instructions were found when the backend was made.
            #[cfg(target_arch = "x86_64")]
            Kind::GfniAvx512 => unsafe { crate::x86::gfni_avx512::run(job) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kind::GfniAvx => unsafe { crate::x86::gfni_avx::run(job) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => unsafe { crate::x86::avx2::run(job) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kind::Ssse3 => unsafe { crate::x86::ssse3::run(job) },
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => unsafe { crate::neon::run(job) },
            // SAFETY: as above; it needs no instructions.
            Kind::Portable => unsafe { crate::portable::run(job) },
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
