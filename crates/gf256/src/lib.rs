//! Rows of bytes as vectors over GF(256), multiplied and added with the vector instructions that the machine has.
//!
//! The field is that of RFC 6330 section 5.7: polynomials over GF(2) modulo x⁸ + x⁴ + x³ + x² + 1, one in each byte.
//! Addition is exclusive or. What erasure codes spend their time on is one operation, and it is what is here: outputs
//! that are each a linear combination of many rows, `outputs[r] = Σ c[r][j] · sources[j]`.
//!
//! | item | use |
//! |---|---|
//! | [`Backend::combine`] | combinations of rows that lie anywhere, into one block of outputs |
//! | [`Backend::combine_within`] | the same inside one block: elimination, or lost rows put where they belong |
//! | [`Coefficients`] | the factors, one row of bytes for each output |
//! | [`Backend`] | which instructions: GFNI with AVX-512 or AVX, AVX2, SSSE3, NEON, or plain integers |
//! | [`multiply`], [`inverse`] | single elements |
//!
//! Four outputs are made in one pass over the sources, and all sources go into them before they are written, so memory
//! is touched little more often than it has to be. Rows may have any length and lie at any address.
//!
//! Unsafe code is in this crate for the sake of the vector instructions alone. Every backend is tested against the same
//! computation on single elements, for every length up to 300 bytes and at every alignment, and next to memory that may
//! not be touched.
//!
//! ```
//! use gf256::{Backend, Coefficients, multiply};
//!
//! let backend = Backend::best();
//! let (a, b) = (b"first row", b"other row");
//! let mut sum = [0; 9];
//! backend.combine(Coefficients::new(&[1, 7], 2), [a, b].map(|row| &row[..]), &mut sum);
//! assert_eq!(sum[0], a[0] ^ multiply(7, b[0]));
//! ```

mod backend;
mod field;
mod kernel;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use backend::{Backend, Coefficients, Source};
pub use field::{inverse, multiply};
