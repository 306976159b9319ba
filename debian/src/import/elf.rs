//! Reading the parts of an ELF file that decide where its libraries are looked for.
//!
//! ```text
//! ELF header, 64 bytes          program header, 56 bytes      dynamic entry, 16 bytes
//!  0 7f 'E' 'L' 'F'              0 u32 type                    0 u64 tag
//!  4 class (2 = 64 bit)          4 u32 flags                   8 u64 value or address
//!  5 data (1 = little endian)    8 u64 file offset
//! 16 u16 type                   16 u64 address
//! 18 u16 machine                24 u64 physical address
//! 32 u64 program header offset  32 u64 bytes in the file
//! 40 u64 section header offset  40 u64 bytes in memory
//! 54 u16 program header size    48 u64 alignment
//! 56 u16 program headers
//! 58 u16 section header size    section header, 64 bytes: 4 u32 type, 8 u64 flags,
//! 60 u16 section headers        16 u64 address, 24 u64 offset, 32 u64 size
//! ```
//!
//! Every offset comes from the file and may lie: all reading is bounds-checked, and what does not
//! fit is [`ElfError::Malformed`], never a panic.
//!
//! Source: System V gABI, "Object Files"; ELF-64 Object File Format 1.5; ld.so(8).

use std::ops::Range;

/// Why an ELF file cannot be relocated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ElfError {
    /// A part of the file contradicts another or lies outside.
    #[error("malformed ELF file: {0}")]
    Malformed(&'static str),
    /// It is for another kind of machine than those that are relocated.
    #[error("ELF file for another machine: {0}")]
    Foreign(&'static str),
    /// It was patched before; a second patch would break it.
    #[error("it was relocated before; import the original package")]
    AlreadyPatched,
    /// It has no program header that could be given up for the new segment.
    #[error("no PT_NOTE or PT_GNU_PROPERTY header to turn into a segment")]
    NoRoom,
}

pub(super) const PT_LOAD: u32 = 1;
pub(super) const PT_DYNAMIC: u32 = 2;
pub(super) const PT_INTERP: u32 = 3;
pub(super) const PT_NOTE: u32 = 4;
pub(super) const PT_GNU_PROPERTY: u32 = 0x6474_e553;

pub(super) const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;
pub(super) const DT_STRTAB: u64 = 5;
pub(super) const DT_STRSZ: u64 = 10;
const DT_SONAME: u64 = 14;
pub(super) const DT_RPATH: u64 = 15;
pub(super) const DT_RUNPATH: u64 = 29;

const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;

/// Size of a program header in bytes.
pub(super) const PROGRAM_HEADER: usize = 56;
/// Size of a dynamic entry in bytes.
pub(super) const DYNAMIC_ENTRY: usize = 16;
/// First bytes of what a patch appends; also how a patched file is known.
pub(super) const MARK: &[u8; 16] = b"CAIRN relocated\0";

/// A machine whose programs are relocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// x86-64.
    Amd64,
    /// 64-bit ARM.
    Arm64,
    /// 64-bit RISC-V.
    Riscv64,
}

impl Machine {
    fn of(number: u16) -> Option<Self> {
        match number {
            62 => Some(Self::Amd64),
            183 => Some(Self::Arm64),
            243 => Some(Self::Riscv64),
            _ => None,
        }
    }

    /// Debian's name of the library folder: `x86_64-linux-gnu`.
    #[must_use]
    pub fn multiarch(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-linux-gnu",
            Self::Arm64 => "aarch64-linux-gnu",
            Self::Riscv64 => "riscv64-linux-gnu",
        }
    }

    /// Bytes of the largest page that a kernel for the machine may use.
    #[must_use]
    pub fn page(self) -> u64 {
        match self {
            Self::Amd64 | Self::Riscv64 => 0x1000,
            Self::Arm64 => 0x1_0000,
        }
    }
}

/// One program header, with its place in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// `PT_…`
    pub kind: u32,
    /// Bytes from the start of the file.
    pub offset: u64,
    /// Address in memory.
    pub address: u64,
    /// Bytes in the file.
    pub file_size: u64,
    /// Bytes in memory.
    pub memory_size: u64,
}

/// A dynamically linked program or library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elf {
    /// What it runs on.
    pub machine: Machine,
    /// File offset of the program headers.
    pub headers_at: usize,
    /// The program headers, in order.
    pub segments: Vec<Segment>,
    /// Tag and value of each dynamic entry, up to the end of its segment.
    pub dynamic: Vec<(u64, u64)>,
    /// File offset of the dynamic entries.
    pub dynamic_at: usize,
    /// Where the dynamic strings lie in the file.
    pub strings: Range<usize>,
    /// The dynamic loader that it names, if it is a program.
    pub interpreter: Option<Vec<u8>>,
    /// Names of the libraries that it needs, in order.
    pub needed: Vec<Vec<u8>>,
    /// Its own name as a library.
    pub soname: Option<Vec<u8>>,
    /// Its search path: `DT_RUNPATH`, or else `DT_RPATH`.
    pub search_path: Option<Vec<u8>>,
}

