//! The loop that all backends with vectors have in common.

/// Sources that are looked at in one go. Their pointers and tables, and a strip of each row, fit the first-level cache.
pub(crate) const GROUP: usize = 32;

/// Vectors of each of four rows whose sums are in registers at a time. With 16 registers some spill, and it is faster all the same than
/// with one vector; four are slower with 16 and with 32.
pub(crate) const WIDE: usize = 2;

/// How far in front of what is read a row is fetched into the first-level cache, in bytes.
pub(crate) const AHEAD: usize = 256;

/// Where results go.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outputs<'a> {
    /// So many rows, one after another.
    Rows(*mut u8, usize),
    /// The rows of a block at these places.
    Places(*mut u8, &'a [usize]),
}

impl Outputs<'_> {
    pub(crate) const fn len(&self) -> usize {
        match self {
            Self::Rows(_, rows) => *rows,
            Self::Places(_, places) => places.len(),
        }
    }

    /// Where row `row` begins, when each has `len` bytes.
    pub(crate) fn row(&self, row: usize, len: usize) -> *mut u8 {
        match self {
            Self::Rows(start, _) => start.wrapping_add(row * len),
            Self::Places(start, places) => start.wrapping_add(places[row] * len),
        }
    }
}

/// One call of a kernel.
///
/// Who makes one vouches for the pointers: all are to `len` bytes; those of `outputs` may be written, and nobody else uses
/// them meanwhile. For output `r` and source `j` there is a coefficient at `r * stride + j`.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    pub(crate) coefficients: &'a [u8],
    pub(crate) stride: usize,
    /// At most [`GROUP`].
    pub(crate) sources: &'a [*const u8],
    pub(crate) outputs: Outputs<'a>,
    pub(crate) len: usize,
    /// Adds to what the outputs hold, and does not replace it.
    pub(crate) add: bool,
}

