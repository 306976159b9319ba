//! Reading a `.deb`: an ar archive of `debian-binary`, `control.tar.*` and `data.tar.*`.
//!
//! ```text
//! "!<arch>\n"
//! name[16] mtime[12] uid[6] gid[6] mode[8] size[10] "`\n"     60 bytes, ASCII, space-padded
//! content, padded with "\n" to an even offset                 … once per member
//! ```
//!
//! Members are streamed: neither a member nor an entry is ever held in memory. Everything read is
//! counted against [`Limits`], so that a small file cannot unpack to a large one unnoticed.
//!
//! Source: deb(5), ar(5), tar(5).

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use super::layout::{self, BadName};
use super::{ImportError, Limits};

/// Where a member lies in the package.
#[derive(Debug, Clone, Copy)]
struct Member {
    offset: u64,
    size: u64,
    compression: Compression,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compression {
    None,
    Gzip,
    Xz,
    Zstd,
}

/// A package whose members are known to lie inside the file.
#[derive(Debug)]
pub struct Deb<'a> {
    path: &'a Path,
    control: Member,
    data: Member,
}

/// The two members that matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Maintainer scripts and the control file.
    Control,
    /// The files.
    Data,
}

/// One entry of a member.
#[derive(Debug)]
pub struct Entry {
    /// Debian path without a leading `/`; empty for the root.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// Bytes of content.
    pub size: u64,
    /// Owner's name.
    pub user: String,
    /// Group's name.
    pub group: String,
}

/// What an entry is.
#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Directory,
    /// A file with content.
    File,
    /// A symbolic link and its target, as written.
    Symlink(Vec<u8>),
    /// A second name for the file of that Debian path.
    HardLink(Vec<u8>),
}

impl<'a> Deb<'a> {
    /// Reads the table of members of the package at `path`.
    ///
    /// # Errors
    /// The file cannot be read, is cut off, or is no package.
    pub fn open(path: &'a Path) -> Result<Self, ImportError> {
        let mut file = File::open(path).map_err(ImportError::io("open", path))?;
        let length = file
            .metadata()
            .map_err(ImportError::io("read", path))?
            .len();
        let mut head = [0u8; 8];
        read_exact(&mut file, &mut head, path, "the ar header")?;
        if head != *b"!<arch>\n" {
            return Err(damaged(path, "it is not an ar archive"));
        }
        let mut control = None;
        let mut first = true;
        let mut offset = 8u64;
        loop {
            if offset >= length {
                let what = if control.is_none() {
                    "control.tar"
                } else {
                    "data.tar"
                };
                return Err(damaged(path, &format!("it ends before {what}")));
            }
            let header = member_header(&mut file, offset, path)?;
            let (name, size) = parse_member(&header).map_err(|why| damaged(path, why))?;
            let content = offset + 60;
            let end = content
                .checked_add(size)
                .filter(|end| *end <= length)
                .ok_or_else(|| damaged(path, &format!("it ends inside {}", show(name))))?;
            let member = |compression| Member {
                offset: content,
                size,
                compression,
            };
            if first {
                check_version(&mut file, name, content, size, path)?;
                first = false;
            } else if let Some(suffix) = name.strip_prefix(b"control.tar") {
                control = Some(member(compression(suffix, path)?));
            } else if let Some(suffix) = name.strip_prefix(b"data.tar") {
                let data = member(compression(suffix, path)?);
                let control =
                    control.ok_or_else(|| damaged(path, "data.tar comes before control.tar"))?;
                return Ok(Self {
                    path,
                    control,
                    data,
                });
            } else if !name.starts_with(b"_") {
                return Err(damaged(
                    path,
                    &format!("it has an unknown member {}", show(name)),
                ));
            }
            offset = end + end % 2;
        }
    }

