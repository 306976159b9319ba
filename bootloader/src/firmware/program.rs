//! A program that firmware can start, by the partition that it is on.
//!
//! ```text
//! node          u8 type, u8 subtype, u16 length of it all, then
//! hard drive    4, 1: u32 number, u64 first block, u64 blocks, [u8; 16] GUID, u8 2 (GPT), u8 2 (a GUID)
//! file          4, 4: its path in UTF-16 with backslashes, closed by a zero
//! end           0x7f, 0xff
//! ```
//!
//! Source: UEFI specification 2.10, 10.3.5.1, 10.3.5.4 and 10.3.1.

/// Type and subtype of a partition.
const HARD_DRIVE: [u8; 2] = [4, 1];
/// Type and subtype of a file's path.
const FILE: [u8; 2] = [4, 4];
/// Type and subtype of the end, which has no content.
const END: [u8; 2] = [0x7f, 0xff];
/// A table of GUIDs, whose partitions are told by a GUID.
const BY_GUID: [u8; 2] = [2, 2];
/// Bytes before a node's content.
const HEADER: usize = 4;

/// Characters that a program's path has at most.
pub const PROGRAM_LIMIT: usize = 255;

/// A file on a partition of a GPT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The partition's number in its table.
    pub number: u32,
    /// Its first block.
    pub start: u64,
    /// How many blocks it has, in the disk's own size.
    pub blocks: u64,
    /// Its GUID, in the table's order of bytes.
    pub guid: [u8; 16],
    /// The file's path there, `\EFI\BOOT\BOOTX64.EFI`.
    pub path: String,
}

impl Program {
    /// Whether the two are one file: the partition's GUID and the path tell, and FAT knows no case.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.guid == other.guid && self.path.eq_ignore_ascii_case(&other.path)
    }

    /// The device path.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut drive = Vec::new();
        drive.extend(self.number.to_le_bytes());
        drive.extend(self.start.to_le_bytes());
        drive.extend(self.blocks.to_le_bytes());
        drive.extend(self.guid);
        drive.extend(BY_GUID);
        let path = self.path.encode_utf16().chain([0]);
        let path: Vec<u8> = path.flat_map(u16::to_le_bytes).collect();
        [node(HARD_DRIVE, &drive), node(FILE, &path), node(END, &[])].concat()
    }

    /// The program of a device path; none if it leads to something else.
    pub(super) fn parse(mut bytes: &[u8]) -> Option<Self> {
        let drive = content(&mut bytes, HARD_DRIVE)?;
        let path = content(&mut bytes, FILE)?;
        content(&mut bytes, END)?;
        let (number, rest) = drive.split_first_chunk::<4>()?;
        let (start, rest) = rest.split_first_chunk::<8>()?;
        let (blocks, rest) = rest.split_first_chunk::<8>()?;
        let (guid, rest) = rest.split_first_chunk::<16>()?;
        let units: Vec<u16> = path
            .chunks_exact(2)
            .filter_map(|unit| Some(u16::from_le_bytes(unit.try_into().ok()?)))
            .take_while(|unit| *unit != 0)
            .collect();
        (rest == BY_GUID).then_some(Self {
            number: u32::from_le_bytes(*number),
            start: u64::from_le_bytes(*start),
            blocks: u64::from_le_bytes(*blocks),
            guid: *guid,
            path: String::from_utf16(&units).ok()?,
        })
    }
}

/// A node of a few bytes: its length cannot be too long for it.
fn node(kind: [u8; 2], content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(HEADER + content.len()).unwrap_or(u16::MAX);
    [&kind, &length.to_le_bytes(), content].concat()
}

/// Takes the content of the next node, if it is of that kind.
fn content<'a>(bytes: &mut &'a [u8], kind: [u8; 2]) -> Option<&'a [u8]> {
    let (header, _) = bytes.split_first_chunk::<HEADER>()?;
    let [kind_found, subtype, low, high] = *header;
    let length = usize::from(u16::from_le_bytes([low, high]));
    let content = bytes.get(HEADER..length)?;
    *bytes = bytes.get(length..)?;
    ([kind_found, subtype] == kind).then_some(content)
}
