//! How streams of codec 0x03 say which description they are: by the end of their labels (spec 68 section 6).

use av_wire::StreamAnnounce;
use codec_mdc::Description;
use core_types::CodecId;

/// `camera/0`, or `camera/1/0` of four: what the source is called, and the description's path.
pub(crate) fn label(source: &str, description: Description) -> String {
    description.path().iter().fold(source.to_owned(), |label, part| format!("{label}/{part}"))
}

/// The source and the description that a label names; nothing if it names none.
fn read(label: &str) -> Option<(&str, Description)> {
    let (source, path) = label.split_once('/')?;
    let part = |part: &str| match part {
        "0" => Some(0),
        "1" => Some(1),
        _ => None,
    };
    let path: Vec<u8> = path.split('/').map(part).collect::<Option<_>>()?;
    Some((source, Description::from_path(&path).ok()?))
}

/// Which description a stream is, if it is one.
///
/// # Errors
/// A sentence for a stream of codec 0x03 whose label names none.
pub(crate) fn of_stream(announce: &StreamAnnounce) -> Result<Option<Description>, String> {
    if announce.codec != CodecId::Mdc {
        return Ok(None);
    }
    match read(&announce.label) {
        Some((_, description)) => Ok(Some(description)),
        None => Err(format!("the label {:?} names no description", announce.label)),
    }
}

/// Whether two streams are descriptions of one source: what they give the same number is one picture.
pub(crate) fn are_together(a: &StreamAnnounce, b: &StreamAnnounce) -> bool {
    let of_one = |a: (&str, Description), b: (&str, Description)| {
        a.0 == b.0 && a.1.of() == b.1.of() && a.1.index() != b.1.index()
    };
    (a.codec, b.codec) == (CodecId::Mdc, CodecId::Mdc)
        && (a.session, a.publisher, a.random, a.media) == (b.session, b.publisher, b.random, b.media)
        && read(&a.label).zip(read(&b.label)).is_some_and(|(a, b)| of_one(a, b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::{StreamKind, announce};
    use codec_mdc::Descriptions;
    use core_types::KeyId;

    #[test]
    fn descriptions_of_one_source_share_all_but_their_place() {
        let first = StreamAnnounce {
            codec: CodecId::Mdc,
            label: "camera/0".into(),
            ..announce(StreamKind::Video, KeyId([1; 32]), 1)
        };
        let named = |label: &str| StreamAnnounce { label: label.into(), ..first.clone() };
        assert!(are_together(&first, &named("camera/1")));
        for label in ["camera/0", "camera/0/1", "screen/1", "camera", "camera/2"] {
            assert!(!are_together(&first, &named(label)), "{label}");
        }
        let second = named("camera/1");
        let others = [
            StreamAnnounce { random: [3; 16], ..second.clone() },
            StreamAnnounce { publisher: KeyId([2; 32]), ..second.clone() },
            StreamAnnounce { codec: CodecId::Av1, ..second.clone() },
        ];
        assert!(others.iter().all(|other| !are_together(&first, other)));
        assert!(of_stream(&StreamAnnounce { label: "camera".into(), ..first }).is_err());
    }

    #[test]
    fn labels_name_a_source_and_a_description() {
        assert_eq!(label("camera", Descriptions::Two.get(1).unwrap()), "camera/1");
        assert_eq!(label("camera", Descriptions::Four.get(2).unwrap()), "camera/1/0");
        for of in [Descriptions::Two, Descriptions::Four] {
            for one in of.all() {
                assert_eq!(read(&label("screen", one)), Some(("screen", one)));
            }
        }
        for none in ["camera", "camera/", "camera/2", "camera/00", "camera/0/", "camera/0/1/0", "a/b/0"] {
            assert_eq!(read(none), None, "{none}");
        }
    }
}