    /// Calls `visit` for each entry of a member, in order. `visit` may read the content or leave
    /// it; `bytes` and `entries` are counted down.
    ///
    /// # Errors
    /// The member is damaged or hostile or exceeds what is left, or `visit` fails.
    pub fn entries(
        &self,
        part: Part,
        limits: &Limits,
        left: &mut Left,
        mut visit: impl FnMut(Entry, &mut dyn Read) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        let member = match part {
            Part::Control => self.control,
            Part::Data => self.data,
        };
        let broken = |error: io::Error| self.broken(&error, limits);
        // Headers and padding count too; a package of small files needs up to 1.5 KiB for each.
        let allowed = left.bytes.saturating_add(left.entries.saturating_mul(2048));
        let stream = Counted {
            inner: self.decode(member, limits)?,
            left: allowed,
        };
        let mut archive = tar::Archive::new(stream);
        let mut pending = Pending::default();
        for entry in archive.entries().map_err(broken)?.raw(true) {
            let mut entry = entry.map_err(broken)?;
            left.entries = left
                .entries
                .checked_sub(1)
                .ok_or_else(|| self.too_large("number of entries", limits.entries))?;
            let kind = entry.header().entry_type();
            let extends = kind.is_gnu_longname()
                || kind.is_gnu_longlink()
                || kind.is_pax_local_extensions()
                || kind.is_pax_global_extensions();
            if extends {
                let size = entry.size();
                if size > 1 << 20 {
                    return Err(self.too_large("size of an extended header in bytes", 1 << 20));
                }
                let mut text = Vec::new();
                entry.read_to_end(&mut text).map_err(broken)?;
                pending
                    .take_up(kind, &text)
                    .map_err(|why| damaged(self.path, why))?;
                continue;
            }
            let this = std::mem::take(&mut pending);
            let parsed = self.parse(entry.header(), this)?;
            left.bytes = left
                .bytes
                .checked_sub(parsed.size)
                .ok_or_else(|| self.too_large("unpacked size in bytes", limits.unpacked_bytes))?;
            visit(parsed, &mut entry)?;
        }
        // The rest holds padding and the checksum, which finds damage that tar cannot see.
        io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(broken)?;
        Ok(())
    }

    /// An error while reading a member's content.
    pub fn broken(&self, error: &io::Error, limits: &Limits) -> ImportError {
        if error.kind() == io::ErrorKind::FileTooLarge {
            return self.too_large("unpacked size in bytes", limits.unpacked_bytes);
        }
        damaged(self.path, &error.to_string())
    }

    /// An error about an entry that no honest package has.
    pub fn hostile(&self, entry: &[u8], reason: &str) -> ImportError {
        ImportError::Hostile {
            deb: self.path.to_owned(),
            entry: layout::show(entry),
            reason: reason.to_owned(),
        }
    }

    fn too_large(&self, what: &'static str, limit: u64) -> ImportError {
        ImportError::TooLarge {
            deb: self.path.to_owned(),
            what,
            limit,
        }
    }

    fn decode(&self, member: Member, limits: &Limits) -> Result<Box<dyn Read>, ImportError> {
        let mut file = File::open(self.path).map_err(ImportError::io("open", self.path))?;
        file.seek(SeekFrom::Start(member.offset))
            .map_err(ImportError::io("read", self.path))?;
        let raw = BufReader::with_capacity(1 << 17, file).take(member.size);
        let cannot = |error: io::Error| damaged(self.path, &error.to_string());
        Ok(match member.compression {
            Compression::None => Box::new(raw),
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(raw)),
            Compression::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(
                    limits.decoder_bytes,
                    liblzma::stream::CONCATENATED,
                )
                .map_err(|error| cannot(error.into()))?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(raw, stream))
            }
            Compression::Zstd => {
                Box::new(zstd::stream::read::Decoder::with_buffer(raw).map_err(cannot)?)
            }
        })
    }

    fn parse(&self, header: &tar::Header, pending: Pending) -> Result<Entry, ImportError> {
        let raw = pending
            .path
            .unwrap_or_else(|| header.path_bytes().into_owned());
        let link = pending
            .link
            .or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned))
            .unwrap_or_default();
        let path = self.path_of(&raw, &raw)?;
        let broken = |error: io::Error| damaged(self.path, &error.to_string());
        let kind = match header.entry_type() {
            tar::EntryType::Directory => Kind::Directory,
            // Archives of the first tar mark a folder only by its name.
            tar::EntryType::Regular if raw.ends_with(b"/") => Kind::Directory,
            tar::EntryType::Regular | tar::EntryType::Continuous => Kind::File,
            tar::EntryType::Symlink => {
                if link.is_empty() || link.len() > 4095 {
                    return Err(self.hostile(&raw, "is a symbolic link without a usable target"));
                }
                if link.iter().any(|byte| matches!(byte, 0 | b'\n' | b'\r')) {
                    return Err(self.hostile(&raw, BadName::Character.reason()));
                }
                Kind::Symlink(link)
            }
            tar::EntryType::Link => Kind::HardLink(self.path_of(&link, &raw)?),
            tar::EntryType::Char | tar::EntryType::Block => {
                return Err(self.hostile(&raw, "is a device node"));
            }
            tar::EntryType::Fifo => return Err(self.hostile(&raw, "is a named pipe")),
            other => {
                return Err(ImportError::Unsupported {
                    deb: self.path.to_owned(),
                    reason: format!(
                        "entry '{}' has the unknown type {:?}",
                        layout::show(&raw),
                        char::from(other.as_byte())
                    ),
                });
            }
        };
        let size = match kind {
            Kind::File => header.entry_size().map_err(broken)?,
            _ => 0,
        };
        let name =
            |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
        Ok(Entry {
            path,
            kind,
            mode: header.mode().map_err(broken)? & 0o7777,
            size,
            user: name(header.username_bytes()),
            group: name(header.groupname_bytes()),
        })
    }

    fn path_of(&self, name: &[u8], entry: &[u8]) -> Result<Vec<u8>, ImportError> {
        layout::entry_path(name).map_err(|bad| self.hostile(entry, bad.reason()))
    }
}

