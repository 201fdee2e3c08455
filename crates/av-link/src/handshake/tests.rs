//! The handshake against forgers who know what an honest side knows: they hold one end's secrets and put something
//! wrong under a seal that opens. What a forger without secrets can do is tested from outside, in `tests/`.

use super::*;
use crate::message::{ANSWER_CLEAR_LEN, ANSWER_LEN};
use crate::schedule::TAG_LEN;
use identity::{HybridSignature, Seed as IdentitySeed};

fn person(n: u8) -> Arc<Identity> {
    Arc::new(Identity::from_seed(&IdentitySeed([n; 64])).unwrap())
}

fn initiation(from: u8, to: u8) -> Initiation {
    Initiation::new(person(from), person(to).key_id(), Backend::default(), &Seed([from ^ 0x80; 32])).unwrap()
}

fn response(of: u8, offer: &[u8]) -> Response {
    Response::new(&person(of), offer, Backend::default(), &Seed([of ^ 0x40; 32])).unwrap()
}

/// An answer with its sealed part edited by somebody who has the responder's secrets, given the transcript T1.
fn forged_answer(response: &Response, offer: &[u8], edit: impl FnOnce(&mut Vec<u8>, &Transcript)) -> Vec<u8> {
    let (clear, sealed) = response.answer.split_at(ANSWER_CLEAR_LEN);
    let t1 = Transcript::start(offer, clear);
    let seal = response.first.derive(RESPONDER_SEAL, &t1).unwrap();
    let mut plaintext = seal.open(&t1, sealed, "seal").unwrap();
    edit(&mut plaintext, &t1);
    let mut forged = clear.to_vec();
    seal.seal(&t1, &plaintext, &mut forged).unwrap();
    assert_eq!(forged.len(), ANSWER_LEN);
    forged
}

/// What an initiator seals in its finish, and the secrets by which it does.
struct Opened {
    ciphertext: [u8; CIPHERTEXT_LEN],
    t4: Transcript,
    second: Secret,
    plaintext: Vec<u8>,
}

impl Opened {
    /// Opens a finish with the responder's secrets, which are those of the initiator too.
    fn new(response: &Response, finish: &[u8]) -> Self {
        let (ciphertext, sealed) = finish.split_first_chunk().unwrap();
        let t4 = response.t3.then(&[ciphertext]);
        let shared = response.ephemeral.decapsulate(&Ciphertext::from_bytes(ciphertext)).unwrap();
        let second = response.first.second(&response.t3, &shared).unwrap();
        let plaintext = second.derive(INITIATOR_SEAL, &t4).unwrap().open(&t4, sealed, "seal").unwrap();
        assert_eq!(sealed.len(), plaintext.len() + TAG_LEN);
        Self { ciphertext: *ciphertext, t4, second, plaintext }
    }

    fn resealed(&self) -> Vec<u8> {
        let mut finish = self.ciphertext.to_vec();
        let seal = self.second.derive(INITIATOR_SEAL, &self.t4).unwrap();
        seal.seal(&self.t4, &self.plaintext, &mut finish).unwrap();
        finish
    }

    /// Puts an identity and a signature in, and confirms the keys accordingly.
    fn claim(&mut self, blind: &[u8; 32], identity: &PublicIdentity, signature: &[u8]) {
        let t6 = self.t4.then(&[b"initiator", &identity.to_bytes(), blind]).then(&[signature]);
        let confirmation =
            self.second.derive(INITIATOR_CONFIRMATION, &self.t4).unwrap().confirm(&t6, ACCEPTED);
        self.plaintext = [blind.as_slice(), &identity.to_bytes(), signature, &confirmation.unwrap()].concat();
    }

    fn t5(&self, blind: &[u8; 32], identity: &PublicIdentity) -> Transcript {
        self.t4.then(&[b"initiator", &identity.to_bytes(), blind])
    }

    fn blind(&self) -> [u8; 32] {
        *self.plaintext.first_chunk().unwrap()
    }

    fn signature(&self) -> &[u8] {
        &self.plaintext[32 + PublicIdentity::LEN..][..HybridSignature::LEN]
    }
}

#[test]
fn the_forgers_tools_make_what_is_accepted() {
    let alice = initiation(1, 2);
    let bob = response(2, alice.offer());
    let finishing = alice.read_answer(&forged_answer(&bob, alice.offer(), |_, _| {})).unwrap();
    let mut opened = Opened::new(&bob, finishing.finish());
    let t5 = opened.t5(&opened.blind(), person(1).public());
    let signature = person(1).sign(INITIATOR, t5.as_bytes()).unwrap().to_bytes();
    opened.claim(&opened.blind(), person(1).public(), &signature);
    assert_eq!(bob.read_finish(&opened.resealed()).unwrap().peer(), person(1).public());
}

#[test]
fn defect_no_key_confirmation() {
    let alice = initiation(1, 2);
    let bob = response(2, alice.offer());
    let forged = forged_answer(&bob, alice.offer(), |plaintext, _| *plaintext.last_mut().unwrap() ^= 1);
    let error = alice.read_answer(&forged).unwrap_err();
    assert_eq!(error, Error::Authentication { what: "the answer's key confirmation" });

    let finishing = alice.read_answer(bob.answer()).unwrap();
    let mut opened = Opened::new(&bob, finishing.finish());
    *opened.plaintext.last_mut().unwrap() ^= 1;
    let error = bob.read_finish(&opened.resealed()).unwrap_err();
    assert_eq!(error, Error::Authentication { what: "the finish's key confirmation" });

    let (mut verdict, _) = bob.read_finish(finishing.finish()).unwrap().accept().unwrap();
    verdict[0] ^= 1;
    let error = finishing.read_verdict(&verdict).unwrap_err();
    assert_eq!(error, Error::Authentication { what: "the verdict's key confirmation" });
}

