//! What the encoder is told, and what of it makes sense.

use core::ffi::c_int;

use crate::Error;

/// What an encoder is opened with. A stream of one spatial and one temporal layer is not layered: libaom then chooses its references.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncoderSettings {
    /// Width in pixels: even, 16 to 4096.
    pub width: u16,
    /// Height in pixels, likewise.
    pub height: u16,
    /// Threads that libaom may use: 1 to 64. One is the calling thread alone, and so it is for several spatial layers above 4096x2304.
    pub threads: u8,
    /// What each spatial layer's sides are divided by, from the lowest up: one to three of them; the last has to be 1.
    pub spatial: Vec<u8>,
    /// How many temporal layers there are: 1 to 3. Each has half the pictures of the one above it.
    pub temporal: u8,
}

/// The rate of one layer. There is one for each spatial and each temporal layer, in the order (0,0), (0,1), … (1,0), …; each counts the
/// temporal layers below it in, and no other spatial layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerRate {
    /// Thousands of bits a second: 1 to 1,000,000.
    pub kbit: u32,
}

/// What to make of a picture in one layer, and of which pictures. libaom keeps eight pictures, in slots 0 to 7; a key frame goes into
/// all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameOrder {
    /// The spatial layer.
    pub spatial: u8,
    /// The temporal layer.
    pub temporal: u8,
    /// A key frame: of spatial layer 0 only. Whatever it refers to and refreshes is then not looked at.
    pub key: bool,
    /// The slots that it may refer to, at most two; the first is where the coder's statistics go on from, if that is of the same spatial
    /// layer. Not looked at in a stream that is not layered.
    pub refers_to: Vec<u8>,
    /// The slot that it goes into, if any. Likewise.
    pub refreshes: Option<u8>,
    /// It has to be decoded the same whatever is in the slots that it does not refer to. Otherwise its size may be told as that of what
    /// it replaces.
    pub resilient: bool,
}

impl EncoderSettings {
    /// True if there is more than one layer.
    pub fn is_layered(&self) -> bool {
        self.spatial.len() > 1 || self.temporal > 1
    }

    /// Pictures of several sizes have to have the same number of tiles, or libaom's threads use memory that was not allocated for them
    /// (`allocated_tile_cols` in 3.11 is not that of the last allocation). So there is one tile then, whose rows are shared out.
    pub(crate) const fn tile_columns_log2(&self) -> u32 {
        if self.spatial.len() > 1 { 0 } else { self.threads.ilog2() }
    }

    /// Larger pictures than this have several tiles by specification (section 5.9.15).
    pub(crate) fn used_threads(&self) -> u8 {
        const MAX_TILE_AREA: usize = 4096 * 2304;
        let one_tile = usize::from(self.width) * usize::from(self.height) <= MAX_TILE_AREA;
        if self.spatial.len() > 1 && !one_tile { 1 } else { self.threads }
    }

    /// libaom's speed preset: the fastest that looks on when its first try at a block seems good enough.
    ///
    /// Whether it does libaom tells by sums over the whole block (`set_early_term_based_on_uv_plane` in 3.11), and where light and dark have
    /// changed places, as when a bar moves on in a menu, they say that nothing has: the block stays as it was. With speed 10 below 1080
    /// lines, and with 9 below 360, it stops there (`nonrd_aggressive_skip`); with those below it other tries follow, and a block is
    /// hardly ever left so. Not so in pictures that nothing refers to. Streams in several resolutions keep to 10: they are coded by other
    /// rules, by which it is rare in what is not small, and the time counts once for each.
    pub(crate) fn speed(&self) -> c_int {
        match self.width.min(self.height) {
            _ if self.spatial.len() > 1 => 10,
            ..360 => 8,
            360..1080 => 9,
            1080.. => 10,
        }
    }

    /// Bytes of a picture.
    pub(crate) fn bytes(&self) -> usize {
        usize::from(self.width) * usize::from(self.height) * 3 / 2
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let side = |side: u16| (16..=4096).contains(&side) && side.is_multiple_of(2);
        if !side(self.width) || !side(self.height) {
            return Err(Error::Setting("sides are even and 16 to 4096"));
        }
        if !(1..=64).contains(&self.threads) {
            return Err(Error::Setting("1 to 64 threads"));
        }
        if !(1..=3).contains(&self.spatial.len()) || !(1..=3).contains(&self.temporal) {
            return Err(Error::Setting("one to three layers of a kind"));
        }
        if self.spatial.last() != Some(&1) || self.spatial.iter().any(|den| !(1..=8).contains(den)) {
            return Err(Error::Setting("layers are divided by 1 to 8, the highest by 1"));
        }
        Ok(())
    }

    /// The sum over the spatial layers.
    pub(crate) fn total_kbit(&self, rates: &[LayerRate]) -> Result<u32, Error> {
        let temporal = usize::from(self.temporal);
        if rates.len() != self.spatial.len() * temporal {
            return Err(Error::Setting("one rate for each layer"));
        }
        if rates.iter().any(|rate| !(1..=1_000_000).contains(&rate.kbit)) {
            return Err(Error::Setting("rates are 1 to 1,000,000 kbit/s"));
        }
        Ok(rates.chunks(temporal).filter_map(|layer| layer.last()).map(|rate| rate.kbit).sum())
    }
}

impl FrameOrder {
    /// Of a stream that is not layered.
    pub const fn plain(key: bool) -> Self {
        Self { spatial: 0, temporal: 0, key, refers_to: Vec::new(), refreshes: None, resilient: false }
    }

    pub(crate) fn check(&self, settings: &EncoderSettings) -> Result<(), Error> {
        if usize::from(self.spatial) >= settings.spatial.len() || self.temporal >= settings.temporal {
            return Err(Error::Setting("a layer that there is not"));
        }
        if self.key && self.spatial > 0 {
            return Err(Error::Setting("key frames are of spatial layer 0"));
        }
        if self.refers_to.len() > 2 || self.refers_to.iter().chain(&self.refreshes).any(|slot| *slot > 7) {
            return Err(Error::Setting("at most two slots, of 0 to 7"));
        }
        if settings.is_layered() && !self.key && self.refers_to.is_empty() {
            return Err(Error::Setting("what is no key frame refers to something"));
        }
        Ok(())
    }
}
