//! Rows of a store's database that somebody altered, and objects of traces.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../shared/disks.rs"]
mod disks;
#[path = "../shared/stored.rs"]
mod shared;

fuzz_target!(|data: &[u8]| shared::check(data));
