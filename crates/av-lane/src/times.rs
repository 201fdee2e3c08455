//! Times of a lane that both ends have to agree on (spec 37 section 9).

use core::time::Duration;

/// A report for what has come, while all is well and the peer does not ask for more.
pub const REPORT_EACH: Duration = Duration::from_millis(200);
/// What a sender asks for that fills the path: what its reports are to say is how much that takes.
pub(crate) const REPORT_STEADY: Duration = Duration::from_millis(100);
/// No report sooner after the one before.
pub const REPORT_FASTEST: Duration = Duration::from_millis(20);
/// A lane that has just begun gets reports as often as this.
pub(crate) const REPORT_EARLY: Duration = Duration::from_millis(25);
/// For so long after the first datagram.
pub(crate) const EARLY: Duration = Duration::from_secs(1);
/// A wish for quick reports holds for so long.
pub(crate) const WISH_HOLDS: Duration = Duration::from_secs(1);
/// A gap younger than this may be reordering.
pub(crate) const REORDER: Duration = Duration::from_millis(5);
/// It grows to this where gaps fill up late.
pub(crate) const REORDER_MOST: Duration = Duration::from_millis(40);
/// An end that sent nothing for so long says that it is there.
pub const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// A child that gets no media says where it is as often as this.
pub const SILENT_CHILD: Duration = Duration::from_millis(250);
/// An end that can't read what comes says so as often as this.
pub(crate) const UNBOUND: Duration = Duration::from_millis(100);
/// Without an authenticated packet for so long the peer is gone.
pub const GONE_AFTER: Duration = Duration::from_secs(4);
/// When media are sent for so long and none arrive, the lane has failed.
pub const FAILED_AFTER: Duration = Duration::from_secs(2);
/// The peer is heard if something came from it within this time.
pub(crate) const HEARD_WITHIN: Duration = Duration::from_secs(1);
/// A datagram above this many bytes counts as long: where those vanish and others do not, the path's MTU fell.
pub const LONG: usize = 512;