/// Makes `run` out of a backend's operations on single vectors, which have to be in scope: the types `Vector`, `Split`,
/// `Table`; `NO_TABLE`, `LANES`, `PAIRS`; `zero`, `load`, `store`, `load_part`, `store_part`, `split`, `table`, `multiply_add`, `multiply_add_two`,
/// `prefetch`, which may be given any address.
///
/// Four outputs are made at a time, in strips of `WIDE` vectors: each piece of a source that is loaded is used for four
/// products, each table for `WIDE`, and sums stay in registers until all sources are in.
macro_rules! kernel {
    ($features:literal) => {
        /// # Safety
        /// As [`Job`] says, and the machine has the instructions.
        #[target_feature(enable = $features)]
        pub(crate) unsafe fn run(job: &Job<'_>) {
            if let [source] = job.sources {
                // SAFETY: as this function's.
                return unsafe { spread(job, *source) };
            }
            let mut row = 0;
            while row < job.outputs.len() {
                row += match job.outputs.len() - row {
                    // SAFETY: as this function's; the rows are there.
                    1 => unsafe { tile::<1, { 4 * WIDE }>(job, row) },
                    // SAFETY: as above.
                    2 => unsafe { tile::<2, { 2 * WIDE }>(job, row) },
                    // SAFETY: as above.
                    3 => unsafe { tile::<3, WIDE>(job, row) },
                    // SAFETY: as above.
                    _ => unsafe { tile::<4, WIDE>(job, row) },
                };
            }
        }

        /// One source into all outputs: elimination, mostly, in short rows, where tables are not worth keeping.
        ///
        /// # Safety
        /// As [`run`]; the source is the only one.
        #[target_feature(enable = $features)]
        unsafe fn spread(job: &Job<'_>, source: *const u8) {
            let mut at = 0;
            while at < job.len {
                let count = (job.len - at).min(LANES);
                let place = source.wrapping_add(at);
                let vector = if count == LANES {
                    // SAFETY: a whole vector is left of the row.
                    unsafe { load(place) }
                } else {
                    // SAFETY: `count` bytes are left of the row.
                    unsafe { load_part(place, count) }
                };
                let piece = split(vector);
                for row in 0..job.outputs.len() {
                    let table = table(job.coefficients[row * job.stride]);
                    let output = job.outputs.row(row, job.len).wrapping_add(at);
                    let before = match (job.add, count == LANES) {
                        (false, _) => zero(),
                        // SAFETY: a whole vector is left of the row.
                        (true, true) => unsafe { load(output) },
                        // SAFETY: `count` bytes are left of the row.
                        (true, false) => unsafe { load_part(output, count) },
                    };
                    let sum = multiply_add(before, piece, table);
                    if count == LANES {
                        // SAFETY: a whole vector is left of the row, which may be written.
                        unsafe { store(output, sum) };
                    } else {
                        // SAFETY: `count` bytes are left of the row, which may be written.
                        unsafe { store_part(output, count, sum) };
                    }
                }
                at += count;
            }
        }

        /// Makes the outputs from `first` on, and says how many.
        ///
        /// # Safety
        /// As [`run`]; there are `R` outputs from `first` on.
        #[target_feature(enable = $features)]
        unsafe fn tile<const R: usize, const U: usize>(job: &Job<'_>, first: usize) -> usize {
            let mut tables = [[NO_TABLE; R]; GROUP];
            for (j, tables) in tables.iter_mut().enumerate().take(job.sources.len()) {
                for (r, slot) in tables.iter_mut().enumerate() {
                    *slot = table(job.coefficients[(first + r) * job.stride + j]);
                }
            }
            let tables = &tables[..job.sources.len()];
            let outputs: [*mut u8; R] = core::array::from_fn(|r| job.outputs.row(first + r, job.len));
            let mut at = 0;
            while at + U * LANES <= job.len {
                // SAFETY: as this function's; so many bytes are left.
                unsafe { strip::<R, U>(job, tables, &outputs, at) };
                at += U * LANES;
            }
            if U > 2 && at + 2 * LANES <= job.len {
                // SAFETY: as this function's; so many bytes are left.
                unsafe { strip::<R, 2>(job, tables, &outputs, at) };
                at += 2 * LANES;
            }
            while at + LANES <= job.len {
                // SAFETY: as this function's; so many bytes are left.
                unsafe { strip::<R, 1>(job, tables, &outputs, at) };
                at += LANES;
            }
            if at < job.len {
                // SAFETY: as this function's; fewer bytes than a vector has are left.
                unsafe { end::<R>(job, tables, &outputs, at) };
            }
            R
        }

        /// # Safety
        /// As [`run`]; from `at` on each row has `U` vectors.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn strip<const R: usize, const U: usize>(
            job: &Job<'_>,
            tables: &[[Table; R]],
            outputs: &[*mut u8; R],
            at: usize,
        ) {
            let mut sums = [[zero(); U]; R];
            if job.add {
                for (sums, output) in sums.iter_mut().zip(outputs) {
                    for (u, sum) in sums.iter_mut().enumerate() {
                        // SAFETY: vector `u` from `at` on is in the row.
                        *sum = unsafe { load(output.wrapping_add(at + u * LANES)) };
                    }
                }
            }
            // Two sources at a time where three vectors can be added in one instruction.
            let paired = if PAIRS { job.sources.len() & !1 } else { 0 };
            let ((pairs, last), (table_pairs, last_tables)) =
                (job.sources.split_at(paired), tables.split_at(paired));
            let (pairs, table_pairs) = (pairs.as_chunks::<2>().0, table_pairs.as_chunks::<2>().0);
            for (sources, tables) in pairs.iter().zip(table_pairs) {
                // SAFETY: so many vectors from `at` on are in the rows.
                let pieces = unsafe { [pieces::<U>(sources[0], at), pieces::<U>(sources[1], at)] };
                for (r, sums) in sums.iter_mut().enumerate() {
                    for (u, sum) in sums.iter_mut().enumerate() {
                        let both = [(pieces[0][u], tables[0][r]), (pieces[1][u], tables[1][r])];
                        *sum = multiply_add_two(*sum, both);
                    }
                }
            }
            for (source, tables) in last.iter().zip(last_tables) {
                // SAFETY: so many vectors from `at` on are in the row.
                let pieces = unsafe { pieces::<U>(*source, at) };
                for (sums, table) in sums.iter_mut().zip(tables) {
                    for (sum, piece) in sums.iter_mut().zip(&pieces) {
                        *sum = multiply_add(*sum, *piece, *table);
                    }
                }
            }
            for (sums, output) in sums.iter().zip(outputs) {
                for (u, sum) in sums.iter().enumerate() {
                    // SAFETY: vector `u` from `at` on is in the row, which may be written.
                    unsafe { store(output.wrapping_add(at + u * LANES), *sum) };
                }
            }
        }

        /// # Safety
        /// From `at` on the row has `U` vectors.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn pieces<const U: usize>(source: *const u8, at: usize) -> [Split; U] {
            let mut pieces = [split(zero()); U];
            for (u, piece) in pieces.iter_mut().enumerate() {
                let place = source.wrapping_add(at + u * LANES);
                // SAFETY: vector `u` from `at` on is in the row.
                *piece = split(unsafe { load(place) });
                // Rows are far apart, and hardware does not see so many streams coming.
                prefetch(place.wrapping_add(AHEAD));
            }
            pieces
        }

        /// # Safety
        /// As [`run`]; from `at` on each row has fewer bytes than a vector, and one at least.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn end<const R: usize>(
            job: &Job<'_>,
            tables: &[[Table; R]],
            outputs: &[*mut u8; R],
            at: usize,
        ) {
            let count = job.len - at;
            let mut sums = [zero(); R];
            if job.add {
                for (sum, output) in sums.iter_mut().zip(outputs) {
                    // SAFETY: `count` bytes are left of the row.
                    *sum = unsafe { load_part(output.wrapping_add(at), count) };
                }
            }
            for (source, tables) in job.sources.iter().zip(tables) {
                // SAFETY: `count` bytes are left of the row.
                let piece = split(unsafe { load_part(source.wrapping_add(at), count) });
                for (sum, table) in sums.iter_mut().zip(tables) {
                    *sum = multiply_add(*sum, piece, *table);
                }
            }
            for (sum, output) in sums.iter().zip(outputs) {
                // SAFETY: `count` bytes are left of the row, which may be written.
                unsafe { store_part(output.wrapping_add(at), count, *sum) };
            }
        }
    };
}

