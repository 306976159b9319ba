//! Giving an ELF file another interpreter and search path, in place.
//!
//! The new strings do not fit where the old ones are, so a new read-only segment is appended:
//!
//! ```text
//! end of the file, aligned to 16
//!   mark[16]                      "CAIRN relocated\0": a second patch is refused
//!   dynamic entries               only if the old table has no spare DT_NULL for DT_RUNPATH
//!   interpreter, NUL              only for programs
//!   the dynamic strings as they were, then the search path, NUL
//! ```
//!
//! - A `PT_NOTE` header becomes its `PT_LOAD`. Of several, the one is taken that `PT_GNU_PROPERTY` covers
//!   as well, so that the build id stays visible; it moves behind the last `PT_LOAD`, for loadable
//!   segments must be in ascending order.
//! - A spare `DT_NULL` becomes `DT_RUNPATH` (or an old `DT_RUNPATH` or `DT_RPATH` is used), `DT_STRTAB` and
//!   `DT_STRSZ` lead to the copied strings. If there is no spare entry, the table itself moves into
//!   the new segment, which is writable then, as the loader writes into it.
//! - The section headers of `.interp`, `.dynstr` and `.dynamic` follow, for tools that read them.
//!
//! The address is congruent to the file offset modulo the page size, as mmap(2) needs it: no
//! padding to a page is written. A patched file must not be stripped: that would drop the segment.
//!
//! Source: System V gABI, "Program Loading"; the Linux kernel's `fs/binfmt_elf.c`.

use super::elf::{
    DT_NULL, DT_RPATH, DT_RUNPATH, DT_STRSZ, DT_STRTAB, DYNAMIC_ENTRY, Elf, ElfError, MARK,
    PROGRAM_HEADER, PT_DYNAMIC, PT_GNU_PROPERTY, PT_INTERP, PT_LOAD, PT_NOTE, u16_at, u32_at,
    u64_at,
};

const PF_W: u32 = 2;
const PF_R: u32 = 4;
const SHF_ALLOC: u64 = 2;
const SECTION_HEADER: usize = 64;

/// What a file is to be given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// The dynamic loader; only for files that name one.
    pub interpreter: Option<&'a [u8]>,
    /// The search path, `:` between folders; empty for none.
    pub search_path: &'a [u8],
}

/// The bytes that change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// File offset and new bytes, all inside the old file.
    pub edits: Vec<(u64, Vec<u8>)>,
    /// Bytes to add at the old end.
    pub appended: Vec<u8>,
}

impl Patch {
    /// The patched file.
    #[cfg(test)]
    pub fn apply(&self, bytes: &[u8]) -> Vec<u8> {
        let mut patched = bytes.to_vec();
        for (at, edit) in &self.edits {
            let at = super::elf::to_usize(*at);
            if let Some(room) = patched.get_mut(at..at + edit.len()) {
                room.copy_from_slice(edit);
            }
        }
        patched.extend_from_slice(&self.appended);
        patched
    }
}

