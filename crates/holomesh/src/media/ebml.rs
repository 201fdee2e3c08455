//! EBML (RFC 8794): the elements that Matroska files are made of, for writing.

/// An element id with its length marker, as RFC 9559 lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id(pub(super) u32);

impl Id {
    /// The bytes that stand in the file: one to four.
    pub(super) fn bytes(self) -> Vec<u8> {
        self.0.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect()
    }
}

/// The size that says "until the end of the file" (RFC 8794 section 6.2), in eight bytes.
pub(super) const UNKNOWN_SIZE: [u8; 8] = [0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];

/// A data size in eight bytes, so that it can stand where [`UNKNOWN_SIZE`] stood.
pub(super) fn size_in_eight(size: u64) -> [u8; 8] {
    ((1 << 56) | (size & ((1 << 56) - 1))).to_be_bytes()
}

/// Elements in the order they are added.
#[derive(Debug, Default)]
pub(super) struct Elements(Vec<u8>);

impl Elements {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// An unsigned integer in as few bytes as it needs.
    pub(super) fn uint(&mut self, id: Id, value: u64) -> &mut Self {
        let length = (8 - value.leading_zeros() as usize / 8).max(1);
        let bytes = value.to_be_bytes();
        self.binary(id, bytes.get(8 - length..).unwrap_or(&bytes))
    }

    pub(super) fn float(&mut self, id: Id, value: f64) -> &mut Self {
        self.binary(id, &value.to_be_bytes())
    }

    pub(super) fn string(&mut self, id: Id, value: &str) -> &mut Self {
        self.binary(id, value.as_bytes())
    }

    pub(super) fn binary(&mut self, id: Id, data: &[u8]) -> &mut Self {
        self.head(id, data.len());
        self.0.extend_from_slice(data);
        self
    }

    /// An element that holds elements.
    pub(super) fn master(&mut self, id: Id, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let mut inner = Self::default();
        fill(&mut inner);
        self.binary(id, &inner.0)
    }

    /// A track's data at a time relative to its cluster (RFC 9559 section 10.2). `track` is below 127.
    pub(super) fn simple_block(&mut self, track: u8, relative: i16, key: bool, data: &[u8]) -> &mut Self {
        self.head(Id(0xa3), data.len() + 4);
        self.0.push(0x80 | track);
        self.0.extend_from_slice(&relative.to_be_bytes());
        self.0.push(if key { 0x80 } else { 0 });
        self.0.extend_from_slice(data);
        self
    }

    /// An element without meaning that takes `total` bytes, 2 to 128; keeps the place for what is known later.
    pub(super) fn void(&mut self, total: usize) -> &mut Self {
        let zeros = [0; 126];
        self.binary(Id(0xec), zeros.get(..total.saturating_sub(2)).unwrap_or(&zeros))
    }

    /// Id and data size, the size in as few bytes as it needs.
    fn head(&mut self, id: Id, size: usize) {
        self.0.extend_from_slice(&id.bytes());
        let size = size as u64;
        // All ones means "unknown", so a length of n bytes holds sizes below 2^(7n) − 1.
        let length = (1..8).find(|n| size < (1 << (7 * n)) - 1).unwrap_or(8);
        let marked = (1u64 << (7 * length)) | size;
        self.0.extend_from_slice(marked.to_be_bytes().get(8 - length..).unwrap_or_default());
    }
}
