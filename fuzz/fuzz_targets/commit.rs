//! Commits from anybody to a member of a session, and welcomes from the host to a peer in none: nothing here was made
//! by the group, so nothing is taken.
#![no_main]

use std::cell::RefCell;

use av_mls::{Member, SessionId};
use identity::{Identity, Seed};
use libfuzzer_sys::fuzz_target;

const SESSION: SessionId = SessionId([9; 32]);

struct Peers {
    member: Member,
    joiner: Member,
    host: Identity,
}

thread_local! {
    static PEERS: RefCell<Peers> = RefCell::new(peers().expect("a session of one can be made"));
}

fn peers() -> Result<Peers, Box<dyn std::error::Error>> {
    let host = Identity::from_seed(&Seed([7; 64]))?;
    let mut member = Member::new(&host)?;
    member.create(SESSION)?;
    let other = Identity::from_seed(&Seed([8; 64]))?;
    let mut joiner = Member::new(&other)?;
    joiner.key_package(&other)?;
    Ok(Peers { member, joiner, host })
}

fuzz_target!(|data: &[u8]| {
    PEERS.with_borrow_mut(|Peers { member, joiner, host }| {
        assert!(member.process_commit(data).is_err());
        assert!(joiner.join(data, host.key_id(), SESSION).is_err());
    });
});
