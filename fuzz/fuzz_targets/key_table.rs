//! Key files of a store: cut, altered, made up.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../shared/disks.rs"]
mod disks;
#[path = "../shared/key_table.rs"]
mod shared;

fuzz_target!(|data: &[u8]| shared::check(data));
