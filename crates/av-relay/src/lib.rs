//! A media relay: takes sealed chunks in and says which of them go to which link. It has no way to content keys: this
//! crate can't name one, and `cargo xtask deps` keeps it so.
//!
//! What is here: streams with their upstream links, subscribers with a layer policy and a share of the stripes, dedup
//! behind authentication, a bounded cache from which single chunks are sent again, bounds on everything that a peer can
//! grow, and counters. Not here yet: per-subscriber queues with priority drop, congestion estimates, quotas and permits.
//!
//! The relay is a state machine without sockets or clocks. **Drain rule**: after every `handle_*` call, take
//! [`Relay::poll_transmit`] until it gives `None`; what it gives is to be sent at once and in order.
//!
//! Chunks reach [`Relay::handle_chunks`] as [`FreshChunk`](av_wire::FreshChunk)s: authenticated on their link and checked
//! for replay there. Only a stream's upstream links may feed it: a stranger's or a subscriber's chunk is refused before it
//! can touch the dedup window.
//!
//! ```
//! use av_relay::{Limits, Relay};
//! use av_wire::{AwsLc, HopReceiver, HopSuite};
//! use bytes::Bytes;
//! use core_types::{LayerPolicy, LinkId, StreamId, StripeSet};
//!
//! let (publisher, watcher, stream) = (LinkId(1), LinkId(2), StreamId([7; 32]));
//! let mut relay = Relay::new(Limits::default());
//! relay.add_upstream(stream, publisher)?;
//! relay.subscribe(watcher, stream, LayerPolicy::UNCAPPED, StripeSet::ALL)?;
//!
//! // A sealed chunk: 52 bytes of header that the relay reads, and content that it can't.
//! let mut chunk = vec![0xaa; 100];
//! chunk[..32].copy_from_slice(&[7; 32]);
//! chunk[32..52].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
//!
//! // It came over a link whose transport authenticates.
//! let link = HopReceiver::<AwsLc>::new(HopSuite::TransportSealed);
//! relay.handle_chunks(publisher, [link.take_whole(Bytes::from(chunk))?])?;
//!
//! let transmit = relay.poll_transmit().expect("one subscriber, one chunk");
//! assert_eq!((transmit.link, transmit.chunks.len()), (watcher, 1));
//! assert!(relay.poll_transmit().is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cache;
mod error;
mod relay;
mod stream;

pub use error::Error;
pub use relay::{Limits, Relay, Stats, Transmit};
