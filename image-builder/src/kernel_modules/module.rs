//! One module file: what it says of itself, and which symbols it gives and takes.
//!
//! Source: include/linux/module.h (`MODULE_INFO`) and include/linux/export.h of Linux: the section
//! `.modinfo` holds `key=value` texts, each ended by NUL; an exported symbol `x` has a symbol
//! `__ksymtab_x`; what is needed of others is undefined in the symbol table.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use object::{Object, ObjectSection, ObjectSymbol};

use super::ModuleError;
use super::pattern::module_name;

/// One module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Its name, with `_` and never `-`.
    pub name: String,
    /// Its file, relative to the release's folder: `kernel/fs/ext4/ext4.ko`.
    pub path: PathBuf,
    /// Where its file is read from.
    pub source: PathBuf,
    /// Patterns of what it drives, and other names.
    pub aliases: Vec<String>,
    /// Its soft dependencies, as written: `pre: a b post: c`.
    pub soft_dependencies: Vec<String>,
    /// Firmware files that it may ask for, relative to a firmware folder.
    pub firmware: Vec<String>,
    /// Modules that it names as its dependencies.
    pub depends: Vec<String>,
    /// Symbols that it exports.
    pub(super) exports: Vec<String>,
    /// Symbols that it needs of others.
    pub(super) needs: Vec<String>,
}

/// How a module's file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compression {
    None,
    Xz,
    Zstd,
    Gzip,
}

/// Firmware files that the module in this file may ask for, relative to a firmware folder.
///
/// # Errors
/// The file cannot be read, or is no module.
pub fn firmware_of(file: &Path) -> Result<Vec<String>, ModuleError> {
    Ok(Module::open(file, file, &mut Vec::new())?.firmware)
}

/// Larger than any module; a file that unpacks to more is damaged or hostile.
const MAX_SIZE: u64 = 512 << 20;

fn compression(file_name: &str) -> Option<Compression> {
    const SUFFIXES: [(&str, Compression); 4] = [
        (".ko", Compression::None),
        (".ko.xz", Compression::Xz),
        (".ko.zst", Compression::Zstd),
        (".ko.gz", Compression::Gzip),
    ];
    SUFFIXES
        .iter()
        .find(|(suffix, _)| file_name.ends_with(suffix))
        .map(|(_, compression)| *compression)
}

/// Whether a file of this name is a module.
pub(super) fn is_module(file_name: &str) -> bool {
    compression(file_name).is_some()
}

impl Module {
    /// The name of its file when it is not compressed.
    #[must_use]
    pub fn plain_path(&self) -> PathBuf {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let plain = name
            .find(".ko")
            .and_then(|end| name.get(..end))
            .unwrap_or(&name);
        self.path.with_file_name(format!("{plain}.ko"))
    }

    /// Its content, unpacked if it is compressed.
    ///
    /// # Errors
    /// The file cannot be read or unpacked.
    pub fn read(&self) -> Result<Vec<u8>, ModuleError> {
        let mut bytes = Vec::new();
        unpack(&self.source, &mut bytes)?;
        Ok(bytes)
    }

    /// Whether its file is compressed.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        let name = self.path.to_string_lossy();
        compression(&name) != Some(Compression::None)
    }

    /// Reads the module `source`, which lies at `path` in the release's folder. `buffer` is
    /// overwritten: whole files are read into memory that is there already, since seeking the few
    /// parts that matter takes a system call for each symbol's name.
    pub(super) fn open(
        path: &Path,
        source: &Path,
        buffer: &mut Vec<u8>,
    ) -> Result<Self, ModuleError> {
        unpack(source, buffer)?;
        Self::parse(path, source, buffer)
    }

    fn parse(path: &Path, source: &Path, data: &[u8]) -> Result<Self, ModuleError> {
        let refused = |error| ModuleError::Elf {
            path: source.to_owned(),
            source: error,
        };
        let elf = object::File::parse(data).map_err(refused)?;
        let info = match elf.section_by_name(".modinfo") {
            Some(section) => section.data().map_err(refused)?,
            None => &[],
        };
        let file_name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut module = Self {
            name: module_name(&file_name),
            path: path.to_owned(),
            source: source.to_owned(),
            aliases: Vec::new(),
            soft_dependencies: Vec::new(),
            firmware: Vec::new(),
            depends: Vec::new(),
            exports: Vec::new(),
            needs: Vec::new(),
        };
        module.add_info(info);
        for symbol in elf.symbols() {
            let name = symbol.name().map_err(refused)?;
            if symbol.is_undefined() && !name.is_empty() {
                module.needs.push(name.to_owned());
            } else if let Some(exported) = name.strip_prefix("__ksymtab_")
                && symbol.is_definition()
            {
                module.exports.push(exported.to_owned());
            }
        }
        Ok(module)
    }

    fn add_info(&mut self, info: &[u8]) {
        for text in info.split(|byte| *byte == 0) {
            let text = String::from_utf8_lossy(text);
            let Some((key, value)) = text.split_once('=') else {
                continue;
            };
            // Such a value would forge lines of the indices.
            if value.contains('\n') {
                continue;
            }
            let value = value.to_owned();
            match key {
                "alias" => self.aliases.push(value),
                "softdep" => self.soft_dependencies.push(value),
                "firmware" => self.firmware.push(value),
                "depends" => self.depends.extend(
                    value
                        .split(',')
                        .filter(|name| !name.is_empty())
                        .map(|name| name.replace('-', "_")),
                ),
                _ => {}
            }
        }
    }
}

fn unpack(path: &Path, bytes: &mut Vec<u8>) -> Result<(), ModuleError> {
    let compression = compression(&path.to_string_lossy()).unwrap_or(Compression::None);
    read_all(path, compression, bytes).map_err(|source| ModuleError::Read {
        path: path.to_owned(),
        source,
    })
}

fn read_all(path: &Path, compression: Compression, bytes: &mut Vec<u8>) -> io::Result<()> {
    let file = File::open(path)?;
    let buffered = |file| BufReader::with_capacity(1 << 16, file);
    let reader: Box<dyn Read> = match compression {
        Compression::None => {
            let size = file.metadata()?.len().min(MAX_SIZE);
            bytes.reserve(usize::try_from(size).unwrap_or(0));
            Box::new(file)
        }
        Compression::Xz => Box::new(liblzma::bufread::XzDecoder::new_multi_decoder(buffered(
            file,
        ))),
        Compression::Zstd => Box::new(zstd::Decoder::with_buffer(buffered(file))?),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(buffered(file))),
    };
    bytes.clear();
    reader.take(MAX_SIZE + 1).read_to_end(bytes)?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it unpacks to more than 512 MiB",
        ));
    }
    Ok(())
}
