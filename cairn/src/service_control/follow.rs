//! One log that is followed, across its rotations.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// How far a log has been read.
#[derive(Debug, Default)]
pub struct Followed {
    /// The file; 0 as long as there is none.
    inode: u64,
    place: u64,
    /// What has come of a line that has not ended.
    unfinished: Vec<u8>,
}

impl Followed {
    /// From the present end of the log at `path` on.
    ///
    /// # Errors
    /// It cannot be looked at; that it does not exist yet is none.
    pub fn from_end(path: &Path) -> io::Result<Self> {
        match fs::metadata(path) {
            Ok(metadata) => Ok(Self {
                inode: metadata.ino(),
                place: metadata.len(),
                unfinished: Vec::new(),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// The whole lines that have come since.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn news(&mut self, path: &Path) -> io::Result<String> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            // Between the two steps of a rotation, or nothing was written yet.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        if metadata.ino() != self.inode {
            self.finish_older(&path.with_extension("log.1"))?;
            self.inode = metadata.ino();
            self.place = 0;
        }
        self.take(&mut file)?;
        let end = self.unfinished.iter().rposition(|byte| *byte == b'\n');
        let rest = self.unfinished.split_off(end.map_or(0, |end| end + 1));
        let lines = std::mem::replace(&mut self.unfinished, rest);
        Ok(String::from_utf8_lossy(&lines).into_owned())
    }

    /// What the file that has become the older one has got beyond what was read of it.
    fn finish_older(&mut self, path: &Path) -> io::Result<()> {
        match File::open(path) {
            Ok(mut file) if file.metadata()?.ino() == self.inode => self.take(&mut file),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            // It has been rotated more than once, or this is the first file.
            _ => Ok(()),
        }
    }

    fn take(&mut self, file: &mut File) -> io::Result<()> {
        file.seek(SeekFrom::Start(self.place))?;
        let read = file.read_to_end(&mut self.unfinished)?;
        self.place += read as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn nothing_is_lost_at_a_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        let append = |text: &str| {
            let mut options = fs::OpenOptions::new();
            let mut file = options.create(true).append(true).open(&path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        };
        let mut none = Followed::from_end(&path).unwrap();
        assert_eq!(none.news(&path).unwrap(), "");
        append("zero\n");
        assert_eq!(none.news(&path).unwrap(), "zero\n");
        let mut log = Followed::from_end(&path).unwrap();
        append("one\ntw");
        assert_eq!(log.news(&path).unwrap(), "one\n");
        append("o\nthree\n");
        fs::rename(&path, path.with_extension("log.1")).unwrap();
        assert_eq!(log.news(&path).unwrap(), "");
        append("four\n");
        assert_eq!(log.news(&path).unwrap(), "two\nthree\nfour\n");
        assert_eq!(log.news(&path).unwrap(), "");
    }
}
