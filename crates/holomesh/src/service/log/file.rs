//! A log file that does not grow without end.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Appends to a file; when it would grow beyond its bound it is moved to `FILE.1`, over what was there, and begun anew. So
/// there is never more than twice the bound on the disk.
#[derive(Debug)]
pub(super) struct RotatingFile {
    path: PathBuf,
    bound: u64,
    file: File,
    size: u64,
}

impl RotatingFile {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn open(path: &Path, bound: u64) -> io::Result<Self> {
        let file = append(path)?;
        // Sizes of what is no regular file, such as a pipe, mean nothing and are zero.
        let size = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), bound, file, size })
    }

    fn rotate(&mut self) -> io::Result<()> {
        // Somebody else may have cut it, as logrotate's copytruncate does.
        let metadata = self.file.metadata()?;
        self.size = metadata.len();
        if self.size == 0 || !metadata.is_file() {
            return Ok(());
        }
        let mut former = self.path.clone().into_os_string();
        former.push(".1");
        fs::rename(&self.path, former)?;
        self.file = append(&self.path)?;
        self.size = 0;
        Ok(())
    }
}

impl Write for RotatingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.size.saturating_add(bytes.len() as u64) > self.bound {
            self.rotate()?;
        }
        let count = self.file.write(bytes)?;
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn append(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    // There are peers' addresses in it.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_never_more_than_twice_the_bound_and_the_newest_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut file = RotatingFile::open(&path, 1_000).unwrap();
        for n in 0..1_000 {
            file.write_all(format!("line {n:04}\n").as_bytes()).unwrap();
            let size = |name: &str| fs::metadata(dir.path().join(name)).map_or(0, |metadata| metadata.len());
            assert!(size("log") <= 1_000 && size("log.1") <= 1_000);
        }
        let both =
            fs::read_to_string(dir.path().join("log.1")).unwrap() + &fs::read_to_string(&path).unwrap();
        assert!(both.ends_with("line 0998\nline 0999\n") && both.lines().count() >= 100, "{both}");
    }

    #[test]
    fn a_file_is_appended_to_and_one_that_was_cut_is_not_moved() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, "before\n").unwrap();
        let mut file = RotatingFile::open(&path, 20).unwrap();
        file.write_all(b"after\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "before\nafter\n");
        fs::write(&path, "").unwrap();
        file.write_all(b"and again\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "and again\n");
        assert!(!dir.path().join("log.1").exists());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error_and_not_more() {
        let mut file = RotatingFile::open(Path::new("/dev/full"), 100).unwrap();
        for _ in 0..100 {
            assert!(file.write_all(b"no room for this line\n").is_err());
        }
        assert!(Path::new("/dev/full").exists());
    }
}
