//! Media that go out.

use super::{Lane, State};
use crate::times::LONG;
use crate::{Burst, Error, Failure};
use av_congestion::LinkEstimate;
use av_wire::{HopSender, LinkSeq, SealedChunk};
use core_types::{MonoTime, StreamId};

/// Bytes of a chunk's header, which the hop header replaces.
const HEADER: usize = av_wire::HEADER_LEN;
/// A datagram may be so much longer than its chunk.
const GROWTH: usize = HopSender::<av_wire::AwsLc>::MAX_GROWTH;

/// What [`Lane::seal_burst`] put into the buffer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sealed {
    /// Datagrams.
    pub datagrams: usize,
    /// Their bytes, hop headers and tags included.
    pub bytes: usize,
    /// Chunks left out because their datagrams would be longer than the lane's limit, or because they are no chunks.
    pub left_out: usize,
}

impl Lane {
    /// Bytes that may be sent now, hop headers and tags included: by the congestion controller's estimate of the path. 0 until
    /// the lane is ready.
    pub fn budget(&self, now: MonoTime) -> usize {
        if self.is_ready() { self.rate.budget(now) } else { 0 }
    }

    /// When so many bytes may be sent; `None` if only a report of the peer can make room.
    pub fn next_send_at(&self, now: MonoTime, bytes: usize) -> Option<MonoTime> {
        if self.is_ready() { self.rate.next_send_at(now, bytes) } else { None }
    }

    /// What is known of the path to the peer.
    pub fn estimate(&self, now: MonoTime) -> LinkEstimate {
        self.rate.estimate(now)
    }

    /// Says whether more waits to be sent than what is given to [`Lane::seal_burst`] from now on: only then does the rate at which
    /// it goes out say what the path carries. Without this the lane guesses by its budget, which is wrong for who drops what
    /// waits.
    pub const fn set_more_waits(&mut self, more: bool) {
        self.rate.set_more_waits(more);
    }

    /// Bytes that a chunk takes on the lane at most: for those who count against a budget before they seal.
    pub const fn datagram_len(chunk: &SealedChunk<'_>) -> usize {
        HEADER + chunk.body().len() + GROWTH
    }

    /// Seals chunks into the buffer, whose former content is gone, and counts them as sent: the caller sends what
    /// [`Burst::runs`] says, now. Takes chunks until there are no more, or the buffer holds
    /// [`MAX_BURST`](crate::MAX_BURST) datagrams; give `&mut` of an iterator to see what is left of it.
    ///
    /// What to send, and how much of it, is the caller's: see [`Lane::budget`]. The congestion controller is told.
    ///
    /// # Errors
    /// [`Error::NotReady`] until the peer has proven its address, [`Error::Over`] after the lane's end. The buffer is empty then.
    pub fn seal_burst<'c>(
        &mut self,
        now: MonoTime,
        chunks: impl IntoIterator<Item = SealedChunk<'c>>,
        out: &mut Burst,
    ) -> Result<Sealed, Error> {
        out.clear();
        match self.state {
            State::Ready => {}
            State::Settling => return Err(Error::NotReady(self.id)),
            State::Over => return Err(Error::Over(self.id)),
        }
        let mut sealed = Sealed::default();
        let mut long = 0;
        let mut rebound = None;
        let first = self.sender.next_seq();
        let mut chunks = chunks.into_iter();
        while !out.is_full()
            && let Some(chunk) = chunks.next()
        {
            let most = Self::datagram_len(&chunk);
            if most > self.max_datagram {
                sealed.left_out += 1;
                continue;
            }
            if self.say_whole {
                self.rebind(&chunk, &mut rebound);
            }
            match self.sender.seal_into(&chunk, out.room(most)) {
                Ok(len) => {
                    long += u64::from(len > LONG);
                    out.took(len);
                }
                Err(_) if self.sender.next_seq() >= LinkSeq::END => {
                    self.fail(Failure::Exhausted);
                    break;
                }
                Err(_) => sealed.left_out += 1,
            }
        }
        out.finish();
        (sealed.datagrams, sealed.bytes) = (out.len(), out.byte_len());
        self.stats.left_out += sealed.left_out as u64;
        if sealed.datagrams == 0 {
            return Ok(sealed);
        }
        if rebound.is_some() {
            self.say_whole = false;
        }
        self.stats.sent_datagrams += sealed.datagrams as u64;
        self.stats.sent_bytes += sealed.bytes as u64;
        self.watch.sent(sealed.datagrams as u64, long, now);
        self.rate.on_sent(now, first.0, sealed.datagrams, sealed.bytes, self.max_datagram);
        self.spoke = now;
        Ok(sealed)
    }

    /// The peer lost what binds the aliases: the streams of this burst say their whole headers again.
    #[cold]
    fn rebind(&mut self, chunk: &SealedChunk<'_>, rebound: &mut Option<StreamId>) {
        let stream = chunk.header().stream_id;
        if *rebound != Some(stream) {
            self.sender.rebind(stream);
            *rebound = Some(stream);
        }
    }
}
