//! The four messages, without the network: for transports that carry whole messages in order, and for tests.
//!
//! [`Initiation`] makes the *offer*, [`Response`] reads it and makes the *answer*, [`Initiation::read_answer`] gives a
//! [`Finishing`] with the *finish*, [`Response::read_finish`] gives a [`Claim`], whose owner decides who may have a link,
//! and its *verdict* ends the handshake. Over datagrams use [`Initiator`](crate::Initiator) and
//! [`Listener`](crate::Listener), which do all this and mend losses.

use crate::keys::Role;
use crate::message::{AnswerClear, FINISH_LEN, Offer, Proof, VERDICT_LEN, exactly};
use crate::schedule::{Secret, Transcript, draw};
use crate::x_wing::{Backend, CIPHERTEXT_LEN, Ciphertext, SecretKey};
use crate::{Error, Link, Seed};
use core::fmt;
use core_types::KeyId;
use identity::{Domain, Identity, PublicIdentity};
use std::sync::Arc;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

const INITIATOR: Domain = Domain::new("holomesh link initiator v1");
const RESPONDER: Domain = Domain::new("holomesh link responder v1");
const ACCEPTED: &[u8] = b"accepted";
const REFUSED: &[u8] = b"refused";

/// The side that calls, before it has heard anything.
pub struct Initiation {
    identity: Arc<Identity>,
    expected: KeyId,
    backend: Backend,
    ephemeral: SecretKey,
    blind: Zeroizing<[u8; 32]>,
    randomness: Zeroizing<[u8; 64]>,
    offer: Vec<u8>,
}

impl Initiation {
    /// A call to the peer `expected` and nobody else.
    ///
    /// # Errors
    /// [`Error::State`] when `expected` is the caller itself; [`Error::Backend`] when a library fails.
    pub fn new(
        identity: Arc<Identity>,
        expected: KeyId,
        backend: Backend,
        seed: &Seed,
    ) -> Result<Self, Error> {
        if expected == identity.key_id() {
            return Err(Error::State("a node can't have a link with itself"));
        }
        let blind = draw::<32>(seed, "blind")?;
        let ephemeral = SecretKey::generate(backend, &*draw(seed, "key")?)?;
        let intent = Offer::intent(&blind, identity.key_id(), expected);
        let offer = Offer::write(&*draw(seed, "nonce")?, &intent, ephemeral.public());
        let randomness = draw(seed, "encapsulation")?;
        Ok(Self { identity, expected, backend, ephemeral, blind, randomness, offer })
    }

    /// The first message.
    pub fn offer(&self) -> &[u8] {
        &self.offer
    }

    /// Reads the second message and makes the third. After an error another answer may be read: somebody on the way may
    /// have put a wrong one first.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Incompatible`], [`Error::Authentication`] and [`Error::Identity`] when it is not an
    /// answer to this offer; [`Error::OwnIdentity`] and [`Error::WrongPeer`] by who answered.
    pub fn read_answer(&self, answer: &[u8]) -> Result<Finishing, Error> {
        let (clear_bytes, clear, sealed) = AnswerClear::read(answer)?;
        let t1 = Transcript::start(&self.offer, clear_bytes);
        let first = Secret::first(&self.ephemeral.decapsulate(&clear.ciphertext)?);
        let opened = first.derive(RESPONDER_SEAL, &t1)?.open(&t1, sealed, "the answer's seal")?;
        let proof = Proof::read(&opened)?;
        let peer = proof.identity.key_id();
        if peer == self.identity.key_id() {
            return Err(Error::OwnIdentity);
        }
        if peer != self.expected {
            return Err(Error::WrongPeer { expected: self.expected, got: peer });
        }
        let t2 = t1.then(&[b"responder", proof.identity_bytes]);
        proof.identity.verify(RESPONDER, t2.as_bytes(), &proof.signature)?;
        let t3 = t2.then(&[proof.signature_bytes]);
        if !first.derive(EARLY_CONFIRMATION, &t1)?.confirms(&t3, ACCEPTED, proof.confirmation)? {
            return Err(Error::Authentication { what: "the answer's key confirmation" });
        }
        self.finish(&first, &t3, &clear, proof.identity)
    }

