//! What a run is made of.

use crate::{Config, Error};
use core::time::Duration;
use core_types::BitRate;

/// Everything about a run. The same scenario gives the same [`Report`](super::Report), to the byte.
///
/// ```
/// use alm::sim::{Happening, Scenario};
/// use core::time::Duration;
///
/// let scenario = Scenario {
///     nodes: 200,
///     events: vec![Happening::FlashCrowd {
///         at: Duration::from_secs(5),
///         count: 500,
///         within: Duration::from_secs(1),
///     }],
///     ..Scenario::default()
/// };
/// assert!(scenario.validate().is_ok());
/// assert!(Scenario { source_chunks: 0, ..scenario }.validate().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// From which all random numbers of the run come.
    pub seed: u64,
    /// Watchers that join at the beginning, up to [`Scenario::MAX_NODES`].
    pub nodes: u32,
    /// The time over which they come, evenly.
    pub join_within: Duration,
    /// When the first frame is captured.
    pub start: Duration,
    /// How long the run is, the time before [`Scenario::start`] included; at most a day.
    pub length: Duration,
    /// Frames per second, 1 to 240.
    pub fps: u16,
    /// Chunks of a frame without repair, K; any K chunks of a frame show it. 1 at least.
    pub source_chunks: u8,
    /// Repair chunks of a frame, R. K + R is 63 at most.
    pub repair_chunks: u8,
    /// Bytes of a chunk on the wire, 1 to 16,384.
    pub chunk_bytes: u16,
    /// Parents of each watcher, P, which is stripes: 1 to 16.
    pub parents: u8,
    /// Spares that each watcher keeps besides.
    pub spares: u8,
    /// How long after its capture a frame must be complete to be shown; 1.5 s at most.
    pub deadline: Duration,
    /// What the publisher can send. It claims [`Scenario::claim_permille`] of it like everybody.
    pub publisher_uplink: BitRate,
    /// The kinds of nodes.
    pub classes: Vec<Class>,
    /// How much of its uplink an honest node claims, in permille: the rest is for repair and bursts.
    pub claim_permille: u16,
    /// Chunks that each link loses, each by itself, in permille.
    pub loss_permille: u16,
    /// Losses in bursts, besides those.
    pub bursts: Option<Bursts>,
    /// Who is not as it should be.
    pub roles: Roles,
    /// Peers that a joiner hears of, besides the publisher, drawn from those who get the stream: 1 to 4,000.
    pub known: u16,
    /// After which time a link to a peer that is gone counts as dead.
    pub link_timeout: Duration,
    /// A watcher that feeds others repairs all chunks of a frame. If not, it stops when it can show the frame itself, and those
    /// below it lack what it did not ask for.
    pub relays_repair_all: bool,
    /// How patient subscriptions are. The stripes and the seed in it are replaced by the run's own.
    pub subscription: Config,
    /// What happens during the run, in any order.
    pub events: Vec<Happening>,
}

impl Default for Scenario {
    /// 100 watchers who join within a second, a stream of 1.9 Mbit/s with 9 + 3 chunks a frame and 25 frames a second from
    /// 2 s to 12 s, four parents, 400 ms to the screen, three kinds of uplinks, no losses and no events.
    fn default() -> Self {
        let class = |share, kbit, low, high| Class {
            share,
            uplink: BitRate::from_kbit(kbit),
            latency: (Duration::from_millis(low), Duration::from_millis(high)),
        };
        Self {
            seed: 1,
            nodes: 100,
            join_within: Duration::from_secs(1),
            start: Duration::from_secs(2),
            length: Duration::from_secs(12),
            fps: 25,
            source_chunks: 9,
            repair_chunks: 3,
            chunk_bytes: 800,
            parents: 4,
            spares: 2,
            deadline: Duration::from_millis(400),
            publisher_uplink: BitRate::from_kbit(20_000),
            classes: vec![class(3, 2_000, 10, 30), class(5, 8_000, 5, 25), class(2, 40_000, 2, 15)],
            claim_permille: 750,
            loss_permille: 0,
            bursts: None,
            roles: Roles::default(),
            known: 32,
            link_timeout: Duration::from_secs(3),
            relays_repair_all: true,
            subscription: Config::default(),
            events: Vec::new(),
        }
    }
}

