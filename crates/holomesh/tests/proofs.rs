//! A watcher that plays nothing but what the publisher has signed for.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::time::Duration;
use support::{Node, asset, holomesh};

#[test]
fn a_strict_watcher_plays_what_is_proven_and_that_is_nearly_everything() {
    let mut host = holomesh();
    host.arg("host").arg(asset("clip.ivf")).arg("--audio").arg(asset("speech.wav")).arg("--loop");
    let mut host = Node::spawn(&mut host);
    let ticket = host.first_line();
    let mut watch = holomesh();
    watch.args(["watch", &ticket, "--proofs", "strict", "--seconds", "7"]);
    let (ok, said) = Node::spawn(&mut watch).finish(Duration::from_secs(60));
    assert!(ok, "{said}");
    let number_before = |what: &str| {
        let before = said[..said.rfind(what).unwrap_or_else(|| panic!("no {what:?} in {said}"))].trim_end();
        before.rsplit([' ', '(', '\n']).next().unwrap().parse::<u64>().unwrap()
    };
    assert!(number_before("pictures shown") > 40, "{said}");
    assert!(number_before("packets of sound") > 150, "{said}");
    assert_eq!(number_before("forged"), 0, "{said}");
    let (taken, unproven) = (number_before("pictures and packets"), number_before("not proven"));
    // What arrived after the last proof before the watcher left: a second of sound and half a second of pictures.
    assert!(unproven <= 90 && taken > 200, "{said}");
}
