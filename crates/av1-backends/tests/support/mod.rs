//! The test streams, taken out of their containers.

/// The temporal units of an IVF file: a 32-byte header, then twelve bytes before each unit, of which four are its length.
pub(crate) fn units(ivf: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = &ivf[32..];
    let mut units = Vec::new();
    while let Some((header, after)) = rest.split_at_checked(12) {
        let length = u32::from_le_bytes(header[..4].try_into().unwrap()) as usize;
        let (unit, next) = after.split_at(length);
        units.push(unit.to_vec());
        rest = next;
    }
    units
}

/// Six frames, key frames at 0 and 3.
pub(crate) fn pattern() -> Vec<Vec<u8>> {
    units(include_bytes!("../data/pattern.ivf"))
}
