//! All that a disk's partition table says about it and its partitions, for those who name devices by it.
//!
//! ```text
//! MBR       446 four entries of 16: 0 flags  4 type  8 first sector  12 sectors
//! extended  a type of 05, 0F or 85: sectors like an MBR, a chain; the first entry is a partition,
//!           counted from this sector, the second the next link, counted from the first of the chain
//! ```
//!
//! The numbers are the kernel's: logical partitions begin with 5. Sectors of the table are the disk's own, those given
//! here are of 512 bytes, as the kernel's are.
//!
//! Source: UEFI specification 2.10, section 5; the kernel's `block/partitions/msdos.c` for the chain.

use std::io;

use super::Source;
use super::field::{array, guid, le32, le64, utf16_label};
use super::table::{self, Mbr};

/// So many links of a chain are followed.
const LINKS: u32 = 128;
/// The first number of a logical partition.
const FIRST_LOGICAL: u32 = 5;

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// GUID partition table.
    Gpt,
    /// Master boot record.
    Mbr,
}

impl Scheme {
    /// `blkid`'s name of it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gpt => "gpt",
            Self::Mbr => "dos",
        }
    }
}

/// A disk's partition table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partitions {
    /// How it is written.
    pub scheme: Scheme,
    /// The disk's GUID, or the eight digits of an MBR's signature.
    pub uuid: Option<String>,
    /// In the order of their numbers.
    pub entries: Vec<Partition>,
}

impl Partitions {
    /// The partition that the kernel gave this number.
    #[must_use]
    pub fn entry(&self, number: u32) -> Option<&Partition> {
        self.entries.iter().find(|entry| entry.number == number)
    }
}

/// What a table says of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// From 1 on.
    pub number: u32,
    /// The type: a GUID, or `0x83` and the like of an MBR.
    pub kind: String,
    /// The GUID, or `<signature>-<number>`.
    pub uuid: Option<String>,
    /// The GPT's name.
    pub label: Option<String>,
    /// The attributes of a GPT's entry, or the first byte of an MBR's, of which 0x80 is that it is booted from.
    pub flags: u64,
    /// The first sector, of 512 bytes.
    pub first: u64,
    /// How many sectors of 512 bytes.
    pub sectors: u64,
}

/// Reads the table of a disk of `size` bytes with sectors of `sector` bytes.
///
/// # Errors
/// The disk's; a damaged table is no error but `None`.
pub fn read(source: &mut dyn Source, sector: u32, size: u64) -> io::Result<Option<Partitions>> {
    let head = source.read_at(0, 512)?;
    let Some(mbr) = Mbr::parse(&head) else {
        return Ok(None);
    };
    let scale = u64::from(sector / 512).max(1);
    if mbr.protective {
        let found = table::gpt(source, sector, size)?;
        return Ok(found.map(|(header, entries)| Partitions {
            scheme: Scheme::Gpt,
            uuid: header.disk.clone(),
            entries: header
                .split(&entries)
                .zip(1..)
                .filter_map(|(entry, number)| gpt_entry(entry, number, scale))
                .collect(),
        }));
    }
    let Some(primary) = Entry::four(&head) else {
        return Ok(None);
    };
    let mut found: Vec<(u32, Entry)> = (1..).zip(primary).collect();
    let chain = primary.iter().find(|entry| entry.is_extended());
    if let Some(chain) = chain {
        found.extend(logical(source, chain.first, scale)?);
    }
    let is_used = |(_, entry): &(u32, Entry)| entry.kind != 0 && entry.sectors > 0;
    Ok(Some(Partitions {
        scheme: Scheme::Mbr,
        uuid: (mbr.signature != 0).then(|| format!("{:08x}", mbr.signature)),
        entries: found
            .into_iter()
            .filter(is_used)
            .map(|(number, entry)| entry.partition(number, mbr.signature, scale))
            .collect(),
    }))
}

fn gpt_entry(entry: &[u8], number: u32, scale: u64) -> Option<Partition> {
    let (first, last) = (le64(entry, 32)?, le64(entry, 40)?);
    let sectors = last.checked_sub(first)?.saturating_add(1);
    Some(Partition {
        number,
        kind: guid(entry, 0)?, // zero where nothing is
        uuid: guid(entry, 16),
        label: utf16_label(entry, 56, 36),
        flags: le64(entry, 48)?,
        first: first.saturating_mul(scale),
        sectors: sectors.saturating_mul(scale),
    })
}

/// An entry of an MBR, or of a link of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    flags: u8,
    kind: u8,
    first: u64,
    sectors: u64,
}

impl Entry {
    /// None if what is there is the code of a boot sector, whose file system fills the disk.
    fn four(sector: &[u8]) -> Option<[Self; 4]> {
        let read = |offset| {
            let [flags, _, _, _, kind] = array(sector, offset)?;
            Some(Self {
                flags,
                kind,
                first: le32(sector, offset + 8)?.into(),
                sectors: le32(sector, offset + 12)?.into(),
            })
        };
        let entries = [read(446)?, read(462)?, read(478)?, read(494)?];
        let is_one = entries.iter().all(|entry| matches!(entry.flags, 0 | 0x80));
        is_one.then_some(entries)
    }

    fn is_extended(&self) -> bool {
        matches!(self.kind, 0x05 | 0x0F | 0x85)
    }

