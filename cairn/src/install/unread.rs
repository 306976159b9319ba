//! Partitions that a table has and the kernel does not show, as on a loop device, or after a program
//! that was ended before it told the kernel.
//!
//! What only the kernel was asked for would look like an empty disk.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::disks::Partition;
use super::listing::plain;
use crate::program;

/// The answer of `sfdisk --json`.
#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(rename = "partitiontable")]
    table: Table,
}

#[derive(Debug, Deserialize)]
struct Table {
    #[serde(rename = "sectorsize")]
    sector: Option<u64>,
    #[serde(default)]
    partitions: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    node: PathBuf,
    size: u64,
    #[serde(rename = "type")]
    kind: Option<String>,
    name: Option<String>,
}

/// The partitions in the table of `disk`; nothing if `sfdisk` does not know such tables.
///
/// # Errors
/// There is no `sfdisk`, or its answer is of another form.
pub fn partitions(disk: &Path) -> Result<Option<Vec<Partition>>> {
    let output = program::command("sfdisk")
        .arg("--json")
        .arg(disk)
        .output()
        .context("cannot run sfdisk; it is in Debian's package fdisk")?;
    if !output.status.success() {
        return Ok(None);
    }
    parse(&String::from_utf8_lossy(&output.stdout)).map(Some)
}

fn parse(text: &str) -> Result<Vec<Partition>> {
    let answer: Answer = serde_json::from_str(text).context("cannot read what sfdisk wrote")?;
    let sector = answer.table.sector.unwrap_or(512);
    let parts = answer.table.partitions.into_iter();
    Ok(parts
        .map(|part| Partition {
            path: part.node,
            bytes: part.size.saturating_mul(sector),
            name: plain(part.name.as_ref()),
            kind: plain(part.kind.as_ref()),
            file_system: None,
            label: None,
            last_mount: None,
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn what_sfdisk_tells() {
        let text = r#"{"partitiontable": {
          "label":"gpt", "id":"A", "device":"/dev/loop0", "unit":"sectors", "firstlba":2048,
          "lastlba":20446, "sectorsize":512,
          "partitions": [
            {"node":"/dev/loop0p1", "start":2048, "size":2048,
             "type":"0FC63DAF-8483-4772-8E79-3D69D8477DE4", "uuid":"B", "name":"cairn-unfinished"}
          ]}}"#;
        expect![[r#"
            [
                Partition {
                    path: "/dev/loop0p1",
                    bytes: 1048576,
                    name: Some(
                        "cairn-unfinished",
                    ),
                    kind: Some(
                        "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
                    ),
                    file_system: None,
                    label: None,
                    last_mount: None,
                },
            ]
        "#]]
        .assert_debug_eq(&parse(text).unwrap());
        let empty =
            r#"{"partitiontable": {"label":"dos", "device":"/dev/loop0", "unit":"sectors"}}"#;
        assert_eq!(parse(empty).unwrap(), []);
        parse("{}").unwrap_err();
    }
}
