//! Where what was received goes.

use crate::Error;
use crate::watch::{MatroskaSink, Sink, WavSink, Y4mSink};
use std::fs::File;
use std::io::{BufWriter, Stdout};
use std::path::{Path, PathBuf};

/// A file is written by one of them.
///
/// # Errors
/// [`Error::Input`] if one is there twice.
pub(super) fn check(outputs: &[PathBuf]) -> Result<(), Error> {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for (at, output) in outputs.iter().enumerate() {
        if outputs.iter().take(at).any(|before| absolute(before) == absolute(output)) {
            let what = format!("-o {}", output.display());
            return Err(Error::input(what, "is given twice; leave one out, or name another file"));
        }
    }
    Ok(())
}

fn is_standard_output(output: &Path) -> bool {
    output.as_os_str() == "-"
}

fn unknown(output: &Path, known: &str) -> Error {
    Error::input(
        format!("-o {}", output.display()),
        format!("must end in {known}, or be - for Y4M on standard output"),
    )
}

fn y4m(output: &Path) -> Result<Y4mSink<BufWriter<File>>, Error> {
    let file = File::create(output).map_err(Error::file(output))?;
    Ok(Y4mSink::held(output.display().to_string(), BufWriter::new(file)))
}

/// For what is watched.
pub(super) fn live(output: &Path) -> Result<Box<dyn Sink>, Error> {
    if is_standard_output(output) {
        return Ok(Box::new(Y4mSink::<Stdout>::standard_output()));
    }
    match output.extension().and_then(|extension| extension.to_str()) {
        Some("mkv" | "webm") => Ok(Box::new(MatroskaSink::new(output))),
        Some("y4m") => Ok(Box::new(y4m(output)?)),
        _ => Err(unknown(output, ".mkv, .webm or .y4m")),
    }
}

/// For what was recorded.
pub(super) fn recorded(output: &Path) -> Result<Box<dyn Sink>, Error> {
    if is_standard_output(output) {
        return Ok(Box::new(Y4mSink::held("standard output", std::io::stdout())));
    }
    match output.extension().and_then(|extension| extension.to_str()) {
        Some("wav") => Ok(Box::new(WavSink::new(output))),
        Some("mkv" | "webm" | "y4m") => live(output),
        _ => Err(unknown(output, ".mkv, .webm, .y4m or .wav")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_once() {
        let outputs = |names: &[&str]| check(&names.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert!(outputs(&["-", "a.mkv", "b.mkv", "c/a.mkv"]).is_ok());
        for twice in [&["-", "a.mkv", "-"][..], &["a.mkv", "a.mkv"], &["a.mkv", "-", "./a.mkv"]] {
            let error = outputs(twice).unwrap_err().to_string();
            assert!(error.starts_with(&format!("-o {}: ", twice.last().unwrap())), "{error}");
        }
    }

    #[test]
    fn what_is_no_output_is_told_what_is_one() {
        for (made, known) in [(live(Path::new("x.avi")), ".y4m"), (recorded(Path::new("x.avi")), ".wav")] {
            let error = made.err().unwrap().to_string();
            assert!(error.starts_with("-o x.avi: ") && error.contains(known), "{error}");
        }
        assert!(live(Path::new("x.wav")).is_err(), "sound that is watched goes into a file with pictures");
        let path = std::env::temp_dir().join(format!("holomesh-{}.y4m", std::process::id()));
        for sink in [live(&path), recorded(&path)] {
            assert!(sink.is_ok());
        }
        std::fs::remove_file(path).unwrap();
    }
}
