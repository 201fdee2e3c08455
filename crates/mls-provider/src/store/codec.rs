//! Entities to bytes and back: postcard, into memory that leaves no copies behind.

use crate::Error;
use core::ops::Deref;
use postcard::ser_flavors::Flavor;
use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

/// Bytes that are wiped when they are dropped, and also when they move because they grow.
#[derive(Clone, Default)]
pub(crate) struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(capacity)))
    }

    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// Overwrites what is there already, from `at`.
    pub(crate) fn overwrite(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.0.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }

    pub(crate) fn into_inner(self) -> Zeroizing<Vec<u8>> {
        self.0
    }

    #[inline]
    fn reserve(&mut self, more: usize) {
        if more > self.0.capacity() - self.0.len() {
            self.grow(more);
        }
    }

    #[cold]
    fn grow(&mut self, more: usize) {
        let capacity = (self.0.len() + more).max(2 * self.0.capacity()).max(256);
        let mut grown = Zeroizing::new(Vec::with_capacity(capacity));
        grown.extend_from_slice(&self.0);
        self.0 = grown;
    }
}

impl From<&[u8]> for Secret {
    fn from(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }
}

impl Deref for Secret {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// Appends the encoding of `value`.
pub(crate) fn encode_into(out: &mut Secret, what: &'static str, value: &impl Serialize) -> Result<(), Error> {
    let filled = postcard::serialize_with_flavor::<_, Growing<'_>, ()>(value, Growing(out));
    filled.map_err(|e| Error::Encode { what, reason: e.to_string() })
}

/// The encoding of something public.
pub(crate) fn to_vec(what: &'static str, value: &impl Serialize) -> Result<Vec<u8>, Error> {
    postcard::to_stdvec(value).map_err(|e| Error::Encode { what, reason: e.to_string() })
}

/// Reads all of `bytes`.
pub(crate) fn decode<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, Error> {
    let (value, rest) =
        postcard::take_from_bytes(bytes).map_err(|e| Error::Decode { what, reason: e.to_string() })?;
    if rest.is_empty() {
        Ok(value)
    } else {
        Err(Error::Decode { what, reason: "bytes are left over".to_owned() })
    }
}

struct Growing<'a>(&'a mut Secret);

impl Flavor for Growing<'_> {
    type Output = ();

    #[inline]
    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.0.extend(data);
        Ok(())
    }

    #[inline]
    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.0.reserve(1);
        self.0.0.push(data);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}
