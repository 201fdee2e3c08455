//! Congestion control and rate estimates for live media: BBR over lanes, statistics of QUIC links, encoder rate, repair
//! share.
//!
//! [`Bbr`] is the congestion control of a lane, where nothing is acknowledged by itself and nothing is sent again: the
//! receiver says every 100 ms or so how far it is and how much it took. [`StatsEstimator`] reads the statistics of a QUIC
//! connection, which has a congestion control of its own. Both give a [`LinkEstimate`]. From that, [`MediaRate`] decides
//! what bit rate a publisher's encoder gets, and [`RepairShare`] how many of an object's repair symbols a hop forwards.
//!
//! Each link has its own: loss on one never lowers the rate of another.
//!
//! # Where `Bbr` comes from, and where it differs
//! draft-cardwell-iccrg-bbr-congestion-control-00 (BBR version 1) and draft-cheng-iccrg-delivery-rate-estimation-00.
//! What a lane of live media makes different:
//!
//! | draft | here | why |
//! |---|---|---|
//! | a sample for each acknowledgement, over the packet's flight | between two reports, over a round trip and no less than 80 ms, by the receiver's clock | reports are rare, and may be delayed or lost |
//! | window of 2 rate-delay products | 4 (3 while crowded) of rate × (round trip + report interval), and no less than the initial window | what is in flight holds a report interval of data that has long arrived |
//! | in flight tells the queue | the one-way delay beyond its minimum does, bounded by the round trip's | the same |
//! | samples of a sender without data only raise the rate | the same, unless the path is crowded | a live source never fills its window; its overload shows as a queue |
//! | startup ends when the rate stops growing | or when the path is crowded; a sender with little to send gets startup's gain again after a second without | a frame is sent at once wherever the path lets it |
//! | bursts of at most 1 ms of the rate | a frame's worth while nothing is crowded, otherwise a datagram and 5 ms | one send of ten datagrams costs a fourth of ten sends |
//! | loss is not looked at | loss of 8 % without a queue is looked into: when it ends while frames are spread out, they stay so for 4, 16, 60 s | a frame may be longer than the queue of the path |
//! | a sender without data probes without bound | once a queue has stood, at most 1.25 times what the path carried then goes out as it comes, a quarter more every 4 s, for a minute | who has little more than the path carries would fill its queue with every burst |
//! | startup is for the beginning | and begins again after two probes in a row that found a tenth more | a quarter more in each probe takes many seconds |
//! | four packets in flight for 200 ms, each 10 s | half the rate for a round, when it is 5 s since the way was about as short as ever and the sender never pauses | a picture must not stop |
//! | retransmission timeout | what was not reported is given up step by step, the rate halves, then a few datagrams each 1.2 s, then startup | nothing is sent again |
//!
//! *Crowded* is a path on which a queue stands for 300 ms, stands a little and loses, or which loses nearly a third. Loss
//! alone, below that, is not congestion: a tenth of loss costs a tenth of the rate.
//!
//! # Drain rule
//! Ask [`Bbr::budget`] before each send and tell [`Bbr::on_sent`] after it, once for each burst. When the budget is too
//! small, ask again at [`Bbr::next_send_at`], or after the next report when that says `None`. Call
//! [`Bbr::handle_timeout`] when [`Bbr::poll_timeout`] is due; ask that again after every call. Nothing else has a timer.
//! Time is an argument; nothing here reads a clock.
//!
//! ```
//! use av_congestion::{Bbr, BbrConfig, Report};
//! use core_types::MonoTime;
//! use std::time::Duration;
//!
//! let mut now = MonoTime::from_millis(5);
//! let mut bbr = Bbr::new(BbrConfig::default(), now)?;
//! // A frame of ten datagrams goes out in one send, and there is no more to send.
//! assert!(bbr.budget(now) >= 11_000);
//! bbr.on_sent(now, 0, 10, 11_000, true)?;
//! // The peer reports: all ten came, the last one 20 ms before it reported.
//! now = MonoTime::from_millis(65);
//! let report = Report {
//!     largest: 9,
//!     received_packets: 10,
//!     received_bytes: 11_000,
//!     ack_delay: Duration::from_millis(20),
//!     arrival: 7_777_777,
//! };
//! assert_eq!(bbr.on_report(now, &report)?.rtt, Some(Duration::from_millis(40)));
//! let estimate = bbr.estimate(now);
//! assert_eq!((estimate.in_flight, estimate.loss_permille), (0, Some(0)));
//! // A peer that says it took what was never sent is caught.
//! assert!(bbr.on_report(now, &Report { largest: 10, ..report }).is_err_and(|error| error.is_peer_fault()));
//! # Ok::<(), av_congestion::Error>(())
//! ```

mod bbr;
mod error;
mod estimate;
mod filter;
mod loss;
mod media_rate;
mod repair;
mod stats;

pub use bbr::{Bbr, BbrConfig, Outcome, Report};
pub use error::Error;
pub use estimate::LinkEstimate;
pub use media_rate::{HopState, MediaRate, MediaRateConfig, RateChange, RateRule};
pub use repair::{RepairConfig, RepairShare};
pub use stats::{QuicSample, StatsEstimator};
