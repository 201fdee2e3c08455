//! A message on its way in pieces, and its pieces put together again.

use crate::Error;
use crate::packet::{Ack, FRAGMENT_LEN, Fragment, Message, fragments};

/// A message that is being sent: which of its fragments the other side is known to have.
pub(crate) struct Flight {
    message: Message,
    bytes: Vec<u8>,
    acked: u16,
}

impl Flight {
    pub(crate) const fn new(message: Message, bytes: Vec<u8>) -> Self {
        Self { message, bytes, acked: 0 }
    }

    /// Takes note of what the other side says it has. It may be less than before: it may have had to start again.
    /// True if that is news.
    pub(crate) fn note(&mut self, ack: Ack) -> bool {
        let news = ack.message == self.message && ack.bits != self.acked;
        if news {
            self.acked = ack.bits;
        }
        news
    }

    /// What the other side is not known to have.
    pub(crate) fn missing(&self) -> impl Iterator<Item = Fragment<'_>> {
        let (message, total) = (self.message, self.bytes.len());
        self.bytes
            .chunks(FRAGMENT_LEN)
            .enumerate()
            .filter(|&(index, _)| self.acked & (1 << index) == 0)
            .map(move |(index, bytes)| Fragment { message, total, index, bytes })
    }
}

/// A message that is being received. Its memory is set aside with the first fragment, when the length is known to be one
/// that the message has.
#[derive(Debug)]
pub(crate) struct Assembly {
    message: Message,
    bytes: Vec<u8>,
    have: u16,
}

/// What a fragment did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It was there already.
    Nothing,
    /// It is new, and others are missing.
    Some,
    /// The message is whole.
    Whole(Vec<u8>),
}

impl Assembly {
    pub(crate) const fn new(message: Message) -> Self {
        Self { message, bytes: Vec::new(), have: 0 }
    }

    pub(crate) const fn ack(&self) -> Ack {
        Ack { message: self.message, bits: self.have }
    }

    /// Puts a fragment in. The first one at a place counts: what comes there later changes nothing. A whole message is
    /// handed out, and the assembly starts again.
    pub(crate) fn insert(&mut self, fragment: &Fragment<'_>) -> Result<Progress, Error> {
        let Fragment { message, total, index, bytes } = *fragment;
        if message != self.message {
            return Ok(Progress::Nothing);
        }
        if self.have == 0 {
            self.bytes = vec![0; total];
        } else if self.bytes.len() != total {
            return Err(Error::Malformed {
                what: "fragment",
                reason: "its message had another length before",
            });
        }
        if self.have & (1 << index) != 0 {
            return Ok(Progress::Nothing);
        }
        // The parser has checked index and length against the total.
        let Some(place) =
            self.bytes.get_mut(index * FRAGMENT_LEN..).and_then(|rest| rest.get_mut(..bytes.len()))
        else {
            return Err(Error::Malformed { what: "fragment", reason: "it lies outside its message" });
        };
        place.copy_from_slice(bytes);
        self.have |= 1 << index;
        if self.have.count_ones() as usize == fragments(total) {
            self.have = 0;
            return Ok(Progress::Whole(core::mem::take(&mut self.bytes)));
        }
        Ok(Progress::Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{ANSWER_LEN, MAX_OFFER_LEN, MIN_OFFER_LEN};
    use proptest::prelude::*;

    #[test]
    fn a_message_that_changes_its_length_is_refused() {
        let long = vec![1; MAX_OFFER_LEN];
        let flight = Flight::new(Message::Offer, long);
        let mut assembly = Assembly::new(Message::Offer);
        let parts: Vec<_> = flight.missing().collect();
        assert_eq!(assembly.insert(&parts[0]), Ok(Progress::Some));
        let other = Fragment { total: MIN_OFFER_LEN, bytes: &parts[1].bytes[28..], ..parts[1] };
        assert!(matches!(assembly.insert(&other), Err(Error::Malformed { .. })));
        assert!(matches!(assembly.insert(&parts[1]), Ok(Progress::Whole(_))));
    }

    #[test]
    fn an_acknowledgement_of_another_message_changes_nothing() {
        let mut flight = Flight::new(Message::Answer, vec![1; ANSWER_LEN]);
        assert!(!flight.note(Ack { message: Message::Verdict, bits: 0xffff }));
        assert_eq!(flight.missing().count(), 7);
        assert!(flight.note(Ack { message: Message::Answer, bits: 0b101_1111 }));
        assert_eq!(flight.missing().map(|fragment| fragment.index).collect::<Vec<_>>(), [5]);
    }

    proptest! {
        #[test]
        fn fragments_in_any_order_and_number_give_the_message(
            seed: u64, order in proptest::collection::vec(0usize..7, 0..40),
        ) {
            let bytes: Vec<u8> = (0..ANSWER_LEN as u64).map(|n| (n.wrapping_mul(seed | 1) >> 3) as u8).collect();
            let flight = Flight::new(Message::Answer, bytes.clone());
            let parts: Vec<_> = flight.missing().collect();
            let mut assembly = Assembly::new(Message::Answer);
            let mut whole = None;
            for at in order.into_iter().chain(0..7) {
                if let Progress::Whole(got) = assembly.insert(&parts[at]).unwrap() {
                    whole = Some(got);
                    break;
                }
            }
            prop_assert_eq!(whole, Some(bytes));
            prop_assert_eq!(assembly.ack().bits, 0);
        }
    }
}
