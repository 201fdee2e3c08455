//! The pictures of one description as they are coded, for whoever stores them without decoding.

use crate::alternating::Header;
use crate::head::Head;
use crate::{Description, Error, FrameNumber};

/// A picture of one description. Those of one description, with nothing else, are a stream of AV1 like any other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodedPicture {
    /// The frame whose picture it refers to; `None` for a key frame.
    pub refers_to: Option<FrameNumber>,
    /// Later ones may refer to it.
    pub is_kept: bool,
    /// The temporal unit, with the delimiter that begins it.
    pub unit: Vec<u8>,
}

/// The picture that is in a payload; `None` where descriptions have no pictures of their own.
///
/// # Errors
/// [`Error::Payload`] for bytes that are no payload of that description.
pub fn coded_picture(
    description: Description,
    frame: FrameNumber,
    payload: &[u8],
) -> Result<Option<CodedPicture>, Error> {
    let (head, body) = Head::read(payload, description, frame)?;
    if head != Head::Alternating {
        return Ok(None);
    }
    let (header, unit) =
        Header::read(body, frame).map_err(|why| Error::Payload { description, frame, why })?;
    let refers_to = header.back.map(|back| FrameNumber(frame.0 - u64::from(back)));
    Ok(Some(CodedPicture { refers_to, is_kept: header.is_kept, unit }))
}
