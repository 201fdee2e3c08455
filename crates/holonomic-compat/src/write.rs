//! What the layouts have in common: big-endian integers, and lengths of four bytes in some and eight in others.

use crate::Error;
use identity::canonical::Writer;

/// A u32 count or length.
pub(crate) fn count(w: &mut Writer, what: &'static str, len: usize) -> Result<(), Error> {
    w.u32(u32::try_from(len).map_err(|_| Error::TooMuch { what, len })?);
    Ok(())
}

/// A u32 length, and the bytes.
pub(crate) fn text(w: &mut Writer, what: &'static str, bytes: impl AsRef<[u8]>) -> Result<(), Error> {
    let bytes = bytes.as_ref();
    count(w, what, bytes.len())?;
    w.fixed(bytes);
    Ok(())
}

/// A u64 length, and the bytes.
pub(crate) fn long_text(w: &mut Writer, bytes: impl AsRef<[u8]>) {
    let bytes = bytes.as_ref();
    w.u64(bytes.len() as u64).fixed(bytes);
}

/// 00, or 01 and a text.
pub(crate) fn optional(
    w: &mut Writer,
    what: &'static str,
    bytes: Option<impl AsRef<[u8]>>,
) -> Result<(), Error> {
    match bytes {
        None => {
            w.u8(0);
            Ok(())
        }
        Some(bytes) => {
            w.u8(1);
            text(w, what, bytes)
        }
    }
}

/// A u32 count, and that many texts.
pub(crate) fn texts<T: AsRef<[u8]>>(w: &mut Writer, what: &'static str, list: &[T]) -> Result<(), Error> {
    count(w, what, list.len())?;
    list.iter().try_for_each(|one| text(w, what, one))
}

/// Refuses a list that is not in strictly ascending order: in which order the predecessor wrote others was never published.
pub(crate) fn ascending<T: Ord + ToString>(
    what: &'static str,
    list: impl IntoIterator<Item = T>,
) -> Result<(), Error> {
    let mut before: Option<T> = None;
    for one in list {
        match before.as_ref().map(|before| before.cmp(&one)) {
            Some(core::cmp::Ordering::Equal) => return Err(Error::Twice { what, which: one.to_string() }),
            Some(core::cmp::Ordering::Greater) => {
                return Err(Error::Unsorted { what, which: one.to_string() });
            }
            Some(core::cmp::Ordering::Less) | None => before = Some(one),
        }
    }
    Ok(())
}
