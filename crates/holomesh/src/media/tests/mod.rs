//! Tests of the readers and writers against each other, against other programs, and against damage.

mod assets;
mod matroska;
mod video;
mod wav;

use core_types::{FrameRate, FrameSize};

/// The frames of an IVF file with time base `num`/`den` seconds, for a picture of `size`.
fn ivf_file(size: (u16, u16), base: (u32, u32), frames: &[(u64, &[u8])]) -> Vec<u8> {
    let mut file = b"DKIF\0\0\x20\0AV01".to_vec();
    file.extend([size.0, size.1].iter().flat_map(|side| side.to_le_bytes()));
    file.extend(base.1.to_le_bytes());
    file.extend(base.0.to_le_bytes());
    file.extend([0; 8]);
    for (stamp, data) in frames {
        file.extend((data.len() as u32).to_le_bytes());
        file.extend(stamp.to_le_bytes());
        file.extend(*data);
    }
    file
}

/// A file of this repository's `assets`.
fn asset(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets").join(name)
}

fn size(width: u32, height: u32) -> FrameSize {
    FrameSize::new(width, height).unwrap()
}

fn fps(num: u32, den: u32) -> FrameRate {
    FrameRate::new(num, den).unwrap()
}