    fn finish(
        &self,
        first: &Secret,
        t3: &Transcript,
        clear: &AnswerClear,
        peer: PublicIdentity,
    ) -> Result<Finishing, Error> {
        let (ciphertext, shared) = clear.ephemeral.encapsulate(self.backend, &self.randomness)?;
        let t4 = t3.then(&[ciphertext.as_bytes()]);
        let second = first.second(t3, &shared)?;
        let identity = self.identity.public().to_bytes();
        let t5 = t4.then(&[b"initiator", &identity, self.blind.as_slice()]);
        let signature = self.identity.sign(INITIATOR, t5.as_bytes())?.to_bytes();
        let t6 = t5.then(&[&signature]);
        let confirmation = second.derive(INITIATOR_CONFIRMATION, &t4)?.confirm(&t6, ACCEPTED)?;
        let mut message = Vec::with_capacity(FINISH_LEN);
        message.extend_from_slice(ciphertext.as_bytes());
        let plaintext = [self.blind.as_slice(), &identity, &signature, &confirmation].concat();
        second.derive(INITIATOR_SEAL, &t4)?.seal(&t4, &plaintext, &mut message)?;
        let end = End::new(&second, &t4, t6, Role::Initiator, peer)?;
        Ok(Finishing { message, end })
    }
}

impl fmt::Debug for Initiation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Initiation").field("expected", &self.expected).finish_non_exhaustive()
    }
}

/// The side that calls, when it knows who answered.
pub struct Finishing {
    message: Vec<u8>,
    end: End,
}

impl Finishing {
    /// The third message.
    pub fn finish(&self) -> &[u8] {
        &self.message
    }

    /// Reads the fourth message. Only then does a link exist.
    ///
    /// # Errors
    /// [`Error::Refused`] when the peer does not want the link; [`Error::Malformed`] and [`Error::Authentication`] when it
    /// is no verdict on this handshake: then another one may be read.
    pub fn read_verdict(&self, verdict: &[u8]) -> Result<Link, Error> {
        exactly("verdict", verdict, VERDICT_LEN)?;
        if self.end.confirmation.confirms(&self.end.t6, ACCEPTED, verdict)? {
            return Link::derive(&self.end.master, self.end.role, self.end.peer.clone());
        }
        if self.end.confirmation.confirms(&self.end.t6, REFUSED, verdict)? {
            return Err(Error::Refused(self.end.peer.key_id()));
        }
        Err(Error::Authentication { what: "the verdict's key confirmation" })
    }
}

impl fmt::Debug for Finishing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finishing").field("end", &self.end).finish_non_exhaustive()
    }
}

/// The side that is called, when it has answered.
pub struct Response {
    own: KeyId,
    ephemeral: SecretKey,
    intent: [u8; 32],
    first: Secret,
    t3: Transcript,
    answer: Vec<u8>,
}

impl Response {
    /// Reads the first message and makes the second. Costs a key pair, an encapsulation and a hybrid signature.
    ///
    /// # Errors
    /// [`Error::Malformed`] and [`Error::Incompatible`] by the offer; [`Error::Backend`] and [`Error::Identity`] when a
    /// library fails.
    pub fn new(identity: &Identity, offer: &[u8], backend: Backend, seed: &Seed) -> Result<Self, Error> {
        let Offer { intent, ephemeral: theirs } = Offer::read(offer)?;
        let (ciphertext, shared) = theirs.encapsulate(backend, &*draw(seed, "encapsulation")?)?;
        let ephemeral = SecretKey::generate(backend, &*draw(seed, "key")?)?;
        let mut answer = AnswerClear::write(&*draw(seed, "nonce")?, &ciphertext, ephemeral.public());
        let t1 = Transcript::start(offer, &answer);
        let first = Secret::first(&shared);
        let public = identity.public().to_bytes();
        let t2 = t1.then(&[b"responder", &public]);
        let signature = identity.sign(RESPONDER, t2.as_bytes())?.to_bytes();
        let t3 = t2.then(&[&signature]);
        let confirmation = first.derive(EARLY_CONFIRMATION, &t1)?.confirm(&t3, ACCEPTED)?;
        let plaintext = [public.as_slice(), &signature, &confirmation].concat();
        first.derive(RESPONDER_SEAL, &t1)?.seal(&t1, &plaintext, &mut answer)?;
        Ok(Self { own: identity.key_id(), ephemeral, intent, first, t3, answer })
    }