/// Works out how to give `wanted` to the file.
///
/// # Errors
/// The file has no room for a segment, or its parts do not fit together.
pub fn plan(bytes: &[u8], elf: &Elf, wanted: Wanted<'_>) -> Result<Patch, ElfError> {
    let start = bytes.len().next_multiple_of(16);
    let address = new_address(elf, start as u64)?;
    let mut segment = Segment {
        start: start as u64,
        address,
        bytes: MARK.to_vec(),
    };
    let mut edits = Vec::new();
    let mut dynamic = elf.dynamic.clone();
    let mut moved = None;
    if !wanted.search_path.is_empty() {
        moved = place_search_path(&mut dynamic);
    }
    if let Some(count) = moved {
        segment.bytes.resize(MARK.len() + count * DYNAMIC_ENTRY, 0);
    }
    let interpreter = match (&elf.interpreter, wanted.interpreter) {
        (Some(_), Some(new)) => Some(segment.push(&[new, b"\0"])),
        _ => None,
    };
    if !wanted.search_path.is_empty() {
        let old = bytes.get(elf.strings.clone()).unwrap_or_default();
        let strings = segment.push(&[old, wanted.search_path, b"\0"]);
        for entry in &mut dynamic {
            match entry.0 {
                DT_STRTAB => entry.1 = strings.address,
                DT_STRSZ => entry.1 = strings.size,
                DT_RUNPATH => entry.1 = old.len() as u64,
                DT_NULL => break,
                _ => {}
            }
        }
        edits.extend(section_edit(bytes, elf.strings.start as u64, &strings));
    }
    let table: Vec<u8> = dynamic
        .iter()
        .flat_map(|(tag, value)| [tag.to_le_bytes(), value.to_le_bytes()])
        .flatten()
        .collect();
    let table_part = moved.map(|_| Part {
        offset: segment.start + MARK.len() as u64,
        address: address + MARK.len() as u64,
        size: table.len() as u64,
    });
    if let Some(part) = &table_part {
        if let Some(room) = segment.bytes.get_mut(MARK.len()..MARK.len() + table.len()) {
            room.copy_from_slice(&table);
        }
        edits.extend(section_edit(bytes, elf.dynamic_at as u64, part));
    } else if dynamic != elf.dynamic {
        edits.push((elf.dynamic_at as u64, table));
    }
    if let (Some(part), Some(old)) = (&interpreter, segment_of(elf, PT_INTERP)) {
        edits.extend(section_edit(bytes, old.offset, part));
    }
    let headers = headers(
        bytes,
        elf,
        &segment,
        interpreter.as_ref(),
        table_part.as_ref(),
    )?;
    edits.push((elf.headers_at as u64, headers));
    let mut appended = vec![0; start - bytes.len()];
    appended.extend_from_slice(&segment.bytes);
    Ok(Patch { edits, appended })
}

/// A part of the new segment.
struct Part {
    offset: u64,
    address: u64,
    size: u64,
}

struct Segment {
    start: u64,
    address: u64,
    bytes: Vec<u8>,
}

impl Segment {
    fn push(&mut self, pieces: &[&[u8]]) -> Part {
        let before = self.bytes.len() as u64;
        for piece in pieces {
            self.bytes.extend_from_slice(piece);
        }
        Part {
            offset: self.start + before,
            address: self.address + before,
            size: self.bytes.len() as u64 - before,
        }
    }
}

/// Behind everything that the file has in memory, congruent to the file offset.
fn new_address(elf: &Elf, start: u64) -> Result<u64, ElfError> {
    const BAD: ElfError = ElfError::Malformed("its segments leave no address free");
    let page = elf.machine.page();
    let loads = elf
        .segments
        .iter()
        .filter(|segment| segment.kind == PT_LOAD);
    let ends = loads.map(|segment| segment.address.checked_add(segment.memory_size));
    let end = ends.collect::<Option<Vec<_>>>().ok_or(BAD)?;
    let end = end.into_iter().max().ok_or(BAD)?;
    end.checked_next_multiple_of(page)
        .and_then(|end| end.checked_add(start % page))
        // Room for the segment itself, and for whoever adds to it.
        .filter(|address| *address < 1 << 56)
        .ok_or(BAD)
}

/// Makes an entry `DT_RUNPATH`. Returns the number of entries if the table had to grow.
fn place_search_path(dynamic: &mut Vec<(u64, u64)>) -> Option<usize> {
    let end = dynamic
        .iter()
        .position(|entry| entry.0 == DT_NULL)
        .unwrap_or(dynamic.len());
    let live = || dynamic.iter().take(end);
    if live().any(|entry| entry.0 == DT_RUNPATH) {
        return None;
    }
    if let Some(old) = live().position(|entry| entry.0 == DT_RPATH) {
        if let Some(entry) = dynamic.get_mut(old) {
            entry.0 = DT_RUNPATH;
        }
        return None;
    }
    // The table must still end with a DT_NULL.
    let has_spare = dynamic.get(end + 1).is_some_and(|entry| entry.0 == DT_NULL);
    if has_spare {
        if let Some(entry) = dynamic.get_mut(end) {
            entry.0 = DT_RUNPATH;
        }
        return None;
    }
    dynamic.truncate(end);
    dynamic.extend([(DT_RUNPATH, 0), (DT_NULL, 0)]);
    Some(dynamic.len())
}

