//! A media relay: takes sealed chunks in and says which of them go to which link. It has no way to content keys: this
//! crate can't name one, and `cargo xtask deps` keeps it so.
//!
//! The relay is a state machine without sockets or clocks. What comes in is put into one ring for each stream, which is at once
//! every subscriber's queue, the cache for late joiners and the one for repair; a subscriber is a place in that ring and what
//! was decided about the objects around it. So nothing is queued, copied or allocated for a subscriber.
//!
//! # What to call when
//! - Links: [`Relay::add_link`], [`Relay::remove_link`]; streams: [`Relay::carry`], [`Relay::add_upstream`]; what a link may
//!   have: [`Relay::set_permission`]; what it wants: [`Relay::subscribe`].
//! - Chunks reach [`Relay::handle_chunks`] as [`FreshChunk`](av_wire::FreshChunk)s: authenticated on their link and checked
//!   for replay there. Only a stream's upstream links may feed it: a stranger's or a subscriber's chunk is refused before it
//!   can touch the dedup window.
//! - **Drain rule**: after every call, [`Relay::poll_ready`] until it gives `None`, and for each link [`Relay::pull`] with what
//!   the link has room for, whose chunks are sent at once and in order; then [`Relay::poll_upstream`] and
//!   [`Relay::poll_event`] until they give `None`. [`Relay::resume`] when a link has room again. [`Relay::handle_timeout`]
//!   when [`Relay::poll_timeout`] is due.
//!
//! ```
//! use av_relay::{Carriage, Limits, Quota, Relay, StartAt};
//! use av_wire::{AwsLc, HopReceiver, HopSuite};
//! use bytes::Bytes;
//! use core_types::{CodecId, KeyId, LayerPolicy, LinkId, MonoTime, StreamId, StripeSet};
//!
//! let (publisher, watcher, stream) = (LinkId(1), LinkId(2), StreamId([7; 32]));
//! let now = MonoTime::from_millis(1);
//! let mut relay = Relay::new(Limits::default());
//! relay.add_link(publisher, KeyId([1; 32]), Quota::UNLIMITED)?;
//! relay.add_link(watcher, KeyId([2; 32]), Quota::UNLIMITED)?;
//! relay.carry(stream, Carriage::forever(CodecId::Av1))?;
//! relay.add_upstream(stream, publisher)?;
//! relay.subscribe(now, watcher, stream, LayerPolicy::UNCAPPED, StripeSet::ALL, StartAt::KeyFrameGroup)?;
//!
//! // A sealed chunk: 52 bytes of header that the relay reads, and content that it can't.
//! let mut chunk = vec![0xaa; 100];
//! chunk[..32].copy_from_slice(&[7; 32]);
//! chunk[32..52].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0x70]);
//!
//! // It came over a link whose transport authenticates.
//! let link = HopReceiver::<AwsLc>::new(HopSuite::TransportSealed);
//! relay.handle_chunks(now, publisher, [link.take_whole(Bytes::from(chunk))?])?;
//!
//! assert_eq!(relay.poll_ready(), Some(watcher));
//! let burst = relay.pull(now, watcher, 64_000, 64);
//! assert_eq!((burst.len(), burst.bytes()), (1, 100));
//! for chunk in burst.iter() {
//!     assert!(chunk.header().marks.is_key_frame()); // seal it for the link, and send it
//! }
//! assert_eq!(relay.poll_ready(), None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Who gets what
//! A subscriber has a set of layers. An object is forwarded whole or not at all; that is decided at its first chunk, by:
//! 1. **Policy**. Layers above the cap are not begun any more as soon as the cap is set; what was begun is finished.
//! 2. **What it has**. An object can be decoded by those who have its layer and all layers below of which anything came since
//!    the last key frame of the base that could be referred to. A layer is taken up at an object that is marked as switch point
//!    or key frame, or is the first of its layer since that key frame but for discardable ones; the base at its key frames
//!    alone. So a cap that is raised costs no freeze.
//! 3. **Backlog**: see below.
//!
//! Layers below are forwarded whatever happens to those above. When nothing comes of a layer for three pictures of the base, or
//! for 150 ms while the base goes on, it counts as gone: [`Relay::effective_layer`] and [`Event::EffectiveLayer`] name the next
//! lower one from then on, which was forwarded all the time. When it is back, who had it has it: nothing was missed.
//!
//! # What is shed
//! All of this is decided when a link is served: for one that has no room, when it has some again. Until then nothing is kept
//! for it but its place; should the ring go past that, it goes on with the next key frame.
//!
//! A subscriber is behind when more waits for it than `backlog_bytes`, or something older than `backlog_age`; both count by
//! stream. In this order, each class only when those before it were not enough:
//!
//! | class | shed when it is older than | and as long as the bytes of it and of the classes below exceed the limit |
//! |---|---|---|
//! | repair symbols | 1/4 of the age | all classes |
//! | discardable objects | 1/2 | without repair |
//! | layers above the base, from the top: by spatial, then quality, then temporal | between 1/2 and 1 | without layers above it |
//! | the base: objects that stand alone | 1 | the base alone |
//! | the base: others | 2, and what a key frame was late | the base alone |
//!
//! When an object is shed that others may refer to, its layer and those above it are withheld until they can be taken up again;
//! and not while the subscriber is behind. When one of the base is shed, that is the next key frame, which is asked for. An
//! object that was begun goes on, until it is four times as old as the limit; a key frame of the base goes on in any case: half
//! of one is of no use, and on a slow link it takes long. What is held up behind it is not late on that account, as long as the
//! subscriber catches up.
//!
//! # Late joiners
//! With [`StartAt::KeyFrameGroup`] a subscriber of a video stream starts with the last key frame if the ring still has everything
//! from there on, without what could be discarded, and not as one that is behind; otherwise with the next one, which is asked
//! for. With [`StartAt::Kept`] it does so if what is kept is of an epoch that it can open, and live otherwise: each of several
//! parents sends its stripes of it. With [`StartAt::Live`] it starts with the next chunk, as if it had had everything before from
//! somebody else: for a parent that takes over.

mod bits;
mod error;
mod event;
mod layers;
mod limits;
mod link;
mod meter;
mod objects;
mod relay;
mod ring;
mod serve;
mod stats;
mod stream;
mod subscription;

pub use error::{Error, WrongChunk};
pub use event::{Ended, Event, Measure, Upstream};
pub use limits::{Carriage, Limits, Permission, Quota, StartAt, Streams};
pub use relay::{Burst, Relay, Rest};
pub use stats::{Shed, Stats};
