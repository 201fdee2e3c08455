//! The decoders of a stream's open objects.

use crate::ObjectDecoder;
use core_types::ObjectSeq;
use std::collections::BTreeMap;

/// Decoders by object. A picture's symbols mostly come one after another, so the last one asked for is found at once.
#[derive(Default)]
pub(crate) struct OpenObjects {
    decoders: Vec<Option<ObjectDecoder>>,
    free: Vec<usize>,
    places: BTreeMap<ObjectSeq, usize>,
    last: Option<(ObjectSeq, usize)>,
}

impl OpenObjects {
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn get(&self, object: ObjectSeq) -> Option<&ObjectDecoder> {
        self.decoders[*self.places.get(&object)?].as_ref()
    }

    /// The object that was asked for or inserted last, if it is this one.
    #[inline]
    pub(crate) fn last_mut(&mut self, object: ObjectSeq) -> Option<&mut ObjectDecoder> {
        let (_, place) = self.last.filter(|(last, _)| *last == object)?;
        self.decoders.get_mut(place)?.as_mut()
    }

    pub(crate) fn get_mut(&mut self, object: ObjectSeq) -> Option<&mut ObjectDecoder> {
        let place = match self.last {
            Some((last, place)) if last == object => place,
            _ => *self.places.get(&object)?,
        };
        self.last = Some((object, place));
        self.decoders[place].as_mut()
    }

    /// The object must not be open.
    pub(crate) fn insert(&mut self, object: ObjectSeq, decoder: ObjectDecoder) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.decoders.push(None);
            self.decoders.len() - 1
        });
        self.decoders[place] = Some(decoder);
        self.places.insert(object, place);
        self.last = Some((object, place));
    }

    pub(crate) fn remove(&mut self, object: ObjectSeq) -> Option<ObjectDecoder> {
        let place = self.places.remove(&object)?;
        // `last` may go on naming the place: it is empty until `insert` names another.
        self.free.push(place);
        self.decoders[place].take()
    }

    /// Lowest sequence number first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (ObjectSeq, &ObjectDecoder)> {
        self.places.iter().filter_map(|(object, place)| Some((*object, self.decoders[*place].as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BlockShape;
    use core_types::SymbolSize;

    fn decoder(len: usize) -> ObjectDecoder {
        ObjectDecoder::new(BlockShape::new(len, SymbolSize::DEFAULT).unwrap())
    }

    #[test]
    fn each_object_has_its_own_and_places_are_used_again() {
        let mut open = OpenObjects::default();
        let len = |open: &mut OpenObjects, object| {
            let found = open.get(ObjectSeq(object)).map(|decoder| decoder.shape().object_len());
            assert_eq!(open.get_mut(ObjectSeq(object)).map(|decoder| decoder.shape().object_len()), found);
            found
        };
        for round in 0..4 {
            for object in [7, 3, 5] {
                open.insert(ObjectSeq(object), decoder(object as usize + round));
            }
            for object in [3, 3, 7, 5, 4] {
                let found = (object != 4).then_some(object as usize + round);
                assert_eq!(len(&mut open, object), found);
            }
            assert_eq!(open.iter().map(|(object, _)| object.0).collect::<Vec<_>>(), [3, 5, 7]);
            for object in [5, 7, 3] {
                assert!(open.get_mut(ObjectSeq(object)).is_some());
                assert!(open.remove(ObjectSeq(object)).is_some());
                assert_eq!(len(&mut open, object), None, "not by what was asked for last");
            }
            assert_eq!((open.len(), open.decoders.len()), (0, 3));
        }
    }
}
