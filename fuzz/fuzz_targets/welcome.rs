//! Welcomes and group infos: bytes from anybody, and the inside of an envelope that somebody signs who means harm, so that
//! the parsers behind the signatures are reached. A peer in no session refuses them all and can still join.
#![no_main]

use std::cell::RefCell;
use std::error::Error;

use av_mls::{Directory, Member, Quotas, SessionId};
use identity::{Domain, Identity, Seed};
use libfuzzer_sys::fuzz_target;
use mls_provider::Signer;
use openmls_traits::signatures::Signer as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

const SESSION: SessionId = SessionId([9; 32]);

struct Scene {
    joiner: Member,
    member: Member,
    host: Identity,
    signer: Signer,
    /// The host's word for the signer.
    vouch: Vec<u8>,
}

thread_local! {
    static SCENE: RefCell<Scene> = RefCell::new(scene().expect("a scene can be made"));
}

fn scene() -> Result<Scene, Box<dyn Error>> {
    let (host, other) = (Identity::from_seed(&Seed([7; 64]))?, Identity::from_seed(&Seed([8; 64]))?);
    let mut joiner = Member::new(&other, StdRng::seed_from_u64(1))?;
    joiner.key_package(&other)?;
    let mut member = Member::new(&host, StdRng::seed_from_u64(2))?;
    member.create(SESSION)?;
    let signer = Signer::from_seed(&[9; 32]).map_err(|e| format!("{e:?}"))?;
    let claim = [&[1][..], host.key_id().as_bytes(), signer.public_key()].concat();
    let signature = host.sign(Domain::new("holomesh mls signer v1"), &claim)?;
    let vouch = [&host.public().to_bytes()[..], signer.public_key(), &signature.to_bytes()].concat();
    Ok(Scene { joiner, member, host, signer, vouch })
}

/// version 2 ‖ kind ‖ vouch ‖ no line of commits ‖ u32 length ‖ message ‖ signature.
fn envelope(scene: &Scene, kind: u8, message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![2, kind];
    bytes.extend_from_slice(&scene.vouch);
    bytes.push(0);
    bytes.extend_from_slice(&(message.len() as u32).to_be_bytes());
    bytes.extend_from_slice(message);
    let signature = scene
        .signer
        .sign(&[b"holomesh mls envelope v2\0", &bytes[..]].concat())
        .expect("anything can be signed");
    bytes.extend_from_slice(&signature);
    bytes
}

fuzz_target!(|data: &[u8]| {
    _ = Directory::from_bytes(data, Quotas::default());
    SCENE.with_borrow_mut(|scene| {
        let (welcome, info) = (envelope(scene, 1, data), envelope(scene, 2, data));
        let host = scene.host.key_id();
        assert!(scene.joiner.join(data, host, SESSION).is_err());
        assert!(scene.joiner.join(&welcome, host, SESSION).is_err());
        assert!(scene.joiner.session().is_none());
        assert!(scene.member.stage_rejoin(&info).is_err());
        assert!(!scene.member.is_staged());
    });
});
