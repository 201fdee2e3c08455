//! Which sound comes next: a packet's, or what stands in for one.

use super::queue::Waiting;
use super::{Playing, SoundPlayout, SoundSource};
use crate::stretch;
use crate::time::{duration, span};
use crate::{Error, FrameDuration};
use core::time::Duration;

/// What is decoded next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The first packet that waits.
    Packet,
    /// So many samples of a pause.
    Pause(i64),
    /// So many samples from the coarse copy of the first packet that waits.
    CoarseCopy(i64),
    /// So many samples from redundancy that reaches back to `head`, of the packet that starts so much later.
    Redundancy { before: i64, length: i64 },
    /// So many samples of concealment, while media time goes on.
    Conceal(i64),
    /// So many samples of concealment, while media time stands.
    Wait(i64),
}

impl SoundPlayout {
    /// 2.5 ms: gaps below it are none, and all stand-ins are multiples of it.
    const UNIT: i64 = 120;
    /// Stand-ins are made in steps of 20 ms at most.
    const STEP: i64 = 960;
    /// How many packets after a gap are asked for redundancy.
    const ASKED: usize = 4;
    /// Over how long what broke off fades into what comes instead.
    const JOINT: Duration = Duration::from_millis(5);

    /// Decodes until at least `frames` are ready.
    pub(super) fn fill(&mut self, frames: usize) -> Result<(), Error> {
        while self.buffer.ahead() < frames {
            self.drop_late();
            let Some(step) = self.next_step() else {
                return Ok(());
            };
            self.take(step)?;
        }
        Ok(())
    }

    /// Whether `frames` can be ready from packets alone, without a gap.
    pub(super) fn has_packets_for(&self, frames: usize) -> bool {
        let Some(mut head) = self.playing.map(|playing| playing.head) else {
            return false;
        };
        let mut missing = frames as i64 - self.buffer.ahead() as i64;
        for packet in self.queue.iter() {
            if missing <= 0 || packet.start - head >= Self::UNIT {
                break;
            }
            missing -= packet.end() - head;
            head = packet.end();
        }
        missing <= 0
    }

    fn drop_late(&mut self) {
        let Some(head) = self.playing.map(|playing| playing.head) else {
            return;
        };
        while self.queue.first().is_some_and(|first| first.end() <= head) {
            self.queue.pop();
            self.stats.late += 1;
        }
    }

    fn next_step(&mut self) -> Option<Step> {
        let playing = self.playing?;
        let Some(first) = self.queue.first() else {
            return Some(self.without_packets(playing));
        };
        let gap = first.start - playing.head;
        if gap < Self::UNIT {
            return Some(Step::Packet);
        }
        let whole = gap / Self::UNIT * Self::UNIT;
        if playing.last.is_none_or(|last| last.saturating_add(1) == first.seq.0) {
            return Some(Step::Pause(whole.min(Self::STEP)));
        }
        let copied = if first.has_coarse_copy { first.frame } else { 0 };
        // The copy stands for what is just before its packet, and for all of a frame.
        if copied > 0 && (copied..copied + Self::UNIT).contains(&gap) {
            return Some(Step::CoarseCopy(copied));
        }
        let before_copy = if copied > 0 && gap > copied { whole - copied } else { whole };
        let length = before_copy.clamp(Self::UNIT, Self::STEP);
        Some(match self.redundancy_at(playing.head) {
            Some(before) => Step::Redundancy { before, length },
            None => Step::Conceal(length),
        })
    }

    /// Nothing waits: late, lost, or not sent.
    fn without_packets(&self, playing: Playing) -> Step {
        let length = Self::STEP / 2;
        if playing.is_pause {
            Step::Pause(length)
        } else if self.excess() < 0 {
            Step::Wait(length)
        } else {
            Step::Conceal(length)
        }
    }

    /// Reads the redundancy of the first packet that reaches back to `head`, and says by how much it starts after that.
    fn redundancy_at(&mut self, head: i64) -> Option<i64> {
        for packet in self.queue.iter().take(Self::ASKED) {
            let before = packet.start - head;
            if before > Self::GAP {
                break;
            }
            // What can't be read is not there.
            let covered = self.decoder.read_redundancy(&packet.data, duration(before)).map_or(0, span);
            // Rounding of durations is no reason to go without.
            if covered + 1 >= before {
                return Some(before);
            }
        }
        None
    }

    fn take(&mut self, step: Step) -> Result<(), Error> {
        match step {
            Step::Packet => return self.take_packet(),
            Step::Pause(length) => {
                let pcm = self.decoder.conceal_for(duration(length))?;
                self.put(&pcm, SoundSource::Pause, length);
            }
            Step::CoarseCopy(length) => {
                let next = self.queue.first().map(|first| first.data.as_slice()).unwrap_or_default();
                match self.decoder.recover_for(next, length as usize) {
                    Ok(pcm) => self.put(&pcm, SoundSource::CoarseCopy, length),
                    Err(_) => return self.take(Step::Conceal(length)),
                }
            }
            Step::Redundancy { before, length } => {
                let pcm = self.decoder.redundant(duration(before), duration(length))?;
                self.put(&pcm, SoundSource::Redundancy, length);
            }
            Step::Conceal(length) => {
                let pcm = self.decoder.conceal_for(duration(length))?;
                self.put(&pcm, SoundSource::Concealment, length);
            }
            Step::Wait(length) => {
                let pcm = self.decoder.conceal_for(duration(length))?;
                self.put(&pcm, SoundSource::Concealment, 0);
                self.stats.add(SoundSource::Concealment, length);
            }
        }
        Ok(())
    }

    /// Appends what stands in for a packet; media time goes on by `length`.
    fn put(&mut self, pcm: &[i16], source: SoundSource, length: i64) {
        self.buffer.append(pcm, source, None);
        self.stats.add(source, length);
        if let Some(playing) = &mut self.playing {
            playing.head += length;
            playing.starved += (pcm.len() / self.config.channels.count()) as i64;
        }
    }

    fn take_packet(&mut self) -> Result<(), Error> {
        let (Some(packet), Some(playing)) = (self.queue.pop(), self.playing) else {
            return Ok(());
        };
        // Its beginning may have been stood in for already.
        let over = (playing.head - packet.start).max(0);
        let joint = if playing.is_broken || over >= Self::UNIT {
            self.decoder.conceal_for(Self::JOINT)?
        } else {
            Vec::new()
        };
        let channels = self.config.channels.count();
        let (mut pcm, source) = match self.decoder.decode(&packet.data) {
            Ok(pcm) => (pcm, source_of(&packet)),
            Err(error) if error.is_peer_fault() => {
                self.stats.malformed += 1;
                let length = duration(packet.length).max(FrameDuration::Ms2_5.duration());
                (self.decoder.conceal_for(length)?, SoundSource::Concealment)
            }
            Err(error) => return Err(error),
        };
        pcm.drain(..(over as usize * channels).min(pcm.len()));
        stretch::join(&joint, &mut pcm, channels);
        self.buffer.append(&pcm, source, packet.voice);
        self.stats.add(source, packet.length - over);
        self.playing = Some(Playing {
            head: packet.end().max(playing.head),
            last: Some(packet.seq.0),
            is_pause: packet.is_silence,
            starved: 0,
            is_broken: false,
            ..playing
        });
        Ok(())
    }
}

fn source_of(packet: &Waiting) -> SoundSource {
    if packet.is_silence {
        SoundSource::Pause
    } else if packet.was_repaired {
        SoundSource::Repaired
    } else {
        SoundSource::Packet
    }
}
