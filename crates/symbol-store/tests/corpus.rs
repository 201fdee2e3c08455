//! The seeds of the fuzz targets that are about consent and the store, replayed.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../../../fuzz/shared/classes.rs"]
mod classes;
#[path = "../../../fuzz/shared/consent.rs"]
mod consent;
#[path = "../../../fuzz/shared/disks.rs"]
mod disks;
#[path = "../../../fuzz/shared/key_table.rs"]
mod key_table;
#[path = "../../../fuzz/shared/stored.rs"]
mod stored;

use std::path::Path;

fn replay(name: &str, check: fn(&[u8])) {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let mut count = 0;
    for seed in std::fs::read_dir(&seeds).unwrap_or_else(|error| panic!("{}: {error}", seeds.display())) {
        let path = seed.unwrap().path();
        let data = std::fs::read(&path).unwrap();
        if std::panic::catch_unwind(|| check(&data)).is_err() {
            panic!("{} failed, above is on what", path.display());
        }
        count += 1;
    }
    assert!(count > 0, "there are no seeds of {name}");
}

#[test]
fn seeds_of_consent() {
    replay("consent", consent::check);
}

#[test]
fn seeds_of_classes() {
    replay("classes", classes::check);
}

#[test]
fn seeds_of_the_key_table() {
    replay("key_table", key_table::check);
}

#[test]
fn seeds_of_stored_rows() {
    replay("stored", stored::check);
}
