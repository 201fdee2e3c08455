//! The key package directory: one use each, quotas, expiry, a restart.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use av_mls::{Directory, Error, Fault, KeyId, KeyPackageDirectory as _, Quotas, WallTime};
use common::{Peer, SESSION};
use core::time::Duration;
use proptest::prelude::*;

const SMALL: Quotas = Quotas {
    owners: 3,
    packages: 6,
    low_water: 2,
    takes_of_one: 2,
    takes_of_all: 4,
    takes_from_owner: 4,
    publishes: 12,
    window: Duration::from_secs(60),
    requesters: 3,
};

fn requester(number: u8) -> KeyId {
    KeyId([number; 32])
}

/// A little after the packages were made.
fn now(peer: &mut Peer) -> WallTime {
    WallTime(peer.package().not_after().0 - 20 * 60 * 60 * 1_000)
}

fn later(now: WallTime, seconds: u64) -> WallTime {
    WallTime(now.0 + seconds * 1_000)
}

/// A directory with `count` packages with one use of the owner's, and one of last resort.
fn stocked(quotas: Quotas, owner: &mut Peer, count: usize) -> (Directory, WallTime) {
    let now = now(owner);
    let mut directory = Directory::new(quotas);
    let mut packages = owner.member.key_packages(&owner.identity, count).unwrap();
    packages.push(owner.member.last_resort_package(&owner.identity).unwrap());
    let stock = directory.publish(now, &packages).unwrap();
    assert_eq!((stock.one_use, stock.last_resort), (count, true));
    (directory, now)
}

#[test]
fn each_package_is_handed_out_once_and_then_the_one_of_last_resort() {
    let mut owner = Peer::new(1);
    let quotas = Quotas { takes_of_one: 9, takes_of_all: 9, takes_from_owner: 9, ..SMALL };
    let (mut directory, now) = stocked(quotas, &mut owner, 3);
    let taken: Vec<_> = (0..5).map(|_| directory.take(now, requester(9), owner.id()).unwrap()).collect();
    assert_eq!(taken.iter().map(|t| t.last_resort).collect::<Vec<_>>(), [false, false, false, true, true]);
    assert_eq!(taken.iter().map(|t| t.left.one_use).collect::<Vec<_>>(), [2, 1, 0, 0, 0]);
    assert!(taken[0].package != taken[1].package && taken[3].package == taken[4].package);
    assert!(taken[3].package.verify().unwrap().is_last_resort());
    // The owner hears of it before they are gone.
    assert_eq!(taken.iter().map(|t| t.left.refill).collect::<Vec<_>>(), [0, 5, 6, 6, 6]);
    // One that was handed out is not taken in again.
    let stock = directory.publish(now, &[taken[0].package.clone()]).unwrap();
    assert_eq!(stock.one_use, 0);
    // What comes out serves.
    let mut host = Peer::host();
    let staged = host.member.stage_change(vec![taken[3].package.verify().unwrap()], &[]).unwrap();
    owner.member.join(&staged.welcome.unwrap(), host.id(), SESSION).unwrap();
}

#[test]
fn a_stranger_drains_nobody() {
    let mut owner = Peer::new(1);
    let (mut directory, now) = stocked(SMALL, &mut owner, 6);
    let last_resort = |directory: &mut Directory, now, who| {
        directory.take(now, requester(who), owner.id()).map(|taken| taken.last_resort)
    };
    // One requester gets two, then the one of last resort, then nothing.
    let got: Vec<_> = (0..5).map(|_| last_resort(&mut directory, now, 9)).collect();
    assert_eq!(got[..4], [Ok(false), Ok(false), Ok(true), Ok(true)]);
    assert_eq!(got[4], Err(Error::Quota { peer: requester(9), what: "taking key packages" }));
    assert_eq!(got[4].as_ref().unwrap_err().fault(), Fault::Limit);
    // Several in one hand get four together, and two stay.
    assert_eq!(last_resort(&mut directory, now, 8), Ok(false));
    assert_eq!(last_resort(&mut directory, now, 8), Ok(false));
    assert_eq!(last_resort(&mut directory, now, 7), Ok(true));
    // More than can be counted get nothing.
    assert!(matches!(last_resort(&mut directory, now, 6), Err(Error::Limit { .. })));
    assert_eq!(directory.stock(now, owner.id()).one_use, 2);
    // After the window there is new room.
    assert_eq!(last_resort(&mut directory, later(now, 60), 6), Ok(false));
    assert_eq!(last_resort(&mut directory, later(now, 60), 9), Ok(false));
}

