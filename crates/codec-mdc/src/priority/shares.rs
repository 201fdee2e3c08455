//! Bytes to one share for each description, any so many of which give them back (spec 68 section 4).

use codec_fountain::{BlockShape, ObjectDecoder};
use core_types::{SymbolId, SymbolSize};

use super::header::LayerHead;
use crate::Error;

/// The longest piece of a share: what a symbol can hold.
const MAX_PIECE: usize = 16_384;
/// The longest layer of a picture.
pub(crate) const MAX_LEN: usize = 1 << 20;

/// How long each share of so many bytes is, when `needed` of them give the bytes back.
pub(crate) const fn share_len(len: usize, needed: usize) -> usize {
    len.div_ceil(needed)
}

/// A share for each of `count` descriptions.
#[cfg(any(feature = "libaom", test))]
pub(crate) fn cut(bytes: &[u8], needed: usize, count: usize) -> Result<Vec<Vec<u8>>, Error> {
    if bytes.is_empty() || bytes.len() > MAX_LEN {
        return Err(Error::Config("a layer of a picture: 1 byte to 1 MiB"));
    }
    if needed == 1 {
        return Ok(vec![bytes.to_vec(); count]);
    }
    let mut shares = vec![Vec::with_capacity(share_len(bytes.len(), needed)); count];
    for block in bytes.chunks(needed * MAX_PIECE) {
        let piece = share_len(block.len(), needed);
        let size = symbol_size(piece)?;
        // Each piece is filled up by itself: then the symbols of repair have zeros at their end as well, and none of them is sent.
        let mut object = Vec::with_capacity(needed * size.bytes());
        for index in 0..needed {
            let from = block.chunks(piece).nth(index).unwrap_or_default();
            object.extend_from_slice(from);
            object.resize((index + 1) * size.bytes(), 0);
        }
        let mut encoder = codec_fountain::Encoder::new(size);
        let symbols = encoder.encode_block(&object, (count - needed) as u32)?;
        for (share, (_, symbol)) in shares.iter_mut().zip(symbols.symbols()) {
            share.extend_from_slice(symbol.get(..piece).unwrap_or(symbol));
        }
    }
    Ok(shares)
}

/// The bytes, of which there are `len`, from shares with their indexes; `None` if those that are there don't give them back.
pub(crate) fn join(shares: &[(usize, &[u8])], needed: usize, len: usize) -> Result<Option<Vec<u8>>, Error> {
    let whole = share_len(len, needed);
    let mut fitting = shares.iter().filter(|(_, share)| share.len() == whole);
    if needed == 1 {
        return Ok(fitting.next().map(|(_, share)| share.to_vec()));
    }
    let mut bytes = Vec::with_capacity(len);
    for start in (0..whole).step_by(MAX_PIECE) {
        let block = (len - bytes.len()).min(needed * MAX_PIECE);
        let piece = share_len(block, needed);
        let size = symbol_size(piece)?;
        let mut decoder = ObjectDecoder::new(BlockShape::new(needed * size.bytes(), size)?);
        let mut object = None;
        for (index, share) in fitting.clone() {
            let mut symbol = share.get(start..start + piece).unwrap_or_default().to_vec();
            symbol.resize(size.bytes(), 0);
            let id = SymbolId::new(*index as u32).map_err(|_| Error::Config("a share above 3"))?;
            object = decoder.push(id, &symbol)?.or(object);
        }
        let Some(object) = object else { return Ok(None) };
        for symbol in object.chunks(size.bytes()) {
            bytes.extend_from_slice(symbol.get(..piece).unwrap_or(symbol));
        }
        bytes.truncate(bytes.len() - (needed * piece - block));
    }
    Ok(Some(bytes))
}

/// What one payload says of the layers of its frame, with its index and its share of each.
pub(crate) type Part<'a> = (usize, Vec<(LayerHead, &'a [u8])>);

/// The layers that payloads of one frame give back, the lowest first, up to the first of which there are too few shares. All say the same
/// of them.
pub(crate) fn join_layers(parts: &[Part<'_>]) -> Result<Vec<(LayerHead, Vec<u8>)>, Error> {
    let mut layers = Vec::new();
    let Some((_, heads)) = parts.first() else { return Ok(layers) };
    for (step, (head, _)) in heads.iter().enumerate() {
        let shares = parts.iter().filter_map(|(index, layers)| Some((*index, layers.get(step)?.1)));
        let shares: Vec<(usize, &[u8])> = shares.collect();
        let Some(data) = join(&shares, head.needed.into(), head.len as usize)? else { break };
        layers.push((*head, data));
    }
    Ok(layers)
}

/// The least that holds a piece.
fn symbol_size(piece: usize) -> Result<SymbolSize, Error> {
    let bytes = piece.next_multiple_of(64) as u32;
    SymbolSize::new(bytes).map_err(|_| Error::Config("a piece of a share: 1 to 16384 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is promised is that any so many do, and that no fewer would.
    #[test]
    fn any_as_many_as_are_needed_give_it_back_and_no_fewer() {
        for len in [1, 2, 3, 64, 191, 192, 193, 1_000, 16_384, 49_152, 49_153, 150_001] {
            let bytes: Vec<u8> = (0..len).map(|n| (n * n / 7 + n) as u8).collect();
            for count in [2usize, 4] {
                for needed in 1..=count {
                    let shares = cut(&bytes, needed, count).unwrap();
                    assert!(shares.iter().all(|share| share.len() == share_len(len, needed)));
                    for set in 0..1usize << count {
                        let taken: Vec<(usize, &[u8])> = (0..count)
                            .filter(|index| set >> index & 1 == 1)
                            .map(|index| (index, &shares[index][..]))
                            .collect();
                        let joined = join(&taken, needed, len).unwrap();
                        if taken.len() >= needed {
                            assert_eq!(
                                joined.as_deref(),
                                Some(&bytes[..]),
                                "{len}, {needed} of {count}, {set:b}"
                            );
                        } else {
                            assert_eq!(joined, None, "{len}, {needed} of {count}, {set:b}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn shares_of_another_length_are_left_out() {
        let shares = cut(&[7; 100], 2, 4).unwrap();
        let short = &shares[0][..49];
        assert_eq!(join(&[(0, short), (1, &shares[1])], 2, 100).unwrap(), None);
        assert!(join(&[(0, short), (1, &shares[1]), (3, &shares[3])], 2, 100).unwrap().is_some());
        assert!(cut(&[], 2, 4).is_err() && cut(&vec![0; MAX_LEN + 1], 2, 4).is_err());
    }
}