/// Makes what is the same on all machines that have no better: `zero`, `load` and `store` by the instructions named, `load_part` and
/// `store_part` by way of a vector on the stack, `multiply_add_two` one after the other.
macro_rules! plain {
    ($features:literal, $zero:expr, $load:path, $store:path) => {
        #[inline]
        #[target_feature(enable = $features)]
        fn zero() -> Vector {
            $zero
        }

        /// # Safety
        /// The pointer is to a vector.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn load(source: *const u8) -> Vector {
            // SAFETY: as this function's; it may lie at any address.
            unsafe { $load(source.cast()) }
        }

        /// # Safety
        /// The pointer is to a vector that may be written.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn store(output: *mut u8, vector: Vector) {
            // SAFETY: as this function's; it may lie at any address.
            unsafe { $store(output.cast(), vector) }
        }

        /// # Safety
        /// `source` is to `count` bytes, at most as many as a vector has.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn load_part(source: *const u8, count: usize) -> Vector {
            let mut bytes = [0; LANES];
            // SAFETY: both have room for `count` bytes, and one is on the stack.
            unsafe { core::ptr::copy_nonoverlapping(source, bytes.as_mut_ptr(), count) };
            // SAFETY: a whole vector on the stack.
            unsafe { load(bytes.as_ptr()) }
        }

        /// # Safety
        /// `output` is to `count` bytes that may be written, at most as many as a vector has.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn store_part(output: *mut u8, count: usize, vector: Vector) {
            let mut bytes = [0; LANES];
            // SAFETY: a whole vector on the stack.
            unsafe { store(bytes.as_mut_ptr(), vector) };
            // SAFETY: both have room for `count` bytes, and one is on the stack.
            unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), output, count) };
        }

        #[inline]
        #[target_feature(enable = $features)]
        fn multiply_add_two(sum: Vector, [(a, by_a), (b, by_b)]: [(Split, Table); 2]) -> Vector {
            multiply_add(multiply_add(sum, a, by_a), b, by_b)
        }
    };
}

pub(crate) use {kernel, plain};
