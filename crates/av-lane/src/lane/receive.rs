//! Datagrams that come in.

use super::Lane;
use crate::{Error, Noise};
use av_wire::{Fresh, LinkRefusal, is_carrier_packet};
use core_types::MonoTime;
use std::net::SocketAddr;

/// What a datagram was.
#[derive(Debug)]
pub enum Received<'a> {
    /// A chunk: authentic, and not taken on this lane before.
    Chunk(Fresh<'a>),
    /// A packet of the lane itself. There may be more to send now: see [`Lane::budget`].
    Control,
    /// The same, and there is more of the peer's stream to be read: see [`Lane::read_stream`].
    Stream,
}

impl Lane {
    /// Takes a datagram that came from `from`. It is opened in place, authenticated first, then checked for replay; only then
    /// does it change anything but a counter of [`Lane::stats`].
    ///
    /// # Errors
    /// [`Error::Noise`] for what anybody could have sent: drop it. [`Error::Misbehaved`] for what the peer itself did wrong: close
    /// the lane. [`Error::Over`] after the lane's end.
    pub fn handle_datagram<'a>(
        &mut self,
        now: MonoTime,
        from: SocketAddr,
        datagram: &'a mut [u8],
    ) -> Result<Received<'a>, Error> {
        if self.is_over() {
            return Err(Error::Over(self.id));
        }
        if is_carrier_packet(datagram) {
            return match self.handle_control(now, from, datagram) {
                Ok(true) => Ok(Received::Stream),
                Ok(false) => Ok(Received::Control),
                Err(error) => Err(self.counted(error)),
            };
        }
        match self.receiver.open(datagram) {
            Ok(fresh) => {
                let highest = self.receiver.highest().unwrap_or_default().0;
                self.inbound.take(now, highest, fresh.carried());
                self.stats.received_datagrams += 1;
                self.stats.received_bytes += fresh.carried() as u64;
                self.heard(now);
                Ok(Received::Chunk(fresh))
            }
            Err(error) => {
                let error = self.refused(&error);
                Err(self.counted(error))
            }
        }
    }

    fn refused(&self, error: &av_wire::Error) -> Error {
        let why = match error {
            av_wire::Error::Link { why, .. } => match why {
                LinkRefusal::NotAuthentic => Noise::NotAuthentic,
                LinkRefusal::Replayed => Noise::Replayed,
                LinkRefusal::Unbound => Noise::Unbound,
                LinkRefusal::AliasInUse => {
                    return Error::Misbehaved {
                        lane: self.id,
                        what: "it bound an alias that is in use to another stream",
                    };
                }
                _ => Noise::Malformed,
            },
            _ => Noise::Malformed,
        };
        Error::Noise { lane: self.id, why }
    }

    fn counted(&mut self, error: Error) -> Error {
        match &error {
            Error::Noise { why: Noise::NotAuthentic, .. } => self.stats.forged += 1,
            Error::Noise { why: Noise::Replayed, .. } => self.stats.repeated += 1,
            Error::Noise { why: Noise::Unbound, .. } => {
                self.stats.unbound += 1;
                self.inbound.miss();
            }
            Error::Noise { .. } => self.stats.malformed += 1,
            Error::Misbehaved { .. } => self.stats.misbehaved += 1,
            _ => {}
        }
        error
    }
}
