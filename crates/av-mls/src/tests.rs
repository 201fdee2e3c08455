//! What a dishonest peer can try with the MLS library in its own hands.

use super::*;
use crate::authority::capabilities;
use crate::member::{Session, group_id};
use crate::provider::verifier;
use crate::roster::credential;
use crate::store::Slot;
use crate::vouch::{Kind, Vouch};
use identity::{Identity, Seed};
use mls_provider::Signer;
use openmls::prelude::tls_codec::{DeserializeBytes as _, Serialize as _, VLBytes};
use openmls::prelude::{
    BasicCredential, Credential, CredentialWithKey, KeyPackage, KeyPackageIn, LeafNodeParameters, Lifetime,
    ProtocolVersion,
};
use openmls_basic_credential::SignatureKeyPair;
use openmls_traits::OpenMlsProvider as _;
use openmls_traits::crypto::OpenMlsCrypto as _;
use openmls_traits::signatures::Signer as _;
use random::random;

mod liar;
#[path = "../tests/common/random.rs"]
mod random;

const SESSION: SessionId = SessionId([5; 32]);

fn peer(number: u8) -> (Identity, Member) {
    let identity = Identity::from_seed(&Seed([number; 64])).unwrap();
    let member = Member::new(&identity, random()).unwrap();
    (identity, member)
}

/// A key package made with the library itself.
fn package(member: &Member, credential: Credential, lifetime: Lifetime) -> KeyPackage {
    let signature_key = member.signer.public_key().to_vec().into();
    KeyPackage::builder()
        .key_package_lifetime(lifetime)
        .leaf_node_capabilities(capabilities())
        .build(
            SUITE,
            &member.random.provider(),
            &member.signer,
            CredentialWithKey { credential, signature_key },
        )
        .unwrap()
        .into_key_package()
}

fn day() -> Lifetime {
    Lifetime::new(24 * 60 * 60)
}

