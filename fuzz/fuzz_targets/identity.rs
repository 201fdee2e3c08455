//! Public identities, hybrid signatures and canonical bytes from anybody. What is accepted is written back to the same
//! bytes, no signature that nobody made is taken, and the backends give one verdict.
#![no_main]

use std::sync::LazyLock;

use identity::canonical::{Reader, Writer};
use identity::{Backend, Domain, Error, HybridSignature, Identity, PublicIdentity, Seed};
use libfuzzer_sys::fuzz_target;

const DOMAIN: Domain = Domain::new("fuzz v1");

static SIGNER: LazyLock<(Identity, HybridSignature)> = LazyLock::new(|| {
    let signer =
        Identity::from_seed_with(Backend::Portable, &Seed([7; 64])).expect("a seed gives an identity");
    let signature = signer.sign(DOMAIN, b"payload").expect("anything can be signed");
    (signer, signature)
});

fuzz_target!(|data: &[u8]| {
    let Some((kind, data)) = data.split_first() else { return };
    match kind % 4 {
        0 => public(data),
        1 => signature(data),
        2 => altered(data),
        _ => canonical(data),
    }
});

fn public(data: &[u8]) {
    if let Ok(public) = PublicIdentity::from_bytes(data) {
        assert_eq!(public.to_bytes()[..], *data);
        refused_by_all(&public, &SIGNER.1, public == *SIGNER.0.public());
    }
}

fn signature(data: &[u8]) {
    if let Ok(signature) = HybridSignature::from_bytes(data) {
        assert_eq!(signature.to_bytes()[..], *data);
        refused_by_all(SIGNER.0.public(), &signature, signature == SIGNER.1);
    }
}

/// Random bytes never get past the Ed25519 half, so changes of a good signature are tried besides.
fn altered(data: &[u8]) {
    let mut bytes = SIGNER.1.to_bytes();
    for change in data.chunks_exact(3).take(16) {
        let at = usize::from(u16::from_be_bytes([change[0], change[1]]));
        bytes[at % HybridSignature::LEN] ^= change[2];
    }
    signature(&bytes);
}

fn refused_by_all(public: &PublicIdentity, signature: &HybridSignature, is_good: bool) {
    for &backend in Backend::ALL {
        assert_eq!(public.verify_with(backend, DOMAIN, b"payload", signature).is_ok(), is_good);
    }
}

/// The first half of the bytes says what fields to read from the second half.
fn canonical(data: &[u8]) {
    let (script, input) = data.split_at(data.len() / 2);
    let (mut reader, mut writer) = (Reader::new(input), Writer::new());
    let done = script.iter().try_for_each(|step| {
        let before = reader.remaining();
        let read = field(*step, &mut reader, &mut writer);
        assert!(read.is_ok() || reader.remaining() == before, "a failed read moves nothing");
        read
    });
    let read = input.len() - reader.remaining();
    assert_eq!(writer.as_bytes(), &input[..read]);
    assert!(done.is_err() || reader.finish().is_ok() == (read == input.len()));
}

fn field(step: u8, reader: &mut Reader<'_>, writer: &mut Writer) -> Result<(), Error> {
    let max = usize::from(step >> 3);
    match step & 7 {
        0 => writer.u8(reader.u8()?),
        1 => writer.u16(reader.u16()?),
        2 => writer.u32(reader.u32()?),
        3 => writer.u64(reader.u64()?),
        4 => writer.fixed(&reader.array::<32>()?),
        5 => writer.fixed(reader.fixed(max)?),
        _ => writer.bytes("field", reader.bytes(max)?, max)?,
    };
    Ok(())
}
