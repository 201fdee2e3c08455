//! What a stream carries.

use av_wire::ObjectFlags;
use av_wire::proof::ProverConfig;
use core_types::{CodecId, ObjectClass};

/// Which of a publisher's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StreamKind {
    /// Pictures, as fountain symbols.
    Video,
    /// Sound, as objects with units of repair for those before them.
    Audio,
}

impl StreamKind {
    /// The codec of its chunks, where it is not in several descriptions.
    pub const fn codec(self) -> CodecId {
        match self {
            Self::Video => CodecId::Av1,
            Self::Audio => CodecId::Opus,
        }
    }

    /// What an object with these flags is to a decoder, for the marks of its chunks (spec 20 section 2). A decoder can start
    /// with any packet of sound.
    pub const fn class(self, flags: ObjectFlags) -> ObjectClass {
        match (self, flags) {
            (Self::Audio, _) | (Self::Video, ObjectFlags { key_frame: true, .. }) => ObjectClass::KeyFrame,
            (Self::Video, ObjectFlags { discardable: true, .. }) => ObjectClass::Discardable,
            (Self::Video, _) => ObjectClass::Plain,
        }
    }

    /// How often its objects are proven, and how finely (spec 25 section 4).
    pub const fn proofs(self) -> ProverConfig {
        match self {
            Self::Video => ProverConfig::VIDEO,
            Self::Audio => ProverConfig::AUDIO,
        }
    }
}
