//! The stream beside the media of a lane: bytes in order, whole and once, for what two nodes say to each other (spec 37 section 10).

mod receive;
mod rtt;
mod send;

pub(crate) use receive::ReceiveHalf;
pub(crate) use send::{Segment, SendHalf};

use crate::control::{AckBody, MAX_LEN, OFFSET, OVERHEAD};
use core::time::Duration;
use core_types::MonoTime;

/// Bytes of a stream that one packet carries at most.
pub(crate) const SEGMENT: usize = MAX_LEN - OVERHEAD - OFFSET;
/// Bytes that wait at either end at most: to be acknowledged by the peer, and to be read.
pub(crate) const WINDOW: usize = 128 * 1024;
/// Packets that wait to be acknowledged at most.
const SEGMENTS: usize = 128;
/// Pieces that a receiver keeps apart at most: as many as there are when every second packet is lost.
const PIECES: usize = SEGMENTS / 2;
/// When nothing new was acknowledged for so long, though the peer is heard, the path does not let the stream through.
pub(crate) const STALLED_AFTER: Duration = Duration::from_secs(8);

/// Both directions.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) send: SendHalf,
    pub(crate) receive: ReceiveHalf,
}

impl Stream {
    /// A stream of which nothing was sent; `is_used` false is one that neither sends nor takes anything.
    pub(crate) const fn new(is_used: bool) -> Self {
        let window = if is_used { WINDOW } else { 0 };
        Self { send: SendHalf::new(window), receive: ReceiveHalf::new(window) }
    }

    /// When there is something to send or to be done.
    pub(crate) fn due(&self) -> Option<MonoTime> {
        if self.receive.wants_to_acknowledge() { Some(MonoTime(0)) } else { self.send.due() }
    }

    /// The acknowledgement that is to be sent, which counts as sent.
    pub(crate) fn acknowledgement(&mut self) -> Option<AckBody> {
        self.receive.wants_to_acknowledge().then(|| self.receive.acknowledge())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_is_not_used_costs_little_and_allocates_nothing() {
        assert!(size_of::<Stream>() <= 352, "{}", size_of::<Stream>());
        let ms = MonoTime::from_millis;
        let (mut from, mut to) = (Stream::new(true), Stream::new(true));
        from.send.write(&[7; 3_000]);
        while let Some(segment) = from.send.next_segment(ms(0)) {
            let mut bytes = vec![0; segment.len];
            from.send.copy(segment, &mut bytes);
            to.receive.take(segment.offset, &bytes).unwrap();
        }
        assert_eq!(to.receive.read(&mut [0; 4_000]), 3_000);
        from.send.acknowledged(ms(20), &to.acknowledgement().unwrap(), true).unwrap();
        assert_eq!((from.send.allocated(), to.receive.allocated()), (0, 0), "and none once it is over");
        assert_eq!((from.due(), to.due()), (None, None));
    }

    #[test]
    fn after_a_move_what_is_under_way_goes_out_again_at_once_and_little_of_it() {
        let ms = MonoTime::from_millis;
        let (mut from, mut to) = (Stream::new(true), Stream::new(true));
        from.send.write(&[7; WINDOW]);
        for at in 0..4 {
            // Windows of packets that come 10 ms later.
            while let Some(segment) = from.send.next_segment(ms(at * 10)) {
                to.receive.take(segment.offset, &vec![7; segment.len]).unwrap();
            }
            from.send.write(&vec![7; from.send.room()]);
            let ack = to.acknowledgement().unwrap();
            to.receive.read(&mut [0; WINDOW]);
            from.send.acknowledged(ms(at * 10 + 10), &ack, true).unwrap();
        }
        let first = core::iter::from_fn(|| from.send.next_segment(ms(40))).count();
        assert!(first >= 40, "it has found a wide path: {first}");
        from.send.restart(ms(41));
        assert!(from.due().is_some_and(|due| due <= ms(41)));
        from.send.handle_timeout(ms(41));
        let again = core::iter::from_fn(|| from.send.next_segment(ms(41))).count();
        assert_eq!((again, from.send.repeated), (2, 2 * SEGMENT as u64));
    }
}
