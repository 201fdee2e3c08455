//! How loud sound is, and whether somebody speaks: what a view of the current speaker is made from.
//!
//! All in integers, so that every machine decides alike.

/// How far below the loudest possible square wave sound is, in decibels, as in RFC 6464: 0 is loudest, 127 is silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AudioLevel(u8);

impl AudioLevel {
    /// Nothing.
    pub const SILENCE: Self = Self(127);

    /// The level of PCM, all channels together; silence if there is none.
    pub fn of(pcm: &[i16]) -> Self {
        Self::from_log(log_power(pcm))
    }

    /// Decibels below the loudest: 0 to 127.
    pub const fn below_loudest(self) -> u8 {
        self.0
    }

    fn from_log(log: i32) -> Self {
        // Ten times the logarithm to base ten of 2 is 3.0103; the loudest is 2^30.
        let decibels = (i64::from(FULL - log) * 30_103 + 1_280_000) / 2_560_000;
        Self(decibels.clamp(0, 127) as u8)
    }
}

/// What there is to say of a piece of sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Activity {
    /// Its level.
    pub level: AudioLevel,
    /// Whether somebody speaks, or has just stopped.
    pub is_voice: bool,
}

/// Tells speech from what is always there, piece by piece of 10 ms: speech is louder than the background by a margin, and for
/// longer than a click. The background follows what is quietest at once, and what is louder at 3 dB a second.
#[derive(Debug, Clone, Copy)]
pub struct VoiceActivity {
    /// The background, as [`log_power`].
    background: i32,
    /// Pieces in a row that were loud.
    loud: u32,
    /// Pieces for which it still counts as speech.
    hold: u32,
}

/// A factor of two in power, 3 dB.
const OCTAVE: i32 = 256;
const FULL: i32 = 30 * OCTAVE;

impl VoiceActivity {
    /// Louder than the background by 9 dB to begin, by 5 dB to go on.
    const BEGIN: i32 = 3 * OCTAVE;
    const GO_ON: i32 = 5 * OCTAVE / 3;
    /// 30 ms to begin; 300 ms until it ends.
    const ATTACK: u32 = 3;
    const HOLD: u32 = 30;
    /// 60 dB below the loudest: quieter than that is no speech, whatever the background.
    const LEAST: i32 = FULL - 20 * OCTAVE;
    /// In 10 ms.
    const RISE: i32 = 3;

    /// Nothing heard yet: what comes first is taken for the background until something quieter does.
    pub const fn new() -> Self {
        Self { background: FULL, loud: 0, hold: 0 }
    }

    /// Takes the next 10 ms. `coded` is what the packet's own flag says ([`OpusPacket::voice`](crate::OpusPacket::voice)): without
    /// a voice there it does not begin, nor go on.
    pub fn update(&mut self, pcm: &[i16], coded: Option<bool>) -> Activity {
        let log = log_power(pcm);
        let margin = if self.hold > 0 { Self::GO_ON } else { Self::BEGIN };
        let is_loud = log > Self::LEAST && log > self.background + margin && coded != Some(false);
        self.loud = if is_loud { (self.loud + 1).min(Self::ATTACK) } else { 0 };
        if self.loud >= Self::ATTACK || (is_loud && self.hold > 0) {
            self.hold = Self::HOLD;
        } else {
            self.hold = self.hold.saturating_sub(1);
        }
        self.background = if log < self.background { log } else { (self.background + Self::RISE).min(log) };
        Activity { level: AudioLevel::from_log(log), is_voice: self.hold > 0 }
    }
}

impl Default for VoiceActivity {
    fn default() -> Self {
        Self::new()
    }
}

/// The logarithm to base two of the mean square, in 1/256; 0 for silence, at most [`FULL`].
fn log_power(pcm: &[i16]) -> i32 {
    let sum: u64 = pcm.iter().map(|sample| u64::from(sample.unsigned_abs()).pow(2)).sum();
    let mean = sum / (pcm.len() as u64).max(1);
    if mean == 0 {
        return 0;
    }
    let whole = mean.ilog2();
    // One bit at a time: squaring a number between 1 and 2 gives the next bit of its logarithm.
    let mut mantissa = mean << (31 - whole);
    let mut log = whole as i32;
    for _ in 0..8 {
        mantissa = (mantissa * mantissa) >> 31;
        let bit = mantissa >> 32;
        mantissa >>= bit;
        log = 2 * log + bit as i32;
    }
    log
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(amplitude: i16) -> Vec<i16> {
        (0..480).map(|n| if n / 40 % 2 == 0 { amplitude } else { -amplitude }).collect()
    }

    #[test]
    fn levels_are_decibels() {
        for amplitude in [1i16, 3, 10, 57, 200, 1_000, 4_711, 16_384, i16::MAX] {
            let expected = -20.0 * (f64::from(amplitude) / 32_768.0).log10();
            let level = f64::from(AudioLevel::of(&square(amplitude)).below_loudest());
            assert!((level - expected).abs() <= 0.6, "{amplitude}: {level} and not {expected:.2}");
        }
        assert_eq!(AudioLevel::of(&[i16::MIN; 480]).below_loudest(), 0);
        assert!(AudioLevel::of(&[0; 480]).below_loudest() >= 90);
        assert_eq!(AudioLevel::of(&[]), AudioLevel::of(&[0]));
    }

    /// Feeds pieces at an amplitude and returns how many of them counted as speech.
    fn heard(vad: &mut VoiceActivity, amplitude: i16, pieces: usize, coded: Option<bool>) -> usize {
        (0..pieces).filter(|_| vad.update(&square(amplitude), coded).is_voice).count()
    }

    #[test]
    fn speech_begins_after_a_moment_and_ends_after_a_while() {
        let mut vad = VoiceActivity::new();
        assert_eq!(heard(&mut vad, 60, 100, None), 0, "a background hum");
        assert_eq!(heard(&mut vad, 4_000, 2, None), 0, "a click");
        heard(&mut vad, 60, 10, None);
        assert_eq!(heard(&mut vad, 4_000, 100, None), 98);
        assert_eq!(heard(&mut vad, 60, 100, None), 29, "held while one draws breath");
    }

    #[test]
    fn a_louder_background_stops_counting_as_speech() {
        let mut vad = VoiceActivity::new();
        heard(&mut vad, 60, 500, None);
        assert!(heard(&mut vad, 400, 100, None) > 90);
        heard(&mut vad, 400, 2_000, None);
        assert_eq!(heard(&mut vad, 400, 100, None), 0);
    }

    #[test]
    fn what_the_packet_says_counts() {
        let mut vad = VoiceActivity::new();
        heard(&mut vad, 60, 1, None);
        assert_eq!(heard(&mut vad, 4_000, 100, Some(false)), 0);
        assert_eq!(heard(&mut vad, 4_000, 100, Some(true)), 98);
    }
}
