//! The pictures of a session, in one stream or in several descriptions.

use super::described::DescribedPlayer;
use super::receive::Received;
use super::sink::Sink;
use super::video::{VideoPlayer, VideoStats};
use crate::{Error, descriptions};
use av_wire::{Media, StreamAnnounce};
use codec_mdc::Description;
use std::time::{Duration, Instant};

/// Plays them.
pub(super) enum Pictures {
    Plain(Box<VideoPlayer>),
    /// With the announcement that came last.
    Described(Box<DescribedPlayer>, Box<StreamAnnounce>),
}

impl Pictures {
    /// A stream of pictures is there: one description more of what is played, or something new. What is no video changes nothing.
    ///
    /// # Errors
    /// [`Error::Codec`] for a description whose label names none.
    pub(super) fn announced(
        current: Option<Self>,
        announce: &StreamAnnounce,
        delay: Duration,
    ) -> Result<Option<Self>, Error> {
        let Media::Video { size, rate } = announce.media else { return Ok(current) };
        let description = descriptions::of_stream(announce).map_err(|why| Error::codec("stream", why))?;
        let Some(description) = description else {
            return Ok(Some(Self::Plain(Box::new(VideoPlayer::new(size, rate, delay)))));
        };
        let mut player = match current {
            Some(Self::Described(player, before)) if descriptions::are_together(&before, announce) => player,
            _ => Box::new(DescribedPlayer::new(description.of(), size, rate, delay)),
        };
        player.announce(description);
        Ok(Some(Self::Described(player, Box::new(announce.clone()))))
    }

    pub(super) fn push(&mut self, object: Received) {
        match self {
            Self::Plain(player) => player.push(object),
            Self::Described(player, _) => player.push(object),
        }
    }

    /// Some of what came was left out: goes on with the next key frame, and with nothing that came before.
    pub(super) fn restart(&mut self) {
        match self {
            Self::Plain(player) => player.restart(),
            Self::Described(player, _) => player.restart(),
        }
    }

    /// Decodes what can be decoded, and says of each key frame that is needed of which description it is to be.
    pub(super) fn decode(
        &mut self,
        now: Instant,
        sinks: &mut [Box<dyn Sink>],
    ) -> Result<Vec<Option<Description>>, Error> {
        Ok(match self {
            Self::Plain(player) => player.decode(now, sinks)?.then_some(None).into_iter().collect(),
            Self::Described(player, _) => player.decode(now, sinks)?.into_iter().map(Some).collect(),
        })
    }

    /// Shows what is due.
    pub(super) fn show(&mut self, now: Instant, sinks: &mut [Box<dyn Sink>]) -> Result<(), Error> {
        match self {
            Self::Plain(player) => player.show(now, sinks),
            Self::Described(player, _) => player.show(now, sinks),
        }
    }

    pub(super) fn stats(&self) -> VideoStats {
        match self {
            Self::Plain(player) => player.stats,
            Self::Described(player, _) => player.stats,
        }
    }

    /// When pictures of media time 0 are to be shown, as far as pictures alone tell.
    pub(super) fn zero(&self) -> Option<Instant> {
        match self {
            Self::Plain(player) => player.zero(),
            Self::Described(player, _) => player.zero(),
        }
    }

    /// Sound of media time 0 is heard then.
    pub(super) fn follow(&mut self, sound: Option<Instant>) {
        match self {
            Self::Plain(player) => player.follow(sound),
            Self::Described(player, _) => player.follow(sound),
        }
    }

    /// When there is something to do next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        match self {
            Self::Plain(player) => player.next_due(),
            Self::Described(player, _) => player.next_due(),
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        match self {
            Self::Plain(player) => player.is_idle(),
            Self::Described(player, _) => player.is_idle(),
        }
    }
}