/// One kind of nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Class {
    /// How many of the nodes are of it, compared with the shares of the others.
    pub share: u16,
    /// What each can send; 0 for who only watches.
    pub uplink: BitRate,
    /// Shortest and longest time to the middle of the network; between two nodes it is the sum of theirs. 2 s at most.
    pub latency: (Duration, Duration),
}

/// Losses in bursts: on each link there are good and bad times (Gilbert 1960, Elliott 1963). All in permille.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bursts {
    /// Chunks in good times after which a bad one begins.
    pub start: u16,
    /// Chunks in bad times after which it ends; above 0.
    pub stop: u16,
    /// Chunks that are lost in bad times.
    pub loss: u16,
}

/// Who is not honest and able. Shares are in permille of the nodes, together 1,000 at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Roles {
    /// Claims ten times its uplink and forwards nothing.
    pub lying: u16,
    /// Is as it should be until [`Roles::stall_at`], then forwards nothing while its links stay up.
    pub stalling: u16,
    /// When the stalling ones stop.
    pub stall_at: Duration,
    /// Forwards everything late.
    pub slow: u16,
    /// By so much; 10 s at most.
    pub slow_by: Duration,
}

/// Something that happens during a run. Times count from the beginning of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Happening {
    /// Many join in a short time.
    FlashCrowd {
        /// When it begins.
        at: Duration,
        /// How many come.
        count: u32,
        /// In which time, evenly.
        within: Duration,
    },
    /// Nodes leave without a word, and as many join.
    Churn {
        /// When it begins.
        from: Duration,
        /// When it ends.
        until: Duration,
        /// How many of those who are there leave in a second.
        permille_per_second: u16,
    },
    /// Parents of one watcher die.
    Kill {
        /// When the first dies.
        at: Duration,
        /// How many: 1 to 16, and fewer if the watcher found has fewer.
        parents: u8,
        /// The others die within this time.
        within: Duration,
    },
    /// Uplinks change.
    Bandwidth {
        /// When.
        at: Duration,
        /// Of how many of the nodes, in permille.
        share: u16,
        /// To how much of what they had at first, in permille.
        to: u16,
    },
    /// Some nodes and the others can't reach each other. The publisher is with the others.
    Partition {
        /// When it begins.
        at: Duration,
        /// When it heals.
        until: Duration,
        /// How many of the nodes are cut off, in permille.
        share: u16,
    },
}

impl Scenario {
    /// Nodes of a run at most, all that ever join counted.
    pub const MAX_NODES: u32 = 250_000;

    /// Says what can't be, with the field and its bounds.
    ///
    /// # Errors
    /// [`Error::Input`].
    pub fn validate(&self) -> Result<(), Error> {
        let day = Duration::from_secs(86_400);
        let per_frame = u16::from(self.source_chunks) + u16::from(self.repair_chunks);
        let roles = u32::from(self.roles.lying) + u32::from(self.roles.stalling) + u32::from(self.roles.slow);
        let crowd: u64 = self
            .events
            .iter()
            .map(|event| match event {
                Happening::FlashCrowd { count, .. } => u64::from(*count),
                _ => 0,
            })
            .sum();
        let shares: u32 = self.classes.iter().map(|class| u32::from(class.share)).sum();
        let checks = [
            (
                u64::from(self.nodes) + crowd <= u64::from(Self::MAX_NODES),
                "nodes",
                "250,000 at most, with those of flash crowds",
            ),
            (self.length <= day, "length", "a day at most"),
            (self.join_within <= day && self.start <= day, "join_within, start", "a day at most"),
            ((1..=240).contains(&self.fps), "fps", "1 to 240"),
            (self.source_chunks >= 1, "source_chunks", "1 at least"),
            (per_frame <= 63, "repair_chunks", "source and repair chunks are 63 at most"),
            ((1..=16_384).contains(&self.chunk_bytes), "chunk_bytes", "1 to 16,384"),
            ((1..=16).contains(&self.parents), "parents", "1 to 16"),
            (self.spares <= 16, "spares", "16 at most"),
            (
                self.deadline <= Duration::from_millis(1_500),
                "deadline",
                "1.5 s at most: chunks are kept for 2 s",
            ),
            (in_range(self.publisher_uplink), "publisher_uplink", "1 kbit/s to 1 Tbit/s"),
            (
                (1..=64).contains(&self.classes.len()) && shares > 0,
                "classes",
                "1 to 64, with a share above 0",
            ),
            (self.claim_permille <= 1_000, "claim_permille", "1,000 at most"),
            (self.loss_permille <= 1_000, "loss_permille", "1,000 at most"),
            (self.bursts.is_none_or(Bursts::is_sane), "bursts", "1,000 at most each, and stop above 0"),
            (roles <= 1_000, "roles", "shares of 1,000 together at most"),
            (self.roles.slow_by <= Duration::from_secs(10), "roles.slow_by", "10 s at most"),
            ((1..=4_000).contains(&self.known), "known", "1 to 4,000"),
            (self.link_timeout <= day, "link_timeout", "a day at most"),
            (self.events.len() <= 1_024, "events", "1,024 at most"),
        ];
        for (holds, what, why) in checks {
            if !holds {
                return Err(Error::Input { what, why });
            }
        }
        self.classes.iter().try_for_each(Class::validate)?;
        self.events.iter().try_for_each(Happening::validate)
    }

