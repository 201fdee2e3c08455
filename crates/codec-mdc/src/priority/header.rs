//! What is in a payload of layers in shares (spec 68 section 4).

use core_types::{Layer, ObjectClass};

use super::shares::{MAX_LEN, share_len};

/// AV1 has as many spatial layers.
pub(crate) const MAX_LAYERS: usize = 4;

/// What a payload says of one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LayerHead {
    pub(crate) layer: Layer,
    pub(crate) class: ObjectClass,
    /// How many shares give the layer back.
    pub(crate) needed: u8,
    /// Its bytes.
    pub(crate) len: u32,
}

impl LayerHead {
    /// Why a payload is refused that another one of its frame does not agree with: one of them is wrong, and it can't be known which.
    pub(crate) const NOT_ALIKE: &str = "it says another thing of the layers than another description";

    /// Both payloads say the same of the layers.
    pub(crate) fn alike(one: &[(Self, &[u8])], other: &[(Self, &[u8])]) -> bool {
        one.iter().map(|(head, _)| head).eq(other.iter().map(|(head, _)| head))
    }

    /// layer u8 ‖ class and needed u8 ‖ length u24.
    #[cfg(any(feature = "libaom", test))]
    pub(crate) fn write(&self, to: &mut Vec<u8>) {
        let Layer { spatial, temporal, quality } = self.layer;
        to.push(spatial << 6 | temporal << 4 | quality);
        to.push((self.class as u8) << 4 | self.needed);
        to.extend_from_slice(&self.len.to_be_bytes()[1..]);
    }

    /// What the body of a payload says, and the share that it brings, for each layer.
    pub(crate) fn read_all(mut body: &[u8], count: usize) -> Result<Vec<(Self, &[u8])>, &'static str> {
        let mut layers: Vec<(Self, &[u8])> = Vec::new();
        while let Some((&[place, marks, a, b, c], rest)) = body.split_first_chunk::<5>() {
            let len = u32::from_be_bytes([0, a, b, c]);
            let layer = Layer { spatial: place >> 6, temporal: place >> 4 & 3, quality: place & 15 };
            let class = match marks >> 4 {
                0 => ObjectClass::Plain,
                1 => ObjectClass::Discardable,
                2 => ObjectClass::SwitchPoint,
                3 => ObjectClass::KeyFrame,
                _ => return Err("a class that there is not"),
            };
            let needed = marks & 15;
            if !(1..=count).contains(&needed.into()) {
                return Err("a layer that takes more shares than there are, or none");
            }
            if !(1..=MAX_LEN).contains(&(len as usize)) {
                return Err("a layer of no bytes, or of more than 1 MiB");
            }
            let order = |layer: &Layer| (layer.spatial, layer.quality);
            if layers.last().is_some_and(|(below, _)| {
                order(&below.layer) >= order(&layer) || below.layer.temporal != layer.temporal
            }) {
                return Err("layers out of order");
            }
            if layers.len() == MAX_LAYERS {
                return Err("more than four layers");
            }
            let share = rest.split_at_checked(share_len(len as usize, needed.into()));
            let (share, rest) = share.ok_or("it ends within a share")?;
            layers.push((Self { layer, class, needed, len }, share));
            body = rest;
        }
        if !body.is_empty() {
            return Err("it ends within the head of a layer");
        }
        if layers.is_empty() { Err("there is no layer in it") } else { Ok(layers) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head(step: u8, needed: u8, len: u32) -> LayerHead {
        let layer = Layer { spatial: 0, temporal: 1, quality: step };
        LayerHead { layer, class: ObjectClass::SwitchPoint, needed, len }
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let mut body = Vec::new();
        for head in [head(0, 1, 5), head(1, 3, 10)] {
            head.write(&mut body);
            body.extend(vec![7; share_len(head.len as usize, head.needed.into())]);
        }
        let read = LayerHead::read_all(&body, 4).unwrap();
        assert_eq!(read, [(head(0, 1, 5), &[7; 5][..]), (head(1, 3, 10), &[7; 4][..])]);
        assert_eq!(LayerHead::read_all(&body[..body.len() - 1], 4), Err("it ends within a share"));
        assert_eq!(LayerHead::read_all(&body[..11], 4), Err("it ends within the head of a layer"));
        assert_eq!(LayerHead::read_all(&[], 4), Err("there is no layer in it"));
        assert!(LayerHead::read_all(&body, 2).is_err(), "three shares of two");
        let twice = [&body[..10], &body[..10]].concat();
        assert_eq!(LayerHead::read_all(&twice, 4), Err("layers out of order"));
    }

    proptest! {
        #[test]
        fn reading_never_panics(body in prop::collection::vec(any::<u8>(), 0..200), four: bool) {
            let count = if four { 4 } else { 2 };
            if let Ok(layers) = LayerHead::read_all(&body, count) {
                let mut again = Vec::new();
                for (head, share) in layers {
                    head.write(&mut again);
                    again.extend_from_slice(share);
                }
                prop_assert_eq!(again, body);
            }
        }
    }
}