#[test]
fn an_owner_can_not_flood_it() {
    let (mut owner, mut second) = (Peer::new(1), Peer::new(2));
    let (mut directory, now) = stocked(SMALL, &mut owner, 6);
    let more = owner.member.key_packages(&owner.identity, 5).unwrap();
    assert!(matches!(directory.publish(now, &more[..1]), Err(Error::Limit { .. })), "it has six");
    let flood = owner.member.key_packages(&owner.identity, 6).unwrap();
    assert!(
        matches!(directory.publish(now, &flood), Err(Error::Quota { .. })),
        "seven and six are above twelve"
    );
    assert!(matches!(directory.publish(now, &[flood.clone(), more].concat()), Err(Error::Limit { .. })));
    // Of two owners at once, and forged.
    let other = second.member.key_package(&second.identity).unwrap();
    assert_eq!(directory.publish(now, &[other.clone(), flood[0].clone()]).unwrap_err().fault(), Fault::Peer);
    let mut altered = other.to_bytes();
    altered[200] ^= 1;
    if let Ok(altered) = av_mls::SignedKeyPackage::from_bytes(&altered) {
        assert_eq!(directory.publish(now, &[altered]).unwrap_err().fault(), Fault::Peer);
    }
    assert_eq!(directory.stock(now, second.id()).one_use, 0);
    // Too many owners.
    for number in [2, 3] {
        let mut peer = Peer::new(number);
        directory.publish(now, &[peer.member.key_package(&peer.identity).unwrap()]).unwrap();
    }
    let mut fourth = Peer::new(4);
    let package = fourth.member.key_package(&fourth.identity).unwrap();
    assert!(matches!(directory.publish(now, &[package]), Err(Error::Limit { .. })));
}

#[test]
fn what_is_out_of_date_is_gone() {
    let mut owner = Peer::new(1);
    let (mut directory, now) = stocked(SMALL, &mut owner, 4);
    let tomorrow = later(now, 21 * 60 * 60);
    let stock = directory.stock(tomorrow, owner.id());
    assert_eq!((stock.one_use, stock.last_resort, stock.refill), (0, true, 6));
    assert!(directory.take(tomorrow, requester(9), owner.id()).unwrap().last_resort);
    let month = later(now, 29 * 24 * 60 * 60);
    assert!(matches!(directory.take(month, requester(9), owner.id()), Err(Error::State(_))));
    directory.expire(month);
    assert_eq!(directory.to_bytes().len(), 5, "nobody is left");
}

#[test]
fn it_survives_a_restart_and_hands_nothing_out_twice() {
    let mut owner = Peer::new(1);
    let (mut directory, now) = stocked(SMALL, &mut owner, 4);
    let first = directory.take(now, requester(9), owner.id()).unwrap();
    let bytes = directory.to_bytes();
    let mut again = Directory::from_bytes(&bytes, SMALL).unwrap();
    assert_eq!(again.to_bytes(), bytes);
    assert_eq!(again.stock(now, owner.id()), first.left);
    let second = again.take(now, requester(9), owner.id()).unwrap();
    assert_ne!(first.package, second.package);
    assert_eq!(again.publish(now, &[first.package]).unwrap().one_use, 2);
    assert!(Directory::from_bytes(&bytes[..bytes.len() - 1], SMALL).is_err());
    assert!(Directory::from_bytes(&bytes, Quotas { packages: 2, ..SMALL }).is_err());
}

proptest! {
    #[test]
    fn other_bytes_are_no_directory(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let rest = [&[1u8, 0, 0, 0, 1][..], &bytes].concat();
        prop_assert!(Directory::from_bytes(&rest, SMALL).is_err());
        _ = Directory::from_bytes(&bytes, SMALL);
    }
}
