//! The first byte of every payload (spec 68 section 2).

use crate::{Description, Descriptions, Error, FrameNumber};

/// How the descriptions of a stream are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Head {
    Alternating,
    Priority,
}

impl Head {
    #[cfg(any(feature = "libaom", test))]
    pub(crate) const fn byte(self, description: Description) -> u8 {
        let scheme = match self {
            Self::Alternating => 1,
            Self::Priority => 2,
        };
        scheme << 4 | (description.of().count() as u8 - 1) << 2 | description.index() as u8
    }

    /// How the payload was made, and what follows the byte.
    ///
    /// # Errors
    /// [`Error::Payload`] if the byte is none of these, or of another description than it came as.
    pub(crate) fn read(
        payload: &[u8],
        description: Description,
        frame: FrameNumber,
    ) -> Result<(Self, &[u8]), Error> {
        let refused = |why| Error::Payload { description, frame, why };
        let (&byte, body) = payload.split_first().ok_or(refused("it is empty"))?;
        let scheme = match byte >> 4 {
            1 => Self::Alternating,
            2 => Self::Priority,
            _ => return Err(refused("an unknown kind of descriptions")),
        };
        let of = Descriptions::new(usize::from(byte >> 2 & 3) + 1);
        if of.and_then(|of| of.get((byte & 3).into())) != Ok(description) {
            return Err(refused("it is of another description than it came as"));
        }
        Ok((scheme, body))
    }
}