/// What the packages of a group may still unpack to.
#[derive(Debug)]
pub struct Left {
    /// Bytes of content.
    pub bytes: u64,
    /// Entries.
    pub entries: u64,
}

/// What extended headers say about the next entry.
#[derive(Debug, Default)]
struct Pending {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

impl Pending {
    fn take_up(&mut self, kind: tar::EntryType, text: &[u8]) -> Result<(), &'static str> {
        let until_nul = || {
            text.split(|&byte| byte == 0)
                .next()
                .unwrap_or_default()
                .to_vec()
        };
        if kind.is_gnu_longname() {
            self.path = Some(until_nul());
        } else if kind.is_gnu_longlink() {
            self.link = Some(until_nul());
        } else if kind.is_pax_local_extensions() {
            for record in tar::PaxExtensions::new(text) {
                let record = record.map_err(|_| "it has a malformed extended header")?;
                match record.key_bytes() {
                    b"path" => self.path = Some(record.value_bytes().to_vec()),
                    b"linkpath" => self.link = Some(record.value_bytes().to_vec()),
                    // Two readers would disagree on where the next entry begins.
                    b"size" => return Err("it overrides an entry's size in an extended header"),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// Counts what a decompressor gives, and stops at the limit.
struct Counted<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
        Ok(read)
    }
}

fn check_version(
    file: &mut File,
    name: &[u8],
    offset: u64,
    size: u64,
    path: &Path,
) -> Result<(), ImportError> {
    if name != b"debian-binary" {
        return Err(damaged(path, "its first member is not debian-binary"));
    }
    let mut text = vec![0u8; usize::try_from(size.min(16)).unwrap_or(16)];
    seek(file, offset, path)?;
    read_exact(file, &mut text, path, "debian-binary")?;
    if text.starts_with(b"2.") {
        return Ok(());
    }
    Err(ImportError::Unsupported {
        deb: path.to_owned(),
        reason: format!("its format version is {}, not 2", show(text.trim_ascii())),
    })
}

fn compression(suffix: &[u8], path: &Path) -> Result<Compression, ImportError> {
    match suffix {
        b"" => Ok(Compression::None),
        b".gz" => Ok(Compression::Gzip),
        b".xz" => Ok(Compression::Xz),
        b".zst" => Ok(Compression::Zstd),
        other => Err(ImportError::Unsupported {
            deb: path.to_owned(),
            reason: format!(
                "a member is compressed as {}; xz, zst and gz are known",
                show(other)
            ),
        }),
    }
}

fn member_header(file: &mut File, offset: u64, path: &Path) -> Result<[u8; 60], ImportError> {
    let mut header = [0u8; 60];
    seek(file, offset, path)?;
    read_exact(file, &mut header, path, "a member's header")?;
    Ok(header)
}

/// Name and size of a member.
fn parse_member(header: &[u8; 60]) -> Result<(&[u8], u64), &'static str> {
    if !header.ends_with(b"`\n") {
        return Err("a member's header does not end as it must");
    }
    let name = header.get(..16).unwrap_or_default().trim_ascii_end();
    let name = name.strip_suffix(b"/").unwrap_or(name);
    let size = header.get(48..58).unwrap_or_default().trim_ascii();
    let size = std::str::from_utf8(size)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .ok_or("a member's size is no number")?;
    Ok((name, size))
}

fn seek(file: &mut File, offset: u64, path: &Path) -> Result<(), ImportError> {
    file.seek(SeekFrom::Start(offset))
        .map(|_| ())
        .map_err(ImportError::io("read", path))
}

fn read_exact(
    file: &mut File,
    buffer: &mut [u8],
    path: &Path,
    what: &str,
) -> Result<(), ImportError> {
    file.read_exact(buffer).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => damaged(path, &format!("it ends inside {what}")),
        _ => ImportError::io("read", path)(error),
    })
}

fn damaged(deb: &Path, reason: &str) -> ImportError {
    ImportError::Damaged {
        deb: deb.to_owned(),
        reason: reason.to_owned(),
    }
}

fn show(bytes: &[u8]) -> String {
    format!("'{}'", bytes.escape_ascii())
}
