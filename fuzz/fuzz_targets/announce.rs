//! Announcements by a publisher that means harm: it signs whatever it likes, so the parser behind the signature is
//! reached. What is accepted is written back to the same bytes.
#![no_main]

use std::sync::LazyLock;

use av_wire::StreamAnnounce;
use identity::{Domain, HybridSignature, Identity, Seed};
use libfuzzer_sys::fuzz_target;

static PUBLISHER: LazyLock<Identity> =
    LazyLock::new(|| Identity::from_seed(&Seed([7; 64])).expect("a seed gives an identity"));

/// Where the publisher's key id stands: after the version and the session id.
const KEY_ID: std::ops::Range<usize> = 33..65;

fuzz_target!(|data: &[u8]| {
    let _ = StreamAnnounce::verify(data, PUBLISHER.public());

    let mut payload = data.to_vec();
    if let Some(key_id) = payload.get_mut(KEY_ID) {
        key_id.copy_from_slice(PUBLISHER.key_id().as_bytes());
    }
    let domain = Domain::new("holomesh stream-announce v1");
    let signature = PUBLISHER.sign(domain, &payload).expect("anything can be signed");
    let mut signed = payload.clone();
    signed.extend_from_slice(&signature.to_bytes());
    if let Ok(announce) = StreamAnnounce::verify(&signed, PUBLISHER.public()) {
        announce.stream_id().expect("an accepted label makes a stream id");
        let again = announce.sign(&PUBLISHER).expect("what was read can be written");
        assert_eq!(again[..again.len() - HybridSignature::LEN], payload);
    }
});
