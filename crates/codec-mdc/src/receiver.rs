//! One receiver for both ways.

use codec_av1::Frame;
use core_types::FrameSize;

use crate::alternating::AlternatingReceiver;
use crate::head::Head;
use crate::priority::PriorityReceiver;
use crate::{Description, Descriptions, Error, FrameNumber};

/// What came of one frame.
#[derive(Debug)]
#[non_exhaustive]
pub struct Shown {
    /// The best picture of it that can be made now. None: show the one before on.
    pub picture: Option<Frame>,
    /// The descriptions that it was made from, the best one first.
    pub from: Vec<Description>,
    /// Descriptions whose bytes could not be decoded. They go on with their next key frame.
    pub faults: Vec<(Description, Error)>,
}

/// Takes payloads as they come and gives the best picture of each frame when it is due.
///
/// Payloads may come in any order, late, twice or not at all. What waits is bounded: 16 frames of each description, and 4 MiB of it (8 MiB
/// of all where they share their layers out).
#[derive(Debug)]
pub struct MdcReceiver {
    of: Descriptions,
    max_size: FrameSize,
    /// Opened by the first payload, which says what there is to come.
    inner: Option<Inner>,
    /// Payloads in a row that were made in another way: enough of them, and it was the first that is wrong.
    others: u8,
}

/// So many payloads in a row that were made in another way are believed: one alone may have been made up.
const AGREEMENT: u8 = 3;

#[derive(Debug)]
enum Inner {
    Alternating(AlternatingReceiver),
    Priority(Box<PriorityReceiver>),
}

impl MdcReceiver {
    /// A receiver that refuses pictures with more pixels than `max_size` has, before it takes memory for them.
    pub const fn new(of: Descriptions, max_size: FrameSize) -> Self {
        Self { of, max_size, inner: None, others: 0 }
    }

    /// Takes what came of a frame in one description. Decodes nothing yet.
    ///
    /// # Errors
    /// [`Error::Payload`], the peer's fault, for bytes that are no such payload; [`Error::NoSuchDescription`] for a description of
    /// another stream; nothing is changed then.
    pub fn take(
        &mut self,
        description: Description,
        frame: FrameNumber,
        payload: &[u8],
    ) -> Result<(), Error> {
        if description.of() != self.of {
            return Err(Error::NoSuchDescription { index: description.index(), of: self.of.count() });
        }
        let (head, body) = Head::read(payload, description, frame)?;
        let is_other = matches!(
            (&self.inner, head),
            (Some(Inner::Alternating(_)), Head::Priority) | (Some(Inner::Priority(_)), Head::Alternating)
        );
        if is_other && self.others + 1 < AGREEMENT {
            self.others += 1;
            return Err(Error::Payload {
                description,
                frame,
                why: "it was made in another way than those before",
            });
        }
        self.others = 0;
        if is_other {
            self.inner = None;
        }
        let inner = match &mut self.inner {
            Some(inner) => inner,
            None => self.inner.insert(match head {
                Head::Alternating => Inner::Alternating(AlternatingReceiver::new(self.of, self.max_size)?),
                Head::Priority => Inner::Priority(Box::new(PriorityReceiver::new(self.of, self.max_size))),
            }),
        };
        match inner {
            Inner::Alternating(inner) => inner.take(description, frame, body),
            Inner::Priority(inner) => inner.take(description, frame, body),
        }
    }

    /// That frame will not come in that description. Need not be said: it shows by what refers to it, two frames later.
    pub fn missed(&mut self, description: Description, frame: FrameNumber) {
        if let Some(Inner::Alternating(inner)) = &mut self.inner {
            inner.missed(description, frame);
        }
    }

    /// The frame is due: decodes what is there up to it and gives its best picture. Frames are asked for in ascending order; what comes of an
    /// earlier one afterwards is used for those that refer to it, and not shown.
    pub fn show(&mut self, frame: FrameNumber) -> Shown {
        match &mut self.inner {
            Some(Inner::Alternating(inner)) => inner.show(frame),
            Some(Inner::Priority(inner)) => inner.show(frame),
            None => Shown { picture: None, from: Vec::new(), faults: Vec::new() },
        }
    }

    /// The descriptions that can't go on before their next key frame: ask the publisher for one, of each. So it is with all of them at the
    /// start. Where descriptions have no pictures of their own, all or none.
    pub fn wants_key_frame(&self) -> Vec<Description> {
        match &self.inner {
            Some(Inner::Alternating(inner)) => inner.wants_key_frame().collect(),
            Some(Inner::Priority(inner)) if !inner.needs_key_frame() => Vec::new(),
            _ => self.of.all().collect(),
        }
    }
}