#[test]
fn defect_initiator_unauthenticated() {
    // Carol calls Bob, and says that she is Alice, with all that she can make herself.
    let carol = initiation(3, 2);
    let mut offer = carol.offer.clone();
    let blind = [9; 32];
    let intent = Offer::intent(&blind, person(1).key_id(), person(2).key_id());
    offer[42..74].copy_from_slice(&intent);
    let carol = Initiation { offer, ..carol };
    let bob = response(2, carol.offer());
    let finishing = carol.read_answer(bob.answer()).unwrap();
    let mut opened = Opened::new(&bob, finishing.finish());
    let t5 = opened.t5(&blind, person(1).public());
    let by_carol = person(3).sign(INITIATOR, t5.as_bytes()).unwrap().to_bytes();
    opened.claim(&blind, person(1).public(), &by_carol);
    let error = bob.read_finish(&opened.resealed()).unwrap_err();
    assert!(matches!(error, Error::Identity(identity::Error::BadSignature { .. })), "{error}");
}

#[test]
fn defect_no_identities_or_roles_in_the_transcript() {
    // Roles: what Bob signs as the one who is called is no signature of a caller, though he signs the same hash.
    let alice = initiation(1, 2);
    let bob = response(2, alice.offer());
    let forged = forged_answer(&bob, alice.offer(), |plaintext, t1| {
        let t2 = t1.then(&[b"responder", &plaintext[..PublicIdentity::LEN]]);
        let signature = person(2).sign(INITIATOR, t2.as_bytes()).unwrap().to_bytes();
        plaintext[PublicIdentity::LEN..][..HybridSignature::LEN].copy_from_slice(&signature);
    });
    let error = alice.read_answer(&forged).unwrap_err();
    assert!(matches!(error, Error::Identity(identity::Error::BadSignature { .. })), "{error}");

    // Identities: a signature that leaves the signer's identity out is none.
    let forged = forged_answer(&bob, alice.offer(), |plaintext, t1| {
        let signature = person(2).sign(RESPONDER, t1.as_bytes()).unwrap().to_bytes();
        plaintext[PublicIdentity::LEN..][..HybridSignature::LEN].copy_from_slice(&signature);
    });
    let error = alice.read_answer(&forged).unwrap_err();
    assert!(matches!(error, Error::Identity(identity::Error::BadSignature { .. })), "{error}");
}

#[test]
fn unknown_key_share_somebody_else_can_not_stand_in_for_the_caller_of_an_offer() {
    // Carol has everything but Alice's blind, and signs as herself in a handshake that Alice began.
    let alice = initiation(1, 2);
    let bob = response(2, alice.offer());
    let finishing = alice.read_answer(bob.answer()).unwrap();
    for blind in [[0; 32], Opened::new(&bob, finishing.finish()).blind()] {
        let mut opened = Opened::new(&bob, finishing.finish());
        let t5 = opened.t5(&blind, person(3).public());
        let by_carol = person(3).sign(INITIATOR, t5.as_bytes()).unwrap().to_bytes();
        opened.claim(&blind, person(3).public(), &by_carol);
        let error = bob.read_finish(&opened.resealed()).unwrap_err();
        assert!(
            matches!(error, Error::Authentication { what } if what.starts_with("who calls whom")),
            "{error}"
        );
    }
}

#[test]
fn unknown_key_share_a_callers_proof_is_of_no_use_to_the_one_it_called() {
    // Bob is dishonest. Alice called him; he calls Dora and shows what Alice showed him.
    let alice = initiation(1, 2);
    let bob = response(2, alice.offer());
    let finishing = alice.read_answer(bob.answer()).unwrap();
    let shown = Opened::new(&bob, finishing.finish());

    let mut as_alice = initiation(2, 4);
    let intent = Offer::intent(&shown.blind(), person(1).key_id(), person(4).key_id());
    as_alice.offer[42..74].copy_from_slice(&intent);
    let dora = response(4, as_alice.offer());
    let finishing = as_alice.read_answer(dora.answer()).unwrap();
    let mut opened = Opened::new(&dora, finishing.finish());
    opened.claim(&shown.blind(), person(1).public(), shown.signature());
    let error = dora.read_finish(&opened.resealed()).unwrap_err();
    assert!(matches!(error, Error::Identity(identity::Error::BadSignature { .. })), "{error}");
}

#[test]
fn an_answer_in_another_name_is_refused_by_its_signature() {
    // Carol answers what was meant for Bob, and shows Bob's identity.
    let alice = initiation(1, 2);
    let carol = response(3, alice.offer());
    let forged = forged_answer(&carol, alice.offer(), |plaintext, _| {
        plaintext[..PublicIdentity::LEN].copy_from_slice(&person(2).public().to_bytes());
    });
    let error = alice.read_answer(&forged).unwrap_err();
    assert!(matches!(error, Error::Identity(identity::Error::BadSignature { .. })), "{error}");
}

#[test]
fn a_caller_with_our_own_identity_is_a_reflection() {
    let alice = initiation(1, 2);
    let bob = response(2, alice.offer());
    let finishing = alice.read_answer(bob.answer()).unwrap();
    let mut opened = Opened::new(&bob, finishing.finish());
    opened.claim(&[0; 32], person(2).public(), &[0; HybridSignature::LEN]);
    assert_eq!(bob.read_finish(&opened.resealed()).unwrap_err(), Error::OwnIdentity);

    let forged = forged_answer(&bob, alice.offer(), |plaintext, _| {
        plaintext[..PublicIdentity::LEN].copy_from_slice(&person(1).public().to_bytes());
    });
    assert_eq!(alice.read_answer(&forged).unwrap_err(), Error::OwnIdentity);
}
