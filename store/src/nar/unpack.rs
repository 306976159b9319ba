//! Unpacking an archive that nobody vouches for.
//!
//! Every name is one path component, entries ascend strictly (so that none is unpacked through
//! another), padding is zero, and nothing follows the archive. Files are created in folders that
//! this call made: no symbolic link is ever followed.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::{MAGIC, MAX_DEPTH, NarError};
use crate::error::io_error;

/// The longest token that is kept in memory: a link's target.
const MAX_STRING: u64 = 4095;
/// The longest name of a file.
const MAX_NAME: usize = 255;

/// Unpacks the archive that `input` has to `dest`, which must not exist. Reads `input` to its end
/// and refuses anything behind the archive. On failure, a part of the tree may be left.
///
/// # Errors
/// The archive breaks the format, or a file cannot be written.
pub fn unpack(input: &mut dyn Read, dest: &Path) -> Result<(), NarError> {
    let mut reader = Reader {
        input,
        dest,
        offset: 0,
        block: vec![0; 128 * 1024],
    };
    reader.token(MAGIC)?;
    reader.node(dest, 0)?;
    match reader.input.read(&mut [0; 1]) {
        Ok(0) => Ok(()),
        Ok(_) => Err(reader.broken("more data behind the end")),
        Err(source) => Err(reader.stream(source)),
    }
}

struct Reader<'a> {
    input: &'a mut dyn Read,
    dest: &'a Path,
    offset: u64,
    block: Vec<u8>,
}

impl Reader<'_> {
    fn node(&mut self, path: &Path, depth: usize) -> Result<(), NarError> {
        if depth > MAX_DEPTH {
            return Err(NarError::Deep(path.to_owned()));
        }
        self.token(b"(")?;
        self.token(b"type")?;
        match self.string()?.as_slice() {
            b"regular" => self.regular(path),
            b"symlink" => {
                self.token(b"target")?;
                let target = self.string()?;
                if target.is_empty() || target.contains(&0) {
                    return Err(self.broken("an impossible target of a link"));
                }
                std::os::unix::fs::symlink(OsStr::from_bytes(&target), path)
                    .map_err(io_error("create link", path))?;
                self.token(b")")
            }
            b"directory" => {
                fs::create_dir(path).map_err(io_error("create folder", path))?;
                self.entries(path, depth)
            }
            other => Err(self.broken(&format!("unknown type {}", other.escape_ascii()))),
        }
    }

    fn regular(&mut self, path: &Path) -> Result<(), NarError> {
        let mut mode = 0o644;
        let mut tag = self.string()?;
        if tag == b"executable" {
            self.token(b"")?;
            mode = 0o755;
            tag = self.string()?;
        }
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path)
            .map_err(io_error("create", path))?;
        match tag.as_slice() {
            b"contents" => {
                self.contents(path, &file)?;
                self.token(b")")
            }
            // Old archives leave out the contents of an empty file.
            b")" => Ok(()),
            other => Err(self.unexpected(b"contents", other)),
        }
    }

    fn contents(&mut self, path: &Path, mut file: &File) -> Result<(), NarError> {
        let length = self.length()?;
        let mut left = length;
        while left > 0 {
            let mut block = std::mem::take(&mut self.block);
            let wanted = usize::try_from(left).map_or(block.len(), |left| left.min(block.len()));
            let part = block.get_mut(..wanted).unwrap_or_default();
            self.exact(part)?;
            file.write_all(part).map_err(io_error("write", path))?;
            left -= wanted as u64;
            self.block = block;
        }
        self.padding(length)
    }

    fn entries(&mut self, folder: &Path, depth: usize) -> Result<(), NarError> {
        let mut last: Option<Vec<u8>> = None;
        loop {
            match self.string()?.as_slice() {
                b")" => return Ok(()),
                b"entry" => {}
                other => return Err(self.unexpected(b"entry", other)),
            }
            self.token(b"(")?;
            self.token(b"name")?;
            let name = self.string()?;
            if !is_component(&name) {
                let name = name.escape_ascii();
                return Err(self.broken(&format!("the impossible file name '{name}'")));
            }
            if last.as_ref().is_some_and(|last| *last >= name) {
                let name = name.escape_ascii();
                return Err(self.broken(&format!("'{name}' is not in sorted order")));
            }
            self.token(b"node")?;
            self.node(&folder.join(OsStr::from_bytes(&name)), depth + 1)?;
            self.token(b")")?;
            last = Some(name);
        }
    }

    fn token(&mut self, expected: &[u8]) -> Result<(), NarError> {
        let found = self.string()?;
        if found == expected {
            Ok(())
        } else {
            Err(self.unexpected(expected, &found))
        }
    }

    fn string(&mut self) -> Result<Vec<u8>, NarError> {
        let length = self.length()?;
        if length > MAX_STRING {
            return Err(self.broken(&format!("a string of {length} bytes")));
        }
        let mut string = vec![0; usize::try_from(length).unwrap_or(0)];
        self.exact(&mut string)?;
        self.padding(length)?;
        Ok(string)
    }

    fn length(&mut self) -> Result<u64, NarError> {
        let mut length = [0; 8];
        self.exact(&mut length)?;
        Ok(u64::from_le_bytes(length))
    }

    fn padding(&mut self, length: u64) -> Result<(), NarError> {
        let mut zeros = [0; 8];
        let count = usize::try_from(length.wrapping_neg() % 8).unwrap_or(0);
        self.exact(zeros.get_mut(..count).unwrap_or_default())?;
        match zeros {
            [0, 0, 0, 0, 0, 0, 0, 0] => Ok(()),
            _ => Err(self.broken("padding that is not zero")),
        }
    }

    fn exact(&mut self, bytes: &mut [u8]) -> Result<(), NarError> {
        match self.input.read_exact(bytes) {
            Ok(()) => {
                self.offset += bytes.len() as u64;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.broken("the archive ends too early"))
            }
            Err(source) => Err(self.stream(source)),
        }
    }

    fn unexpected(&self, expected: &[u8], found: &[u8]) -> NarError {
        self.broken(&format!(
            "expected '{}', found '{}'",
            expected.escape_ascii(),
            found
                .get(..found.len().min(64))
                .unwrap_or_default()
                .escape_ascii()
        ))
    }

    fn broken(&self, what: &str) -> NarError {
        NarError::Format {
            path: self.dest.to_owned(),
            what: what.to_owned(),
            offset: self.offset,
        }
    }

    fn stream(&self, source: io::Error) -> NarError {
        NarError::Stream {
            verb: "read",
            path: self.dest.to_owned(),
            source,
        }
    }
}

fn is_component(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..")
        && name.len() <= MAX_NAME
        && !name.contains(&b'/')
        && !name.contains(&0)
}