    /// Chunks of a frame, K + R.
    pub(super) const fn per_frame(&self) -> u32 {
        self.source_chunks as u32 + self.repair_chunks as u32
    }

    /// The rate of the stream with its repair.
    pub fn rate(&self) -> BitRate {
        BitRate(u64::from(self.fps) * u64::from(self.per_frame()) * u64::from(self.chunk_bytes) * 8)
    }

    /// Frames that are captured before the end.
    pub(super) fn frames(&self) -> u32 {
        let micros = self.length.saturating_sub(self.start).as_micros();
        u32::try_from((micros * u128::from(self.fps)).div_ceil(1_000_000)).unwrap_or(u32::MAX)
    }
}

impl Class {
    fn validate(&self) -> Result<(), Error> {
        if self.uplink.0 != 0 && !in_range(self.uplink) {
            return Err(Error::Input { what: "classes.uplink", why: "0, or 1 kbit/s to 1 Tbit/s" });
        }
        if self.latency.0 > self.latency.1 || self.latency.1 > Duration::from_secs(2) {
            return Err(Error::Input {
                what: "classes.latency",
                why: "the shorter one first, and 2 s at most",
            });
        }
        Ok(())
    }
}

impl Bursts {
    const fn is_sane(self) -> bool {
        self.start <= 1_000 && self.stop <= 1_000 && self.stop > 0 && self.loss <= 1_000
    }
}

impl Happening {
    fn validate(&self) -> Result<(), Error> {
        let day = Duration::from_secs(86_400);
        let permille = |share: &u16| *share <= 1_000;
        let (holds, what, why) = match self {
            Self::FlashCrowd { within, .. } => (*within <= day, "events.within", "a day at most"),
            Self::Churn { from, until, permille_per_second } => (
                from <= until && permille(permille_per_second),
                "events.churn",
                "from before until, and 1,000 permille a second at most",
            ),
            Self::Kill { parents, within, .. } => (
                (1..=16).contains(parents) && *within <= day,
                "events.parents",
                "1 to 16, within a day at most",
            ),
            Self::Bandwidth { share, to, .. } => (
                permille(share) && permille(to) && *to > 0,
                "events.bandwidth",
                "share and to are permille, to above 0",
            ),
            Self::Partition { at, until, share } => (
                at <= until && permille(share),
                "events.partition",
                "at before until, and 1,000 permille at most",
            ),
        };
        if holds && self.at() <= day { Ok(()) } else { Err(Error::Input { what, why }) }
    }

    /// When it begins.
    pub const fn at(&self) -> Duration {
        match self {
            Self::FlashCrowd { at, .. }
            | Self::Churn { from: at, .. }
            | Self::Kill { at, .. }
            | Self::Bandwidth { at, .. }
            | Self::Partition { at, .. } => *at,
        }
    }
}

const fn in_range(rate: BitRate) -> bool {
    rate.0 >= 1_000 && rate.0 <= 1_000_000_000_000
}
