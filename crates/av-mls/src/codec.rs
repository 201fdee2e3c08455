//! How MLS state becomes bytes for the store. Nothing here is for the wire.

use crate::Error;
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

pub(crate) fn to_bytes(value: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, Error> {
    // The buffer grows by copying, and what it leaves behind is freed as it is: so it is large enough from the start.
    let size =
        postcard::experimental::serialized_size(value).map_err(|e| Error::internal("measuring state", e))?;
    let mut buffer = Zeroizing::new(vec![0; size]);
    let written =
        postcard::to_slice(value, &mut buffer).map_err(|e| Error::internal("encoding state", e))?.len();
    buffer.truncate(written);
    Ok(buffer)
}

pub(crate) fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    postcard::from_bytes(bytes).map_err(Error::damaged)
}