fn reason(result: Result<VerifiedKeyPackage, Error>) -> String {
    match result.unwrap_err() {
        Error::BadMessage { from: Some(_), reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

/// A host with two members.
fn trio() -> (Member, Member, Member) {
    let ((_, mut alice), (bob_id, mut bob), (carol_id, mut carol)) = (peer(1), peer(2), peer(3));
    alice.create(SESSION).unwrap();
    let add = [bob.key_package(&bob_id), carol.key_package(&carol_id)]
        .map(|package| package.unwrap().verify().unwrap());
    let welcome = alice.stage_change(add.to_vec(), &[]).unwrap().welcome.unwrap();
    alice.merge_staged().unwrap();
    bob.join(&welcome, alice.key_id(), SESSION).unwrap();
    carol.join(&welcome, alice.key_id(), SESSION).unwrap();
    (alice, bob, carol)
}

#[test]
fn a_key_package_in_another_name_is_refused() {
    let ((alice, _), (mallory, member)) = (peer(1), peer(2));
    for forged in [credential(alice.key_id()), BasicCredential::new(b"mallory".to_vec()).into()] {
        let signed = SignedKeyPackage::sign(&package(&member, forged, day()), &mallory).unwrap();
        assert_eq!(reason(signed.verify()), "the leaf credential does not name the signer");
    }
    // The honest one passes by the same way.
    let honest = package(&member, credential(mallory.key_id()), day());
    assert_eq!(
        SignedKeyPackage::sign(&honest, &mallory).unwrap().verify().unwrap().key_id(),
        mallory.key_id()
    );
}

#[test]
fn a_key_package_without_ml_kem_is_refused_by_name() {
    let (identity, _) = peer(2);
    let suite = Ciphersuite::MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519;
    let classical = openmls_libcrux_crypto::Provider::new().unwrap();
    let (private, public) = classical.crypto().signature_key_gen(suite.signature_algorithm()).unwrap();
    let signer = SignatureKeyPair::from_raw(suite.signature_algorithm(), private, public.clone());
    let with_key =
        CredentialWithKey { credential: credential(identity.key_id()), signature_key: public.into() };
    let bundle = KeyPackage::builder().build(suite, &classical, &signer, with_key).unwrap();
    let signed = SignedKeyPackage::sign(bundle.key_package(), &identity).unwrap();
    let error = signed.verify().unwrap_err();
    assert_eq!(error, Error::WrongSuite { peer: identity.key_id(), suite: 3 });
    let text = error.to_string();
    assert!(text.contains(&identity.key_id().to_string()) && text.contains("0x0003"), "{text}");
}

#[test]
fn a_key_package_out_of_date_or_without_end_is_refused() {
    let (identity, member) = peer(2);
    for lifetime in
        [Lifetime::init(0, 1), Lifetime::init(u64::MAX - 1, u64::MAX), Lifetime::init(0, u64::MAX)]
    {
        let signed =
            SignedKeyPackage::sign(&package(&member, credential(identity.key_id()), lifetime), &identity)
                .unwrap();
        reason(signed.verify());
    }
}

/// The library below takes any length for a public key, and panics when it encapsulates to a short one.
#[test]
fn a_key_package_with_a_malformed_kem_key_is_refused() {
    let (identity, member) = peer(2);
    let bytes = package(&member, credential(identity.key_id()), day()).tls_serialize_detached().unwrap();
    let out_of_range = [&[0xff; 1_184][..], &[1; 32]].concat();
    for malformed in [vec![], vec![1; 5], vec![1; 1_215], vec![1; 1_217], out_of_range] {
        for (init_key, leaf_key) in [(Some(&malformed), None), (None, Some(&malformed))] {
            let forged =
                KeyPackageIn::tls_deserialize_exact_bytes(&with_keys(&member, &bytes, init_key, leaf_key))
                    .unwrap()
                    .validate(verifier(), ProtocolVersion::Mls10)
                    .unwrap();
            let signed = SignedKeyPackage::sign(&forged, &identity).unwrap();
            assert_eq!(reason(signed.verify()), "an X-Wing public key is malformed");
        }
    }
    let same = with_keys(&member, &bytes, None, None);
    assert_eq!(same, bytes, "the signatures are deterministic, so only the keys differ above");
}

/// A key package with other public keys and the member's own signatures. Layout: RFC 9420 sections 7.2 and 10.
fn with_keys(
    member: &Member,
    bytes: &[u8],
    init_key: Option<&Vec<u8>>,
    leaf_key: Option<&Vec<u8>>,
) -> Vec<u8> {
    let vector = |bytes: &[u8]| VLBytes::new(bytes.to_vec()).tls_serialize_detached().unwrap();
    let sign = |label: &str, content: &[u8]| {
        // RFC 9420 section 5.1.2.
        let labelled = [vector(format!("MLS 1.0 {label}").as_bytes()), vector(content)].concat();
        [content, &vector(&member.signer.sign(&labelled).unwrap())].concat()
    };
    // version and suite 4 ‖ init key 2 + 1,216 ‖ leaf (its key 2 + 1,216 ‖ … ‖ signature 2 + 64) ‖ no extensions 1 ‖
    // signature 2 + 64
    let (head, rest) = bytes.split_at(4);
    let (old_init_key, rest) = rest.split_at(2 + 1_216);
    let (old_leaf_key, rest) = rest.split_at(2 + 1_216);
    let (rest, _) = rest.split_at(rest.len() - 66);
    let (leaf, extensions) = rest.split_at(rest.len() - 1);
    let (leaf, _) = leaf.split_at(leaf.len() - 66);
    let init_key = init_key.map_or(old_init_key.to_vec(), |key| vector(key));
    let leaf_key = leaf_key.map_or(old_leaf_key.to_vec(), |key| vector(key));
    let leaf = sign("LeafNodeTBS", &[&leaf_key, leaf].concat());
    sign("KeyPackageTBS", &[head, &init_key, &leaf, extensions].concat())
}

#[test]
fn a_commit_by_another_than_the_host_is_refused_by_name() {
    let (mut alice, mut bob, mut carol) = trio();
    let before = (carol.epoch(), carol.roster(), *carol.epoch_secret().unwrap().expose());
    // Bob takes himself for the host.
    bob.session.as_mut().unwrap().authority = Authority::host_alone(bob.key_id());
    let coup = bob.stage_change(vec![], &[alice.key_id()]).unwrap();
    for victim in [&mut alice, &mut carol] {
        let error = victim.process_commit(&coup.commit).unwrap_err();
        assert_eq!(error, Error::NotAuthorised { sender: bob.key_id() });
        assert_eq!(error.fault(), Fault::Peer);
    }
    assert_eq!((carol.epoch(), carol.roster(), *carol.epoch_secret().unwrap().expose()), before);

    let answer = alice.stage_change(vec![], &[bob.key_id()]).unwrap();
    alice.merge_staged().unwrap();
    assert_eq!(carol.process_commit(&answer.commit).unwrap().removed, [bob.key_id()]);
    assert_eq!(alice.epoch_secret().unwrap().expose(), carol.epoch_secret().unwrap().expose());
}

#[test]
fn the_host_itself_can_add_no_second_and_no_nameless_member() {
    let (mut alice, mut bob, carol) = trio();
    let (_, stranger) = peer(4);
    for (forged, expected) in [
        (credential(carol.key_id()), "it adds somebody who is a member already"),
        (BasicCredential::new(b"nobody".to_vec()).into(), "it adds a leaf whose credential is not a key id"),
    ] {
        let key_package = package(&stranger, forged, day());
        // Around stage_change(), which would refuse.
        let session = alice.session.as_mut().unwrap();
        let (commit, _, _) =
            session.group.add_members(&session.provider, &alice.signer, &[key_package]).unwrap();
        let error = bob.process_commit(&commit.to_bytes().unwrap()).unwrap_err();
        assert_eq!(error, Error::bad_from("commit", alice.key_id(), expected));
        alice.session.as_mut().unwrap().clear_group().unwrap();
    }
    assert_eq!(bob.epoch(), Some(Epoch(1)));
}

#[test]
fn the_host_can_do_nothing_but_add_and_remove() {
    let (mut alice, mut bob, _) = trio();
    let session = alice.session.as_mut().unwrap();
    let (commit, _, _) = session
        .group
        .update_group_context_extensions(
            &session.provider,
            openmls::prelude::Extensions::single(openmls::prelude::Extension::ExternalSenders(vec![]))
                .unwrap(),
            &alice.signer,
        )
        .unwrap();
    let error = bob.process_commit(&commit.to_bytes().unwrap()).unwrap_err();
    let expected = "it does not say who may change the roster";
    assert!(error.to_string().contains(expected) && error.fault() == Fault::Peer, "{error}");
    alice.session.as_mut().unwrap().clear_group().unwrap();

    let renamed = CredentialWithKey {
        credential: credential(bob.key_id()),
        signature_key: alice.signer.public_key().to_vec().into(),
    };
    let leaf = LeafNodeParameters::builder().with_credential_with_key(renamed).build();
    let session = alice.session.as_mut().unwrap();
    let commit = session.group.self_update(&session.provider, &alice.signer, leaf).unwrap().into_commit();
    let error = bob.process_commit(&commit.to_bytes().unwrap()).unwrap_err();
    assert_eq!(error, Error::bad_from("commit", alice.key_id(), "it changes the sender's key id"));
}

#[test]
fn a_session_in_the_hosts_name_is_refused_and_the_real_one_can_still_be_joined() {
    let ((_, mut alice), (_, mut mallory), (bob_id, mut bob)) = (peer(1), peer(2), peer(3));
    let published = bob.key_package(&bob_id).unwrap();
    let host = alice.key_id();

    // Mallory copies all that is public: the name, the session id, even the host's voucher.
    mallory.key_id = host;
    mallory.create(SESSION).unwrap();
    let own_voucher = mallory.stage_change(vec![published.verify().unwrap()], &[]).unwrap();
    mallory.discard_staged().unwrap();
    let own = core::mem::replace(&mut mallory.vouch, alice.vouch.clone());
    let stolen_voucher = mallory.stage_change(vec![published.verify().unwrap()], &[]).unwrap();
    mallory.discard_staged().unwrap();
    mallory.vouch = own.with_identity_of(&alice.vouch);
    let forged_voucher = mallory.stage_change(vec![published.verify().unwrap()], &[]).unwrap();
    for (bogus, fault) in [
        (own_voucher, "its sender has no say"),
        (stolen_voucher, "its signature is wrong"),
        (forged_voucher, "bad Ed25519 signature"),
    ] {
        let error = bob.join(&bogus.welcome.unwrap(), host, SESSION).unwrap_err();
        assert!(error.to_string().contains(fault) && error.fault() == Fault::Peer, "{error}");
        assert_eq!(bob.epoch(), None);
    }

    alice.create(SESSION).unwrap();
    let real = alice.stage_change(vec![published.verify().unwrap()], &[]).unwrap();
    alice.merge_staged().unwrap();
    bob.join(&real.welcome.unwrap(), host, SESSION).unwrap();
    assert_eq!(bob.epoch_secret().unwrap().expose(), alice.epoch_secret().unwrap().expose());
}

#[test]
fn a_welcome_to_a_session_with_doubles_is_refused() {
    let ((_, mut alice), (bob_id, mut bob), (_, stranger)) = (peer(1), peer(2), peer(3));
    alice.create(SESSION).unwrap();
    let double = package(&stranger, credential(alice.key_id()), day());
    let joining = bob.key_package(&bob_id).unwrap().verify().unwrap().key_package;
    let session = alice.session.as_mut().unwrap();
    assert_eq!(session.group.group_id(), &group_id(SESSION));
    let (_, welcome, _) =
        session.group.add_members(&session.provider, &alice.signer, &[joining, double]).unwrap();
    let welcome = welcome.to_bytes().unwrap();
    let welcome = alice.vouch.seal(Kind::Welcome, &Default::default(), &welcome, &alice.signer).unwrap();
    let error = bob.join(&welcome, alice.key_id(), SESSION).unwrap_err();
    assert_eq!(error, Error::bad_from("welcome", alice.key_id(), "somebody is a member twice"));
}

#[test]
fn faults_are_told_apart() {
    for (error, fault) in [
        (Error::EmptyChange, Fault::Caller),
        (Error::NotAMember(KeyId([0; 32])), Fault::Caller),
        (Error::Identity(identity::Error::MalformedKey), Fault::Peer),
        (Error::Limit { what: "commit", got: 2, max: 1 }, Fault::Limit),
        (Error::bad("commit", "x"), Fault::Peer),
    ] {
        assert_eq!(error.fault(), fault);
    }
}

/// As [`trio`], and Mallory, a member that does not ask itself what it may do.
fn commit_by_mallory(
    mallory: &mut Member,
    propose: impl FnOnce(&mut Session, &Signer) -> Vec<u8>,
) -> Vec<u8> {
    let session = mallory.session.as_mut().unwrap();
    let commit = propose(session, &mallory.signer);
    session.clear_group().unwrap();
    commit
}

#[test]
fn every_receiver_checks_who_adds_and_removes_and_the_group_goes_on() {
    let (mut alice, mut bob, mut carol) = trio();
    let (stranger_id, mut stranger) = peer(9);
    let package = stranger.key_package(&stranger_id).unwrap().verify().unwrap().key_package;
    let target = carol.leaf_of(carol.key_id()).unwrap();
    let host_leaf = alice.own_leaf().unwrap();
    let removal = |leaf: u32| {
        move |session: &mut Session, signer: &Signer| {
            let leaf = openmls::prelude::LeafNodeIndex::new(leaf);
            let (commit, ..) = session.group.remove_members(&session.provider, signer, &[leaf]).unwrap();
            commit.to_bytes().unwrap()
        }
    };
    let add = move |session: &mut Session, signer: &Signer| {
        let (commit, ..) = session.group.add_members(&session.provider, signer, &[package]).unwrap();
        commit.to_bytes().unwrap()
    };
    let commits = [
        commit_by_mallory(&mut bob, add),
        commit_by_mallory(&mut bob, removal(target.0)),
        commit_by_mallory(&mut bob, removal(host_leaf.0)),
    ];
    let before = *alice.epoch_secret().unwrap().expose();
    for commit in &commits {
        for receiver in [&mut alice, &mut carol] {
            let error = receiver.process_commit(commit).unwrap_err();
            assert_eq!(error, Error::NotAuthorised { sender: bob.key_id() });
        }
    }
    assert_eq!(*alice.epoch_secret().unwrap().expose(), before);
    let update = alice.stage_update().unwrap();
    alice.merge_staged().unwrap();
    for receiver in [&mut bob, &mut carol] {
        receiver.process_commit(&update.commit).unwrap();
        assert_eq!(receiver.epoch_secret().unwrap().expose(), alice.epoch_secret().unwrap().expose());
    }
}

#[test]
fn a_committer_that_removes_the_host_or_another_is_refused_by_everybody() {
    let (mut alice, mut bob, mut carol) = trio();
    let staged = alice.stage_committers(&peer(1).0, &[bob.key_id(), carol.key_id()]).unwrap();
    alice.merge_staged().unwrap();
    bob.process_commit(&staged.commit).unwrap();
    carol.process_commit(&staged.commit).unwrap();
    for target in [alice.own_leaf().unwrap(), carol.own_leaf().unwrap()] {
        let commit = commit_by_mallory(&mut bob, |session, signer| {
            let leaf = openmls::prelude::LeafNodeIndex::new(target.0);
            let (commit, ..) = session.group.remove_members(&session.provider, signer, &[leaf]).unwrap();
            commit.to_bytes().unwrap()
        });
        for receiver in [&mut alice, &mut carol] {
            let error = receiver.process_commit(&commit).unwrap_err();
            assert_eq!(error, Error::NotAuthorised { sender: bob.key_id() });
        }
    }
}

#[test]
fn a_list_of_committers_by_another_than_the_host_or_an_older_one_is_refused() {
    let (mut alice, mut bob, mut carol) = trio();
    let session = alice.session.as_ref().unwrap();
    let named = [bob.key_id()].into();
    let by_host = session.authority.renamed(&peer(1).0, SESSION, named).unwrap();
    let by_bob =
        Authority::host_alone(alice.key_id()).renamed(&peer(2).0, SESSION, [bob.key_id()].into()).unwrap();
    let elsewhere = session.authority.renamed(&peer(1).0, SessionId([6; 32]), [bob.key_id()].into()).unwrap();
    let lists = |list: &Authority| list.extensions().unwrap();
    let commit = |member: &mut Member, list: &Authority| {
        let extensions = lists(list);
        commit_by_mallory(member, |session, signer| {
            let (commit, ..) =
                session.group.update_group_context_extensions(&session.provider, extensions, signer).unwrap();
            commit.to_bytes().unwrap()
        })
    };
    // A member puts the host's own word in force, or one of its own making.
    for list in [&by_host, &by_bob] {
        let stolen = commit(&mut bob, list);
        let error = carol.process_commit(&stolen).unwrap_err();
        assert_eq!(error, Error::NotAuthorised { sender: bob.key_id() });
    }
    // The host is not believed either when its hybrid identity did not sign, or signed for another session.
    let unsigned = Authority::host_alone(alice.key_id());
    for (list, reason) in [
        (&by_bob, "signed by another than the host"),
        (&elsewhere, "signature over its list of committers is wrong"),
        (&unsigned, "older than the one in force"),
    ] {
        let commit = commit(&mut alice, list);
        let error = carol.process_commit(&commit).unwrap_err();
        assert!(error.to_string().contains(reason) && error.fault() == Fault::Peer, "{error}");
    }
    let good = commit(&mut alice, &by_host);
    assert_eq!(carol.process_commit(&good).unwrap().kind, CommitKind::Committers);
}

#[test]
fn a_member_that_changes_its_signature_key_is_refused() {
    let (_, mut bob, mut carol) = trio();
    let other = Signer::from_seed(&[77; 32]).unwrap();
    let leaf = LeafNodeParameters::builder().build();
    let commit = commit_by_mallory(&mut bob, |session, signer| {
        let credential_with_key = CredentialWithKey {
            credential: credential(peer(2).0.key_id()),
            signature_key: other.public_key().to_vec().into(),
        };
        session
            .group
            .commit_builder()
            .leaf_node_parameters(leaf)
            .force_self_update(true)
            .load_psks(session.provider.storage())
            .unwrap()
            .build_with_new_signer(
                session.provider.rand(),
                session.provider.crypto(),
                signer,
                openmls::prelude::NewSignerBundle { signer: &other, credential_with_key },
                |_| true,
            )
            .unwrap()
            .stage_commit(&session.provider)
            .unwrap()
            .into_commit()
            .to_bytes()
            .unwrap()
    });
    let error = carol.process_commit(&commit).unwrap_err();
    assert!(error.to_string().contains("signature key"), "{error}");
}

#[test]
fn a_rejoin_that_another_identity_vouches_for_is_refused_by_everybody() {
    let (mut alice, mut bob, mut carol) = trio();
    let info = alice.group_info().unwrap();
    // Mallory has Bob's MLS key, say, and vouches for it in its own name; or sends no voucher at all.
    let own = bob.vouch.clone();
    let mallory = Identity::from_seed(&Seed([66; 64])).unwrap();
    for vouch in [Vouch::new(&mallory, *own.signer()).unwrap(), own.clone().with_identity_of(&alice.vouch)] {
        bob.vouch = vouch;
        let staged = bob.stage_rejoin(&info).unwrap();
        bob.discard_staged().unwrap();
        for receiver in [&mut alice, &mut carol] {
            assert_eq!(receiver.process_commit(&staged.commit).unwrap_err().fault(), Fault::Peer);
        }
    }
    bob.vouch = own;
    let staged = bob.stage_rejoin(&info).unwrap();
    for receiver in [&mut alice, &mut carol] {
        receiver.process_commit(&staged.commit).unwrap();
    }
    bob.merge_staged().unwrap();
    assert_eq!(bob.epoch_secret().unwrap().expose(), carol.epoch_secret().unwrap().expose());
}

/// Holds the allocations of a store's records, and looks at them after the records are gone.
#[test]
fn defect_secrets_of_a_former_epoch_stay_in_memory() {
    let store = MemoryStore::new();
    let identity = peer(2).0;
    let mut bob = Member::open(&identity, random(), Box::new(store.clone())).unwrap();
    let mut alice = peer(1).1;
    alice.create(SESSION).unwrap();
    let package = bob.key_package(&identity).unwrap().verify().unwrap();
    let held_packages = store.slots();
    let staged = alice.stage_change(vec![package], &[]).unwrap();
    alice.merge_staged().unwrap();
    bob.join(&staged.welcome.unwrap(), alice.key_id(), SESSION).unwrap();
    let is_wiped = |slot: &Slot| slot.0.lock().unwrap().iter().all(|byte| *byte == 0);
    let package = held_packages.iter().find(|(key, _)| key.0.starts_with(b"package/")).unwrap();
    assert!(!package.1.0.lock().unwrap().is_empty() && is_wiped(&package.1), "the key package was used");

    let update = alice.stage_update().unwrap();
    alice.merge_staged().unwrap();
    bob.process_commit(&update.commit).unwrap();
    let held = store.slots();
    let old: Vec<_> = held.iter().filter(|(key, _)| key.0 != b"identity").collect();
    assert!(old.len() >= 2 && old.iter().all(|(_, slot)| !is_wiped(slot)));
    bob.checkpoint().unwrap();
    assert!(old.iter().all(|(_, slot)| is_wiped(slot)), "the old epoch's snapshot and the journal are wiped");
    let current = store.slots();
    bob.leave().unwrap();
    let mut gone = current.iter().filter(|(key, _)| key.0 != b"identity");
    assert!(gone.all(|(_, slot)| is_wiped(slot)));
    // And what is handed out is wiped by its owner.
    let mut secret = alice.epoch_secret().unwrap();
    assert_ne!(*secret.expose(), [0; 32]);
    zeroize::Zeroize::zeroize(&mut secret);
    assert_eq!(*secret.expose(), [0; 32]);
    const fn wiped_on_drop<T: zeroize::ZeroizeOnDrop>() {}
    wiped_on_drop::<EpochSecret>();
}

/// The label that the vectors of the key schedule start from.
#[test]
fn the_epoch_secret_is_the_exporter_of_the_stated_label() {
    let (alice, ..) = trio();
    let session = alice.session.as_ref().unwrap();
    let exported = |label: &str, context: &[u8]| {
        session.group.export_secret(session.provider.crypto(), label, context, 32).unwrap()
    };
    let secret = alice.epoch_secret().unwrap();
    assert_eq!(exported("holomesh av epoch v1", b""), secret.expose());
    assert_ne!(exported("holomesh av epoch v2", b""), secret.expose());
    assert_ne!(exported("holomesh av epoch v1", b"x"), secret.expose());
}

/// With a new MLS key the library removes no old leaf: the member would be in twice, or in somebody else's place.
#[test]
fn a_rejoin_that_does_not_take_the_own_old_place_is_refused_by_everybody() {
    let (mut alice, bob, mut carol) = trio();
    let info = alice.group_info().unwrap();
    let opened = vouch::open(Kind::GroupInfo, &info).unwrap();
    let message = openmls::prelude::MlsMessageIn::tls_deserialize_exact_bytes(opened.message).unwrap();
    let openmls::prelude::MlsMessageBodyIn::GroupInfo(info) = message.extract() else { panic!() };
    let signer = Signer::from_seed(&[78; 32]).unwrap();
    let vouch = Vouch::new(&peer(2).0, *signer.public_key()).unwrap();
    let provider = bob.random.provider();
    let owner = CredentialWithKey {
        credential: credential(bob.key_id()),
        signature_key: signer.public_key().to_vec().into(),
    };
    let (_, bundle) = openmls::prelude::MlsGroup::external_commit_builder()
        .with_aad(vouch.to_bytes())
        .build_group(&provider, info, owner)
        .unwrap()
        .leaf_node_parameters(LeafNodeParameters::builder().with_capabilities(capabilities()).build())
        .load_psks(provider.storage())
        .unwrap()
        .build(provider.rand(), provider.crypto(), &signer, |_| true)
        .unwrap()
        .finalize(&provider)
        .unwrap();
    let commit = bundle.into_commit().to_bytes().unwrap();
    for receiver in [&mut alice, &mut carol] {
        let error = receiver.process_commit(&commit).unwrap_err();
        let expected = "it does not take the place of the sender's own leaf";
        assert_eq!(error, Error::bad_from("commit", bob.key_id(), expected));
    }
}

#[test]
fn another_committers_envelope_around_a_welcome_or_a_group_info_is_refused() {
    let (mut alice, mut bob, mut carol) = trio();
    let named = alice.stage_committers(&peer(1).0, &[bob.key_id()]).unwrap();
    alice.merge_staged().unwrap();
    bob.process_commit(&named.commit).unwrap();
    carol.process_commit(&named.commit).unwrap();
    let (joiner_id, mut joiner) = peer(9);
    let package = joiner.key_package(&joiner_id).unwrap().verify().unwrap();
    let welcome = alice.stage_change(vec![package], &[]).unwrap().welcome.unwrap();
    let info = alice.group_info().unwrap();
    let by_bob = |kind, bytes: &[u8]| {
        let opened = vouch::open(kind, bytes).unwrap();
        bob.vouch.seal(kind, &opened.branch, opened.message, &bob.signer).unwrap()
    };
    let expected = "its sender is not who vouches for it";
    let refused = joiner.join(&by_bob(Kind::Welcome, &welcome), alice.key_id(), SESSION).unwrap_err();
    assert_eq!(refused, Error::bad_from("welcome", bob.key_id(), expected));
    let refused = carol.stage_rejoin(&by_bob(Kind::GroupInfo, &info)).unwrap_err();
    assert_eq!(refused, Error::bad_from("group info", bob.key_id(), expected));
    joiner.join(&welcome, alice.key_id(), SESSION).unwrap();
}
