//! Decoded sound on its way out, with what was played just before it.

use super::SoundSource;
use crate::stretch::{self, Demand};
use std::collections::VecDeque;

/// Interleaved PCM at 48 kHz.
#[derive(Debug)]
pub(super) struct PcmBuffer {
    pcm: Vec<i16>,
    /// The frame that is played next.
    next: usize,
    channels: usize,
    /// Where the frames from `next` on came from: frames, source, and what the packet said of a voice.
    origins: VecDeque<Origin>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    pub(super) frames: usize,
    pub(super) source: SoundSource,
    pub(super) voice: Option<bool>,
}

impl PcmBuffer {
    /// Frames of the past that are kept.
    const PAST: usize = stretch::LONGEST;

    pub(super) fn new(channels: usize) -> Self {
        Self { pcm: vec![0; Self::PAST * channels], next: Self::PAST, channels, origins: VecDeque::new() }
    }

    /// Frames that are still to be played.
    pub(super) fn ahead(&self) -> usize {
        self.pcm.len() / self.channels - self.next
    }

    pub(super) fn append(&mut self, pcm: &[i16], source: SoundSource, voice: Option<bool>) {
        self.pcm.extend_from_slice(pcm);
        self.origins.push_back(Origin { frames: pcm.len() / self.channels, source, voice });
    }

    /// Takes out `frames`, which must be there, and says what the worst of it came from.
    pub(super) fn take(&mut self, frames: usize) -> (Vec<i16>, Origin) {
        let frames = frames.min(self.ahead());
        let pcm = self.pcm[self.next * self.channels..(self.next + frames) * self.channels].to_vec();
        self.next += frames;
        let spent = self.next.saturating_sub(Self::PAST);
        self.pcm.drain(..spent * self.channels);
        self.next -= spent;
        (pcm, self.spend(frames))
    }

    /// Takes out about a period; returns frames less.
    pub(super) fn shrink(&mut self, demand: Demand) -> usize {
        let by = stretch::shrink(&mut self.pcm, self.next, self.channels, demand);
        self.spend(by);
        by
    }

    /// Puts in about a period; returns frames more.
    pub(super) fn grow(&mut self, demand: Demand) -> usize {
        let by = stretch::grow(&mut self.pcm, self.next, self.channels, demand);
        if by > 0 {
            match self.origins.front_mut() {
                Some(first) => first.frames += by,
                None => {
                    self.origins.push_back(Origin {
                        frames: by,
                        source: SoundSource::Concealment,
                        voice: None,
                    });
                }
            }
        }
        by
    }

    /// Drops what is still to be played.
    pub(super) fn clear_ahead(&mut self) {
        self.pcm.truncate(self.next * self.channels);
        self.origins.clear();
    }

    fn spend(&mut self, frames: usize) -> Origin {
        let mut left = frames;
        let mut worst = Origin { frames, source: SoundSource::Packet, voice: None };
        while left > 0 {
            let Some(first) = self.origins.front_mut() else {
                break;
            };
            let used = left.min(first.frames);
            worst.source = worst.source.max(first.source);
            worst.voice = match (worst.voice, first.voice) {
                (Some(a), Some(b)) => Some(a || b),
                (a, b) => a.or(b),
            };
            first.frames -= used;
            left -= used;
            if first.frames == 0 {
                self.origins.pop_front();
            }
        }
        worst
    }
}
