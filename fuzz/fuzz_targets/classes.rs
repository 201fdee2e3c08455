//! Files of classes of consent.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../shared/classes.rs"]
mod shared;

fuzz_target!(|data: &[u8]| shared::check(data));
