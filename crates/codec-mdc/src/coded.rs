//! What payloads hold as it is coded, for whoever stores it without decoding.

use core_types::{Layer, ObjectClass};

use crate::alternating::Header;
use crate::head::Head;
use crate::priority::{LayerHead, Part, join_layers};
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

/// A layer of a frame that is shared out over the descriptions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodedLayer {
    /// Which.
    pub layer: Layer,
    /// What it is to others.
    pub class: ObjectClass,
    /// The payload of its object, as if it had come by itself (spec 64).
    pub data: Vec<u8>,
}

/// The layers that payloads of one frame give back together, the lowest first; none where descriptions have pictures of their own.
///
/// # Errors
/// [`Error::Payload`] for bytes that are no payload of their description, and when one says another thing of the layers than the first;
/// [`Error::NoSuchDescription`] for a description of another stream than the first.
pub fn coded_layers(frame: FrameNumber, payloads: &[(Description, &[u8])]) -> Result<Vec<CodedLayer>, Error> {
    let Some(of) = payloads.first().map(|(description, _)| description.of()) else { return Ok(Vec::new()) };
    let mut parts: Vec<Part<'_>> = Vec::new();
    for (description, payload) in payloads.iter().copied() {
        if description.of() != of {
            return Err(Error::NoSuchDescription { index: description.index(), of: of.count() });
        }
        let refused = |why| Error::Payload { description, frame, why };
        let (head, body) = Head::read(payload, description, frame)?;
        if head != Head::Priority {
            return Ok(Vec::new());
        }
        let layers = LayerHead::read_all(body, of.count()).map_err(refused)?;
        if let Some((_, first)) = parts.first()
            && !LayerHead::alike(first, &layers)
        {
            return Err(refused(LayerHead::NOT_ALIKE));
        }
        parts.push((description.index(), layers));
    }
    let layers = join_layers(&parts)?;
    let coded = |(head, data): (LayerHead, _)| CodedLayer { layer: head.layer, class: head.class, data };
    Ok(layers.into_iter().map(coded).collect())
}
