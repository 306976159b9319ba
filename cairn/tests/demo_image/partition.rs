//! Partitions of an image as files of their own, found by sgdisk.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::run::say;

const SECTOR: u64 = 512;

/// Copies partition `number` of `image` into `folder`, holes staying holes.
pub fn extract(image: &Path, number: u32, folder: &Path) -> PathBuf {
    let table = say("sgdisk", |sgdisk| {
        sgdisk.args(["-i", &number.to_string()]).arg(image);
    });
    let sector = |label: &str| -> u64 {
        let line = table.lines().find_map(|line| line.strip_prefix(label));
        let digits = line.and_then(|rest| rest.split_whitespace().next());
        digits
            .unwrap_or_else(|| panic!("no {label} in {table}"))
            .parse()
            .unwrap()
    };
    let (first, last) = (sector("First sector:"), sector("Last sector:"));
    let output = folder.join(format!("partition-{number}"));
    let mut copy = File::create(&output).unwrap();
    let mut source = File::open(image).unwrap();
    source.seek(SeekFrom::Start(first * SECTOR)).unwrap();
    let length = (last + 1 - first) * SECTOR;
    let mut source = source.take(length);
    let mut block = vec![0; 1 << 20];
    loop {
        let read = source.read(&mut block).unwrap();
        if read == 0 {
            break;
        }
        if block[..read].iter().all(|&byte| byte == 0) {
            copy.seek(SeekFrom::Current(i64::try_from(read).unwrap()))
                .unwrap();
        } else {
            copy.write_all(&block[..read]).unwrap();
        }
    }
    copy.set_len(length).unwrap();
    output
}

/// The number of the partition whose name is `label`.
pub fn named(image: &Path, label: &str) -> u32 {
    let table = say("sgdisk", |sgdisk| {
        sgdisk.arg("-p").arg(image);
    });
    let row = table
        .lines()
        .find(|line| line.split_whitespace().last() == Some(label));
    let number = row.and_then(|row| row.split_whitespace().next());
    number
        .unwrap_or_else(|| panic!("no partition {label}:\n{table}"))
        .parse()
        .unwrap()
}