/// What an ELF file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// A program or library that the dynamic loader works on.
    Dynamic(Box<Elf>),
    /// An object file, a kernel or boot loader module, a static program, the dynamic loader, or a
    /// library that needs no other: there is nothing to relocate.
    SelfContained,
}

/// Reads an ELF file of a package.
///
/// # Errors
/// It is malformed, for another machine, or patched before.
pub fn read(bytes: &[u8]) -> Result<Reading, ElfError> {
    match read_any(bytes)? {
        Reading::Dynamic(elf) if elf.is_patched(bytes) => Err(ElfError::AlreadyPatched),
        reading => Ok(reading),
    }
}

impl Elf {
    fn is_patched(&self, bytes: &[u8]) -> bool {
        self.segments.iter().any(|segment| {
            let start = to_usize(segment.offset);
            segment.kind == PT_LOAD
                && bytes
                    .get(start..)
                    .is_some_and(|tail| tail.starts_with(MARK))
        })
    }
}

/// Reads an ELF file, relocated or not.
///
/// # Errors
/// It is malformed or for another machine.
pub fn read_any(bytes: &[u8]) -> Result<Reading, ElfError> {
    if bytes.get(..4) != Some(b"\x7fELF") {
        return Err(ElfError::Malformed("no ELF magic"));
    }
    let kind = u16_at(bytes, 16).ok_or(ElfError::Malformed("no header"))?;
    match (bytes.get(4), bytes.get(5)) {
        (Some(2), Some(1)) => {}
        (Some(1), Some(1 | 2)) => return foreign(kind, "32 bit"),
        (Some(2), Some(2)) => return foreign(kind, "big endian"),
        _ => return Err(ElfError::Malformed("unknown class or byte order")),
    }
    if kind != ET_EXEC && kind != ET_DYN {
        return Ok(Reading::SelfContained);
    }
    let segments = segments(bytes)?;
    let Some(dynamic) = segments.1.iter().find(|segment| segment.kind == PT_DYNAMIC) else {
        return Ok(Reading::SelfContained);
    };
    let machine = u16_at(bytes, 18).and_then(Machine::of);
    let machine = machine.ok_or(ElfError::Foreign("unknown processor"))?;
    let (headers_at, segments) = (segments.0, segments.1.clone());
    let (dynamic_at, dynamic) = entries(bytes, dynamic)?;
    let interpreter = interpreter(bytes, &segments)?;
    let value = |tag| {
        live(&dynamic)
            .find(|entry| entry.0 == tag)
            .map(|entry| entry.1)
    };
    let has = |tag| live(&dynamic).any(|entry| entry.0 == tag);
    if interpreter.is_none() && !has(DT_NEEDED) {
        return Ok(Reading::SelfContained);
    }
    let (Some(address), Some(size)) = (value(DT_STRTAB), value(DT_STRSZ)) else {
        return Err(ElfError::Malformed("no dynamic string table"));
    };
    let strings = strings(bytes, &segments, address, size)?;
    let text = |offset: u64| -> Result<Vec<u8>, ElfError> {
        let table = bytes.get(strings.clone()).unwrap_or_default();
        until_nul(table.get(to_usize(offset)..)).ok_or(ElfError::Malformed(
            "a dynamic string lies outside its table",
        ))
    };
    let needed = live(&dynamic)
        .filter(|entry| entry.0 == DT_NEEDED)
        .map(|entry| text(entry.1))
        .collect::<Result<_, _>>()?;
    let search_path = value(DT_RUNPATH)
        .or_else(|| value(DT_RPATH))
        .map(text)
        .transpose()?;
    let soname = value(DT_SONAME).map(text).transpose()?;
    Ok(Reading::Dynamic(Box::new(Elf {
        machine,
        headers_at,
        segments,
        dynamic,
        dynamic_at,
        strings,
        interpreter,
        needed,
        soname,
        search_path,
    })))
}

/// Names of libraries that the file's code may open while it runs: words like `libfoo.so.1`,
/// closed by NUL bytes, that are neither needed nor its own name. In order, without repetition.
#[must_use]
pub fn library_names(bytes: &[u8], elf: &Elf) -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = Vec::new();
    let mut at = 0;
    while let Some(found) = find(bytes.get(at..).unwrap_or_default(), *b".so") {
        let middle = at + found;
        at = middle + 3;
        let start = bytes
            .get(..middle)
            .unwrap_or_default()
            .iter()
            .rev()
            .take(128)
            .take_while(|byte| is_of_a_name(**byte))
            .count();
        let end = bytes
            .get(middle..)
            .unwrap_or_default()
            .iter()
            .take(64)
            .take_while(|byte| is_of_a_name(**byte))
            .count();
        let range = middle - start..middle + end;
        let closed = bytes.get(range.end) == Some(&0)
            && (range.start == 0 || bytes.get(range.start - 1) == Some(&0));
        let Some(name) = bytes
            .get(range)
            .filter(|name| closed && name.starts_with(b"lib"))
        else {
            continue;
        };
        let known = names.iter().chain(&elf.needed).chain(&elf.soname);
        if !known.into_iter().any(|known| known == name) {
            names.push(name.to_vec());
        }
    }
    names
}

fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-+.".contains(&byte)
}

/// The first place of a short word: looks for its first byte, which is far quicker than comparing
/// at each place.
fn find(bytes: &[u8], word: [u8; 3]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += bytes.get(at..)?.iter().position(|byte| *byte == word[0])?;
        if bytes.get(at..)?.starts_with(&word) {
            return Some(at);
        }
        at += 1;
    }
}

fn foreign(kind: u16, what: &'static str) -> Result<Reading, ElfError> {
    // The type reads the same in both byte orders only for what this code skips anyway.
    match kind {
        1 | 0x100 => Ok(Reading::SelfContained),
        _ => Err(ElfError::Foreign(what)),
    }
}

fn segments(bytes: &[u8]) -> Result<(usize, Vec<Segment>), ElfError> {
    const BAD: ElfError = ElfError::Malformed("the program headers lie outside the file");
    let at = u64_at(bytes, 32).map(to_usize).ok_or(BAD)?;
    let size = u16_at(bytes, 54).ok_or(BAD)?;
    let count = usize::from(u16_at(bytes, 56).ok_or(BAD)?);
    if count > 0 && usize::from(size) != PROGRAM_HEADER {
        return Err(ElfError::Malformed("program headers of an unknown size"));
    }
    let end = at.checked_add(count * PROGRAM_HEADER).ok_or(BAD)?;
    let table = bytes.get(at..end).ok_or(BAD)?;
    let segments = table.chunks_exact(PROGRAM_HEADER).map(|header| {
        Some(Segment {
            kind: u32_at(header, 0)?,
            offset: u64_at(header, 8)?,
            address: u64_at(header, 16)?,
            file_size: u64_at(header, 32)?,
            memory_size: u64_at(header, 40)?,
        })
    });
    Ok((at, segments.collect::<Option<_>>().ok_or(BAD)?))
}

type Entries = (usize, Vec<(u64, u64)>);

fn entries(bytes: &[u8], segment: &Segment) -> Result<Entries, ElfError> {
    let range = part(bytes, segment.offset, segment.file_size).ok_or(ElfError::Malformed(
        "the dynamic segment lies outside the file",
    ))?;
    let entries = bytes
        .get(range.clone())
        .unwrap_or_default()
        .chunks_exact(DYNAMIC_ENTRY)
        .filter_map(|entry| Some((u64_at(entry, 0)?, u64_at(entry, 8)?)))
        .collect();
    Ok((range.start, entries))
}

fn interpreter(bytes: &[u8], segments: &[Segment]) -> Result<Option<Vec<u8>>, ElfError> {
    const BAD: ElfError = ElfError::Malformed("the interpreter's name lies outside the file");
    let Some(segment) = segments.iter().find(|segment| segment.kind == PT_INTERP) else {
        return Ok(None);
    };
    let range = part(bytes, segment.offset, segment.file_size).ok_or(BAD)?;
    until_nul(bytes.get(range)).ok_or(BAD).map(Some)
}

fn strings(
    bytes: &[u8],
    segments: &[Segment],
    address: u64,
    size: u64,
) -> Result<Range<usize>, ElfError> {
    let holder = segments.iter().find(|segment| {
        let inside = address.checked_sub(segment.address);
        segment.kind == PT_LOAD && inside.is_some_and(|inside| inside < segment.file_size)
    });
    holder
        .and_then(|segment| {
            let offset = (address - segment.address).checked_add(segment.offset)?;
            part(bytes, offset, size)
        })
        .ok_or(ElfError::Malformed(
            "the dynamic strings lie outside the file",
        ))
}

fn live(dynamic: &[(u64, u64)]) -> impl Iterator<Item = &(u64, u64)> {
    dynamic.iter().take_while(|entry| entry.0 != DT_NULL)
}

/// The part of the file, if it lies inside.
fn part(bytes: &[u8], offset: u64, size: u64) -> Option<Range<usize>> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(size).ok()?)?;
    (end <= bytes.len()).then_some(start..end)
}

fn until_nul(bytes: Option<&[u8]>) -> Option<Vec<u8>> {
    let bytes = bytes?;
    let end = bytes.iter().position(|byte| *byte == 0)?;
    bytes.get(..end).map(<[u8]>::to_vec)
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_le_bytes(bytes.try_into().ok()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

/// An offset as an index; one that no memory can hold becomes an index outside every file.
pub(super) fn to_usize(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}
