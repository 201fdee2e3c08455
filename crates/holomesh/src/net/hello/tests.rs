//! What a hello is good for, over connections that are two pipes and a secret.

use super::*;
use crate::net::connection::CloseCode;
use crate::net::link::LinkEvent;
use core_types::LinkId;
use identity::Seed;
use sha2::{Digest, Sha256};
use std::net::SocketAddr;
use std::pin::Pin;
use tokio::io::{DuplexStream, duplex, split};
use tokio::sync::mpsc;

/// One end of a connection whose ends share a secret.
#[derive(Debug)]
struct Pipe {
    secret: u8,
}

impl Connection for Pipe {
    fn transport_key(&self) -> [u8; 32] {
        [9; 32]
    }

    fn remote_address(&self) -> Option<SocketAddr> {
        None
    }

    fn export(&self, label: &[u8], context: &[u8], out: &mut [u8]) -> Result<(), String> {
        let hash = Sha256::new().chain_update([self.secret]).chain_update(label).chain_update(context);
        out.copy_from_slice(&hash.finalize());
        Ok(())
    }

    fn read_media(&self, _: LinkId, _: mpsc::Sender<LinkEvent>) {}

    fn close(&self, _: CloseCode, _: &str) {}

    fn close_reason(&self) -> Option<String> {
        None
    }

    fn closed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::pending())
    }
}

fn identity(number: u8) -> Identity {
    Identity::from_seed(&Seed([number; 64])).unwrap()
}

async fn greet(pipe: Pipe, initiator: bool, stream: DuplexStream, number: u8) -> Result<Peer, Error> {
    let (mut recv, mut send) = split(stream);
    exchange(&pipe, initiator, &mut send, &mut recv, &identity(number), Role::Watcher).await
}

/// What each side makes of the other, given the secret that it has and whether it takes itself for the one that dialled.
async fn meet(one: (u8, bool, u8), other: (u8, bool, u8)) -> [Result<Peer, Error>; 2] {
    let (a, b) = duplex(64 * 1024);
    let ends = [(one, a), (other, b)]
        .map(|((secret, initiator, number), stream)| greet(Pipe { secret }, initiator, stream, number));
    let [one, other] = ends;
    let (one, other) = tokio::join!(one, other);
    [one, other]
}

#[tokio::test]
async fn a_hello_is_good_for_its_connection_and_side_alone() {
    let [one, other] = meet((1, true, 4), (1, false, 5)).await;
    assert_eq!(one.unwrap().key_id(), identity(5).key_id());
    assert_eq!(other.unwrap().key_id(), identity(4).key_id());
    // Of another connection, or as if both had dialled.
    for other in [(2, false, 5), (1, true, 5)] {
        for outcome in meet((1, true, 4), other).await {
            let error = outcome.unwrap_err();
            assert!(matches!(&error, Error::Peer { why, .. } if why.contains("hello")), "{error}");
        }
    }
}

#[tokio::test]
async fn a_hello_with_our_own_identity_is_refused() {
    for outcome in meet((1, true, 4), (1, false, 4)).await {
        let error = outcome.unwrap_err();
        assert!(matches!(&error, Error::Peer { why, .. } if why.contains("our own identity")), "{error}");
    }
}

#[tokio::test]
async fn a_hello_with_another_role_than_the_signed_one_is_refused() {
    let (ours, theirs) = duplex(64 * 1024);
    let (mut recv, mut send) = split(theirs);
    let forger = async {
        send_preamble(&mut send).await.unwrap();
        let identity = identity(5);
        let pipe = Pipe { secret: 1 };
        let signature = identity.sign(DOMAIN, &signed_value(&pipe, false, Role::Watcher).unwrap()).unwrap();
        let hello = Hello {
            role: Role::Host,
            identity: identity.public().to_bytes().to_vec(),
            signature: signature.to_bytes().to_vec(),
        };
        send.write_all(&encode(&hello).unwrap()).await.unwrap();
        read_preamble(&mut recv).await.unwrap();
        read_frame(&mut recv, HELLO_LIMIT).await.unwrap();
    };
    let (outcome, ()) = tokio::join!(greet(Pipe { secret: 1 }, true, ours, 4), forger);
    let error = outcome.unwrap_err();
    assert!(matches!(&error, Error::Peer { why, .. } if why.contains("hello")), "{error}");
}