    /// The second message.
    pub fn answer(&self) -> &[u8] {
        &self.answer
    }

    /// Reads the third message. Costs a decapsulation and a hybrid verification. After an error another one may be read.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Authentication`] and [`Error::Identity`] when it does not finish this handshake, or
    /// when the initiator wanted somebody else; [`Error::OwnIdentity`] when it claims to be us.
    pub fn read_finish(&self, finish: &[u8]) -> Result<Claim, Error> {
        exactly("finish", finish, FINISH_LEN)?;
        let (ciphertext, sealed) = finish
            .split_first_chunk::<CIPHERTEXT_LEN>()
            .ok_or(Error::Malformed { what: "finish", reason: "cut short" })?;
        let t4 = self.t3.then(&[ciphertext]);
        let shared = self.ephemeral.decapsulate(&Ciphertext::from_bytes(ciphertext))?;
        let second = self.first.second(&self.t3, &shared)?;
        let opened = second.derive(INITIATOR_SEAL, &t4)?.open(&t4, sealed, "the finish's seal")?;
        let (blind, proof) =
            opened.split_first_chunk().ok_or(Error::Malformed { what: "finish", reason: "cut short" })?;
        let proof = Proof::read(proof)?;
        let peer = proof.identity.key_id();
        if peer == self.own {
            return Err(Error::OwnIdentity);
        }
        if !bool::from(Offer::intent(blind, peer, self.own).ct_eq(&self.intent)) {
            return Err(Error::Authentication { what: "who calls whom, which the offer has committed to," });
        }
        let t5 = t4.then(&[b"initiator", proof.identity_bytes, blind]);
        proof.identity.verify(INITIATOR, t5.as_bytes(), &proof.signature)?;
        let t6 = t5.then(&[proof.signature_bytes]);
        if !second.derive(INITIATOR_CONFIRMATION, &t4)?.confirms(&t6, ACCEPTED, proof.confirmation)? {
            return Err(Error::Authentication { what: "the finish's key confirmation" });
        }
        Ok(Claim { end: End::new(&second, &t4, t6, Role::Responder, proof.identity)? })
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Response(secrets redacted)")
    }
}

/// Somebody has proved who it is, and wants a link. Deciding is the owner's work.
#[derive(Debug)]
pub struct Claim {
    end: End,
}

impl Claim {
    /// Who it is.
    pub const fn peer(&self) -> &PublicIdentity {
        &self.end.peer
    }

    /// Takes the link: the fourth message, and the link itself.
    ///
    /// # Errors
    /// [`Error::Backend`] when a library fails.
    pub fn accept(self) -> Result<([u8; 32], Link), Error> {
        let verdict = self.end.confirmation.confirm(&self.end.t6, ACCEPTED)?;
        Ok((verdict, Link::derive(&self.end.master, self.end.role, self.end.peer)?))
    }

    /// Does not: the fourth message, which tells the peer so, and only the peer.
    ///
    /// # Errors
    /// [`Error::Backend`] when a library fails.
    pub fn refuse(self) -> Result<[u8; 32], Error> {
        self.end.confirmation.confirm(&self.end.t6, REFUSED)
    }
}

/// What both sides have when both are known.
struct End {
    confirmation: Secret,
    master: Secret,
    t6: Transcript,
    role: Role,
    peer: PublicIdentity,
}

impl End {
    fn new(
        second: &Secret,
        t4: &Transcript,
        t6: Transcript,
        role: Role,
        peer: PublicIdentity,
    ) -> Result<Self, Error> {
        let confirmation = second.derive(RESPONDER_CONFIRMATION, t4)?;
        let master = second.derive(MASTER, &t6)?;
        Ok(Self { confirmation, master, t6, role, peer })
    }
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("End").field("peer", &self.peer).finish_non_exhaustive()
    }
}

const RESPONDER_SEAL: &str = "holomesh link v1 responder seal";
const EARLY_CONFIRMATION: &str = "holomesh link v1 responder early confirmation";
const INITIATOR_SEAL: &str = "holomesh link v1 initiator seal";
const INITIATOR_CONFIRMATION: &str = "holomesh link v1 initiator confirmation";
const RESPONDER_CONFIRMATION: &str = "holomesh link v1 responder confirmation";
const MASTER: &str = "holomesh link v1 master";

#[cfg(test)]
mod tests;
