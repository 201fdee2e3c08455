//! Commits, group infos and leave requests from anybody to a member of a session: nothing here was made by the group, so
//! nothing is taken.
#![no_main]

use std::cell::RefCell;

use av_mls::{Arbiter, Error, Member, MonoTime, SessionId};
use identity::{Identity, Seed};
use libfuzzer_sys::fuzz_target;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

const SESSION: SessionId = SessionId([9; 32]);

thread_local! {
    static MEMBER: RefCell<Member> = RefCell::new(member().expect("a session of one can be made"));
}

fn member() -> Result<Member, Error> {
    let host = Identity::from_seed(&Seed([7; 64]))?;
    let mut member = Member::new(&host, StdRng::seed_from_u64(1))?;
    member.create(SESSION)?;
    Ok(member)
}

fuzz_target!(|data: &[u8]| {
    MEMBER.with_borrow_mut(|member| {
        let before = member.epoch();
        assert!(member.process_commit(data).is_err());
        assert!(member.compare(data).is_err());
        assert!(member.stage_rejoin(data).is_err());
        assert!(member.check_leave_request(data).is_err());
        let mut arbiter = Arbiter::default();
        _ = arbiter.handle_commit(MonoTime(0), member, data);
        _ = arbiter.handle_group_info(MonoTime(0), member, data);
        assert_eq!((member.epoch(), member.is_staged()), (before, false));
    });
});
