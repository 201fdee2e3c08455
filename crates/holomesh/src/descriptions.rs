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

#[cfg(test)]
mod tests {
    use super::*;
    use codec_mdc::Descriptions;

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
