use super::{asset, fps, size};
use crate::media::{AudioSource, VideoSource};
use proptest::prelude::*;

#[test]
fn the_clip_is_as_its_page_says() {
    let mut clip = VideoSource::open(asset("clip.ivf")).unwrap();
    assert_eq!((clip.size(), clip.rate()), (size(480, 270), fps(25, 1)));
    let mut means = Vec::new();
    while let Some(frame) = clip.next_frame().unwrap() {
        let luma = &frame.as_i420()[..480 * 270];
        means.push(luma.iter().map(|y| u64::from(*y)).sum::<u64>() as f64 / luma.len() as f64);
    }
    assert_eq!(means.len(), 262);
    // Forward, then the same frames backward.
    for n in 1..131 {
        assert!((means[n] - means[262 - n]).abs() < 1.0, "frames {n} and {} differ", 262 - n);
    }
    assert!(means.iter().all(|mean| (60.0..150.0).contains(mean)), "a picture is dark or blank");
}

#[test]
fn the_speech_is_as_its_page_says() {
    let mut speech = AudioSource::open(asset("speech.wav")).unwrap();
    assert_eq!((speech.sample_rate(), speech.channels()), (16_000, 1));
    let (mut blocks, mut loud) = (0, 0);
    while let Some(block) = speech.next_block(320).unwrap() {
        blocks += 1;
        loud += u32::from(block.iter().any(|sample| sample.abs() > 1_000));
    }
    assert_eq!(blocks, 524);
    assert!(loud > 250, "only {loud} of {blocks} blocks have speech in them");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn a_spoilt_clip_ends_without_panic(
        spoil in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
        keep in 32usize..150_000,
    ) {
        let mut file = std::fs::read(asset("clip.ivf")).unwrap();
        file.truncate(keep);
        for (at, byte) in spoil {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if let Ok(mut clip) = VideoSource::from_reader("clip.ivf", std::io::Cursor::new(file)) {
            while let Ok(Some(_)) = clip.next_frame() {}
        }
    }
}
