//! Files from the network or from `file:` addresses, and unpacking of tarballs.

use std::cell::OnceCell;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use cairn_debian::{Proxies, Transport};
use cairn_evaluator::io::Content;

/// How often a download is tried.
const ATTEMPTS: u32 = 4;

/// The pause after the first failed attempt; it doubles each time.
const PAUSE: Duration = Duration::from_millis(400);

/// What addresses may begin with.
const SCHEMES: [&str; 3] = ["http:", "https:", "file:"];

/// A client that is made when it is first needed.
#[derive(Default)]
pub struct Downloads {
    transport: OnceCell<Transport>,
}

impl Downloads {
    /// Fetches `url` into the empty folder `folder`, and returns the file, or the unpacked tree.
    ///
    /// # Errors
    /// It cannot be had, or is no tarball although it should.
    pub fn fetch(&self, url: &str, content: Content, folder: &Path) -> Result<PathBuf> {
        let file = folder.join("file");
        self.download(url, &file)
            .with_context(|| format!("cannot fetch '{url}'"))?;
        match content {
            Content::File => Ok(file),
            Content::Tarball => {
                let tree = folder.join("tree");
                unpack(&file, &tree)
                    .with_context(|| format!("cannot unpack what came from '{url}'"))
            }
        }
    }

    /// Writes what is at `url` to the new file `to`.
    ///
    /// # Errors
    /// It cannot be had after several attempts, or the file cannot be written.
    pub fn download(&self, url: &str, to: &Path) -> Result<()> {
        if !SCHEMES.iter().any(|scheme| url.starts_with(scheme)) {
            bail!("only addresses of http, https and file are supported");
        }
        let mut file = File::create_new(to)?;
        let transport = self
            .transport
            .get_or_init(|| Transport::new(Proxies::of_host()));
        let mut attempt = 1;
        loop {
            let error = match transport.get(url, file.metadata()?.len()) {
                Ok(mut body) => {
                    file.set_len(body.offset)?;
                    file.seek(SeekFrom::Start(body.offset))?;
                    match io::copy(&mut body.reader, &mut file) {
                        Ok(_) => return Ok(()),
                        Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                            return Err(error.into());
                        }
                        Err(error) => anyhow::Error::new(error),
                    }
                }
                Err(error) if error.is_passing() => error.into(),
                Err(error) => return Err(error.into()),
            };
            if attempt == ATTEMPTS {
                return Err(error);
            }
            log::info!("{url}: attempt {attempt}: {error:#}");
            thread::sleep(PAUSE * 2_u32.pow(attempt - 1));
            attempt += 1;
        }
    }
}

/// Unpacks the tarball `file` into the new folder `to`. Returns the only top-level folder, if
/// there is one and nothing beside it, else `to`.
///
/// # Errors
/// It is no tarball, its compression is not known, or it leads out of the folder.
pub fn unpack(file: &Path, to: &Path) -> Result<PathBuf> {
    let mut compressed = BufReader::new(File::open(file)?);
    let mut begin = [0; 6];
    let length = read_begin(&mut compressed, &mut begin)?;
    compressed.rewind()?;
    let begin = begin.get(..length).unwrap_or_default();
    let reader: Box<dyn Read> = match begin {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(compressed)),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => {
            Box::new(liblzma::read::XzDecoder::new_multi_decoder(compressed))
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::Decoder::with_buffer(compressed)?),
        [b'B', b'Z', b'h', ..] => bail!("it is compressed with bzip2, which is not supported"),
        [b'P', b'K', ..] => bail!("it is a zip archive, which is not supported; use a tarball"),
        _ => Box::new(compressed),
    };
    fs::create_dir(to)?;
    let mut archive = tar::Archive::new(reader);
    archive.set_preserve_mtime(false);
    archive.set_overwrite(false);
    archive.unpack(to)?;
    let mut entries = fs::read_dir(to)?;
    match (entries.next().transpose()?, entries.next()) {
        (None, _) => bail!("the archive is empty"),
        (Some(only), None) if only.file_type()?.is_dir() => Ok(only.path()),
        _ => Ok(to.to_owned()),
    }
}

fn read_begin(reader: &mut impl Read, begin: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while let Some(rest) = begin.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest)? {
            0 => break,
            read => length += read,
        }
    }
    Ok(length)
}