fn segment_of(elf: &Elf, kind: u32) -> Option<&super::elf::Segment> {
    elf.segments.iter().find(|segment| segment.kind == kind)
}

/// Which program header is given up.
fn victim(elf: &Elf) -> Option<usize> {
    let property = segment_of(elf, PT_GNU_PROPERTY);
    let notes = || {
        let all = elf.segments.iter().enumerate();
        all.filter(|(_, segment)| segment.kind == PT_NOTE)
    };
    let covered =
        notes().find(|(_, note)| property.is_some_and(|other| other.offset == note.offset));
    covered
        .or_else(|| notes().next_back())
        .map(|(number, _)| number)
        .or_else(|| {
            elf.segments
                .iter()
                .position(|segment| segment.kind == PT_GNU_PROPERTY)
        })
}

/// The new table of program headers; as long as the old one.
fn headers(
    bytes: &[u8],
    elf: &Elf,
    segment: &Segment,
    interpreter: Option<&Part>,
    dynamic: Option<&Part>,
) -> Result<Vec<u8>, ElfError> {
    let victim = victim(elf).ok_or(ElfError::NoRoom)?;
    let length = elf.segments.len() * PROGRAM_HEADER;
    let old = bytes
        .get(elf.headers_at..elf.headers_at + length)
        .ok_or(ElfError::Malformed(
            "the program headers lie outside the file",
        ))?;
    let last_load = elf
        .segments
        .iter()
        .rposition(|segment| segment.kind == PT_LOAD);
    let mut new = Vec::with_capacity(length);
    for (number, header) in old.chunks_exact(PROGRAM_HEADER).enumerate() {
        if number != victim {
            let kind = u32_at(header, 0).unwrap_or_default();
            let moved = match kind {
                PT_INTERP => interpreter,
                PT_DYNAMIC => dynamic,
                _ => None,
            };
            match moved {
                Some(part) => {
                    new.extend_from_slice(header.get(..8).unwrap_or_default());
                    for value in [
                        part.offset,
                        part.address,
                        part.address,
                        part.size,
                        part.size,
                    ] {
                        new.extend_from_slice(&value.to_le_bytes());
                    }
                    new.extend_from_slice(header.get(48..).unwrap_or_default());
                }
                None => new.extend_from_slice(header),
            }
        }
        if Some(number) == last_load {
            new.extend_from_slice(&load_header(elf, segment, dynamic.is_some()));
        }
    }
    debug_assert_eq!(new.len(), length, "one header for another");
    Ok(new)
}

fn load_header(elf: &Elf, segment: &Segment, writable: bool) -> Vec<u8> {
    let flags = if writable { PF_R | PF_W } else { PF_R };
    let size = segment.bytes.len() as u64;
    let mut header = Vec::with_capacity(PROGRAM_HEADER);
    header.extend_from_slice(&PT_LOAD.to_le_bytes());
    header.extend_from_slice(&flags.to_le_bytes());
    let page = elf.machine.page();
    for value in [
        segment.start,
        segment.address,
        segment.address,
        size,
        size,
        page,
    ] {
        header.extend_from_slice(&value.to_le_bytes());
    }
    header
}

/// Moves the section header of the loaded section at `offset`. Files without section headers, or
/// with wrong ones, run all the same: nothing is changed then.
fn section_edit(bytes: &[u8], offset: u64, part: &Part) -> Option<(u64, Vec<u8>)> {
    let table = usize::try_from(u64_at(bytes, 40)?).ok()?;
    if usize::from(u16_at(bytes, 58)?) != SECTION_HEADER {
        return None;
    }
    let count = usize::from(u16_at(bytes, 60)?);
    (0..count).find_map(|number| {
        let at = table.checked_add(number * SECTION_HEADER)?;
        let header = bytes.get(at..at.checked_add(SECTION_HEADER)?)?;
        let is_loaded = u64_at(header, 8)? & SHF_ALLOC != 0;
        let is_it = is_loaded && u64_at(header, 24)? == offset && u64_at(header, 32)? > 0;
        is_it.then(|| {
            let values = [part.address, part.offset, part.size];
            let new = values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect();
            (at as u64 + 16, new)
        })
    })
}

#[cfg(test)]
mod tests;
