//! Names and choices of a lane.

use crate::PathSecret;
use crate::times::REPORT_STEADY;
use core::fmt;
use core::time::Duration;

/// Names a lane to both its ends: what control packets are found by. Both ends agree on it before the lane begins; of lanes
/// that share exported secrets no two may have the same, ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(pub u64);

impl fmt::Display for LaneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The two ends. Both may send media; mostly the parent does. Closed: there are two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LaneRole {
    /// The end that subscribes. It keeps asking when no media come, so that a new address of its own is noticed.
    Child,
    /// The end that forwards.
    Parent,
}

/// What the hop seal of a lane is (spec 30 section 10). Both ends must be told the same. Closed: another one is another lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LaneSuite {
    /// The chunk is sealed once more.
    Full,
    /// Header and inner tag are authenticated, the payload is not.
    Bind,
}

impl LaneSuite {
    pub(crate) const fn byte(self) -> u8 {
        match self {
            Self::Full => 1,
            Self::Bind => 2,
        }
    }
}

/// What a node chooses about its lanes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LaneConfig {
    /// What path challenges follow from.
    pub secret: PathSecret,
    /// The largest datagram, in bytes of UDP payload. A chunk whose datagram could be longer is left out of a burst.
    pub max_datagram: usize,
    /// What the congestion controller starts from. Its size of datagrams and its seed are taken from the lane.
    pub rate: av_congestion::BbrConfig,
    /// How long after it was made a lane may wait for its peer's first proof. 1 s unless the peer may begin later.
    pub settle_within: Duration,
    /// Whether there is a stream beside the media: both ends have to be told the same. Without it, one that is sent is the peer's
    /// misbehaviour.
    pub stream: bool,
}

impl LaneConfig {
    /// The defaults: datagrams up to 1,452 bytes, which an Ethernet frame holds over IPv6; 1 s to settle; no stream.
    pub fn new(secret: PathSecret) -> Self {
        let rate = av_congestion::BbrConfig {
            report_interval: REPORT_STEADY,
            ..av_congestion::BbrConfig::default()
        };
        Self { secret, max_datagram: 1_452, rate, settle_within: Duration::from_secs(1), stream: false }
    }
}

/// Why an end closes a lane. Closed on purpose: what is not listed is [`CloseReason::Other`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// 0: it is not needed any more.
    Done,
    /// 1: the end is about to stop; look for another parent.
    Draining,
    /// 2: media do not get through; use another transport.
    Failed,
    /// 3: the peer was not heard for too long.
    Gone,
    /// 4: the peer broke a rule.
    Misbehaved,
    /// Another number.
    Other(u16),
}

impl CloseReason {
    pub(crate) const fn code(self) -> u16 {
        match self {
            Self::Done => 0,
            Self::Draining => 1,
            Self::Failed => 2,
            Self::Gone => 3,
            Self::Misbehaved => 4,
            Self::Other(code) => code,
        }
    }

    pub(crate) const fn from_code(code: u16) -> Self {
        match code {
            0 => Self::Done,
            1 => Self::Draining,
            2 => Self::Failed,
            3 => Self::Gone,
            4 => Self::Misbehaved,
            other => Self::Other(other),
        }
    }
}

/// Why a lane is given up though its peer may live: use another transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Failure {
    /// The peer did not prove its address in time: the path, or something on it, lets nothing through.
    NoAnswer,
    /// Media were sent for 2 s and none arrived, though control packets do.
    NothingArrives,
    /// The same of datagrams above [`LONG`](crate::LONG) bytes: the path's MTU fell.
    LongLost,
    /// Nothing of the stream was acknowledged for 8 s, though the peer is heard.
    StreamStalled,
    /// All numbers are used up: make a new lane.
    Exhausted,
}
