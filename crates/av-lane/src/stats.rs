//! Counters of a lane.

/// What a lane did since it began. They only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LaneStats {
    /// Media datagrams sealed.
    pub sent_datagrams: u64,
    /// Their bytes, hop headers and tags included.
    pub sent_bytes: u64,
    /// Chunks left out of bursts because their datagrams would be too long for the lane, or because they are no chunks.
    pub left_out: u64,
    /// Media datagrams taken.
    pub received_datagrams: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Of what was sent, what the peer said had come.
    pub arrived_datagrams: u64,
    /// Numbers up to the highest that the peer named which had not come when it said so.
    pub missing_datagrams: u64,
    /// Control packets made.
    pub sent_control: u64,
    /// Control packets taken.
    pub received_control: u64,
    /// Reports taken.
    pub reports: u64,
    /// Datagrams with a form that a lane's datagrams do not have, or of another lane.
    pub malformed: u64,
    /// Datagrams whose tag does not fit.
    pub forged: u64,
    /// Datagrams that came twice, or too late to tell.
    pub repeated: u64,
    /// Datagrams whose compact header stood for nothing.
    pub unbound: u64,
    /// Rules that the peer broke.
    pub misbehaved: u64,
    /// Moves of the peer to another address.
    pub moves: u64,
}
