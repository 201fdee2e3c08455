//! Consent, tombstones and manifests from anybody, and from a subject that means harm; audit entries.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../shared/consent.rs"]
mod shared;

fuzz_target!(|data: &[u8]| shared::check(data));
