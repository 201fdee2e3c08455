//! The stream, as a lane's owner sees it.

use super::Lane;

impl Lane {
    /// Bytes that [`Lane::write_stream`] takes now: more when the peer has acknowledged some. 0 after the lane's end, and without
    /// [`LaneConfig::stream`](crate::LaneConfig::stream).
    pub fn stream_room(&self) -> usize {
        if self.is_over() { 0 } else { self.stream.send.room() }
    }

    /// Adds bytes to the stream, as many as there is room for, and says how many. They go out once the peer has proven its
    /// address, and again until they have come; [`Lane::poll_transmit`] has them.
    pub fn write_stream(&mut self, bytes: &[u8]) -> usize {
        if self.is_over() { 0 } else { self.stream.send.write(bytes) }
    }

    /// Bytes written that the peer has not acknowledged. What is not acknowledged when a lane is closed may be lost.
    pub fn stream_waiting(&self) -> usize {
        self.stream.send.waiting()
    }

    /// Bytes of the peer's stream that can be read, also after the lane's end.
    pub fn stream_readable(&self) -> usize {
        self.stream.receive.readable()
    }

    /// Takes bytes of the peer's stream, in order, and says how many. What is not taken keeps the peer from sending more, and
    /// nobody else.
    pub fn read_stream(&mut self, out: &mut [u8]) -> usize {
        self.stream.receive.read(out)
    }

    /// Bytes of the stream that were sent more than once.
    pub const fn stream_repeated(&self) -> u64 {
        self.stream.send.repeated
    }
}