    fn partition(self, number: u32, signature: u32, scale: u64) -> Partition {
        Partition {
            number,
            kind: format!("{:#x}", self.kind),
            uuid: (signature != 0).then(|| format!("{signature:08x}-{number:02x}")),
            label: None,
            flags: self.flags.into(),
            first: self.first.saturating_mul(scale),
            sectors: self.sectors.saturating_mul(scale),
        }
    }
}

/// The logical partitions of the chain that begins at the sector `start`.
fn logical(source: &mut dyn Source, start: u64, scale: u64) -> io::Result<Vec<(u32, Entry)>> {
    let mut found = Vec::new();
    let mut number = FIRST_LOGICAL;
    let mut link = start;
    for _ in 0..LINKS {
        let bytes = source.read_at(link.saturating_mul(scale).saturating_mul(512), 512)?;
        let is_link = bytes.get(510..512) == Some(&[0x55, 0xAA]);
        let Some(entries) = Entry::four(&bytes).filter(|_| is_link) else {
            break;
        };
        for entry in entries {
            if !entry.is_extended() && entry.kind != 0 && entry.sectors > 0 {
                let first = entry.first.saturating_add(link);
                found.push((number, Entry { first, ..entry }));
                number += 1;
            }
        }
        let Some(next) = entries.iter().find(|entry| entry.is_extended()) else {
            break;
        };
        let next = start.saturating_add(next.first);
        if next <= link {
            break; // a chain that leads back has no end
        }
        link = next;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::process::{Command, Stdio};

    use expect_test::{Expect, expect};

    use super::*;

    const SIZE: u64 = 32 << 20;

    /// The table that `sfdisk` makes of a script.
    fn check(script: &str, expected: &Expect) {
        use std::io::Write as _;
        let folder = tempfile::tempdir().unwrap();
        let disk = folder.path().join("disk");
        File::create(&disk).unwrap().set_len(SIZE).unwrap();
        let mut tool = Command::new("/usr/sbin/sfdisk")
            .args(["--quiet", "--no-reread", "--no-tell-kernel"])
            .arg(&disk)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("sfdisk: {error}; run: apt-get install fdisk"));
        let mut input = tool.stdin.take().unwrap();
        input.write_all(script.as_bytes()).unwrap();
        drop(input);
        assert!(tool.wait().unwrap().success());
        let bytes = fs::read(&disk).unwrap();
        let table = read(&mut bytes.as_slice(), 512, SIZE).unwrap().unwrap();
        let mut text = format!("{} {:?}\n", table.scheme.name(), table.uuid);
        for entry in table.entries {
            let line = format!(
                "{} {}+{} {} {:?} {:?} {:#x}\n",
                entry.number,
                entry.first,
                entry.sectors,
                entry.kind,
                entry.uuid,
                entry.label,
                entry.flags
            );
            text.push_str(&line);
        }
        expected.assert_eq(&text);
    }

    #[test]
    fn an_mbr_with_logical_partitions() {
        check(
            "label: dos\nlabel-id: 0x1234abcd\n\
             start=2048, size=2048, type=83, bootable\n\
             start=4096, size=30000, type=5\n\
             start=6144, size=2048, type=82\n\
             start=10240, size=4096, type=83\n",
            &expect![[r#"
                dos Some("1234abcd")
                1 2048+2048 0x83 Some("1234abcd-01") None 0x80
                2 4096+30000 0x5 Some("1234abcd-02") None 0x0
                5 6144+2048 0x82 Some("1234abcd-05") None 0x0
                6 10240+4096 0x83 Some("1234abcd-06") None 0x0
            "#]],
        );
    }

    #[test]
    fn a_gpt() {
        check(
            "label: gpt\nlabel-id: 11111111-2222-3333-4444-555555555555\n\
             start=2048, size=2048, type=U, name=\"EFI system\", uuid=aaaaaaaa-2222-3333-4444-555555555555\n\
             4: start=4096, size=4096, type=L, attrs=\"GUID:63\", uuid=bbbbbbbb-2222-3333-4444-555555555555\n",
            &expect![[r#"
                gpt Some("11111111-2222-3333-4444-555555555555")
                1 2048+2048 c12a7328-f81f-11d2-ba4b-00a0c93ec93b Some("aaaaaaaa-2222-3333-4444-555555555555") Some("EFI system") 0x0
                4 4096+4096 0fc63daf-8483-4772-8e79-3d69d8477de4 Some("bbbbbbbb-2222-3333-4444-555555555555") None 0x8000000000000000
            "#]],
        );
    }

    #[test]
    fn a_boot_sectors_code_is_no_table() {
        let mut sector = vec![0x41; 512];
        sector[510..].copy_from_slice(&[0x55, 0xAA]);
        assert_eq!(read(&mut sector.as_slice(), 512, SIZE).unwrap(), None);
    }

    #[test]
    fn a_chain_that_leads_back_ends() {
        let mut disk = vec![0; 1 << 20];
        for place in [0, 512] {
            disk[place + 446 + 4] = 5;
            disk[place + 446 + 8] = 1;
            disk[place + 446 + 12] = 9;
            disk[place + 510..place + 512].copy_from_slice(&[0x55, 0xAA]);
        }
        disk[512 + 446 + 8] = 0;
        let table = read(&mut disk.as_slice(), 512, 1 << 20).unwrap().unwrap();
        assert_eq!(table.entries.len(), 1);
    }
}
