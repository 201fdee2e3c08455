//! The conformance vectors in `conformance-vectors/`, for those who hold them against the code: tests, which [`read`] them, and
//! examples, which [`write`](mod@write) them for `cargo xtask vectors`. Nothing but tests and examples depends on this crate.
//!
//! A vector is a JSON file; bytes are lower-case hexadecimal text in it.
//!
//! ```
//! use serde_json::json;
//! use vector_kit::{read, write};
//!
//! let file = json!({ "cases": [{ "id": "first", "bytes": write::hex(&write::counting::<4>(0xfe)) }] });
//! let case = &read::list(&file, "cases")[0];
//! assert_eq!(read::hex(&case["bytes"]), [0xfe, 0xff, 0x00, 0x01]);
//! assert_eq!(read::array(&case["bytes"]), [0xfe_u8, 0xff, 0x00, 0x01]);
//! ```

pub mod read;
pub mod write;
