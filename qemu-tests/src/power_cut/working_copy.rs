//! A file that has a cut disk, or a partition of it, for programs that read no layers.
//!
//! It is one sparse copy for a whole run; from cut to cut only the sectors that differ are written.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::disk::{Content, Disk, ReadAt as _};
use super::write_log::SECTOR;

/// Bytes that are left out of a copy if they are all zero.
const PIECE: usize = 64 << 10;

/// The copy.
#[derive(Debug)]
pub struct WorkingCopy {
    path: PathBuf,
    file: File,
    /// Which bytes of the disk it has.
    part: Range<u64>,
    contents: BTreeMap<u64, Content>,
}

impl WorkingCopy {
    /// Copies these bytes of an image to a new file at `path`, holes staying holes.
    ///
    /// # Errors
    /// The image cannot be read, or the copy cannot be written.
    pub fn create(image: &File, part: Range<u64>, path: PathBuf) -> anyhow::Result<Self> {
        let copying = || format!("cannot copy the disk to {}", path.display());
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .with_context(copying)?;
        copy(image, &part, &file).with_context(copying)?;
        Ok(Self {
            path,
            file,
            part,
            contents: BTreeMap::new(),
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file itself.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Makes it what `disk` is.
    ///
    /// # Errors
    /// The disk cannot be read, or the copy cannot be written.
    pub fn set(&mut self, disk: &Disk<'_>) -> anyhow::Result<()> {
        let wanted = disk.contents();
        let known = &self.contents;
        // What is above the image no more, and what is there now and was not.
        let gone = known.keys().filter(|sector| !wanted.contains_key(sector));
        let new = wanted
            .iter()
            .filter(|(sector, content)| known.get(sector) != Some(content));
        for sector in gone.chain(new.map(|(sector, _)| sector)) {
            let place = sector * SECTOR;
            if !self.part.contains(&place) {
                continue;
            }
            let mut content = [0; 512];
            disk.read_at(place, &mut content)
                .and_then(|()| self.file.write_all_at(&content, place - self.part.start))
                .with_context(|| format!("cannot write {}", self.path.display()))?;
        }
        self.contents = wanted;
        Ok(())
    }
}

fn copy(image: &File, part: &Range<u64>, file: &File) -> io::Result<()> {
    file.set_len(part.end - part.start)?;
    let mut buffer = vec![0; PIECE];
    let mut place = part.start;
    while place < part.end {
        let length = (part.end - place).min(PIECE as u64);
        let piece = buffer.get_mut(..usize::try_from(length).unwrap_or(PIECE));
        let piece = piece.unwrap_or_default();
        image.read_exact_at(piece, place)?;
        if piece.iter().any(|&byte| byte != 0) {
            file.write_all_at(piece, place - part.start)?;
        }
        place += length;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::super::disk::{Layer, Source};
    use super::*;

    #[test]
    fn it_follows_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let file = |bytes: &[u8]| -> File {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(bytes).unwrap();
            file
        };
        let (image, log) = (file(&[b'i'; 4 * 512]), file(&[b'n'; 512]));
        let path = folder.path().join("copy");
        let mut copy = WorkingCopy::create(&image, 512..2048, path).unwrap();
        let mut show = |sectors: &[u64]| {
            let mut layer = Layer::default();
            for sector in sectors {
                layer.insert(*sector, Source::Log(0));
            }
            copy.set(&Disk::new(&image, &log, vec![&layer])).unwrap();
            let bytes = fs::read(copy.path()).unwrap();
            let firsts = bytes.chunks(512).map(|sector| char::from(sector[0]));
            firsts.collect::<String>()
        };
        assert_eq!(show(&[]), "iii");
        assert_eq!(show(&[0, 1, 3]), "nin");
        assert_eq!(show(&[1, 2]), "nni");
        assert_eq!(show(&[]), "iii");
    }
}
