//! Swap space under a key of the moment, which is forgotten when the machine ends.
//!
//! Invariant: what has a file system, a partition table or is part of something is not overwritten: the
//! description may be wrong, or devices have changed their names.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use cairn_system::RandomEncryption;

use crate::stage1::block::Block;
use crate::stage1::hardware::Hardware;
use crate::stage1::tool::Tool;

/// What may be there before: nothing known, or swap space without encryption.
const OVERWRITTEN: [&str; 3] = ["", "swap", "swsuspend"];

/// The device that is to be swap space; it is new, and holds nothing, if the second is `true`.
///
/// # Errors
/// Its device is not there, holds something, or cannot be encrypted.
pub fn open(
    wanted: &RandomEncryption,
    hardware: &mut Hardware,
    timeout: Duration,
) -> anyhow::Result<(PathBuf, bool)> {
    let node = Path::new("/dev/mapper").join(wanted.name.as_str());
    if node.exists() {
        return Ok((node, false));
    }
    let below = hardware
        .wait_for(&wanted.device, "swap", timeout)
        .map_err(|_| anyhow::anyhow!("there is no such device; check swapDevices"))?
        .node;
    hardware.with_blocks(|blocks| {
        let block = blocks.all().find(|block| blocks.node(block) == below);
        check(block.context("it is no block device")?)
    })?;
    let shown = below.display().to_string();
    let options = options(wanted);
    let mut arguments = vec!["open", "--type=plain"];
    arguments.extend(options.iter().map(String::as_str));
    arguments.extend([shown.as_str(), wanted.name.as_str()]);
    let tool = Tool {
        program: Path::new(&wanted.program),
        arguments: &arguments,
        environment: &[("DM_DISABLE_UDEV", "1")],
        work: &format!("the encryption of {shown}"),
    };
    let ended = tool
        .run(b"")
        .with_context(|| format!("cannot run {}", wanted.program))?;
    ensure!(
        ended.status == 0,
        "cryptsetup ended with status {}: {}",
        ended.status,
        ended.last_line()
    );
    Ok((node, true))
}

fn check(block: &Block) -> anyhow::Result<()> {
    if !OVERWRITTEN.contains(&block.kind()) || block.table.is_some() {
        bail!(
            "/dev/{} is not overwritten, since it holds something: {block}",
            block.name
        );
    }
    Ok(())
}

fn options(wanted: &RandomEncryption) -> Vec<String> {
    let mut options = vec![
        format!("--cipher={}", wanted.cipher),
        format!("--key-file={}", wanted.source),
    ];
    options.extend(wanted.key_bits.map(|bits| format!("--key-size={bits}")));
    let sector = wanted.sector_bytes;
    options.extend(sector.map(|bytes| format!("--sector-size={bytes}")));
    if wanted.allow_discards {
        options.push("--allow-discards".to_owned());
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_probe::Contents;
    use cairn_probe::table::Table;

    fn block(kind: Option<&'static str>, table: Option<Table>) -> Block {
        Block {
            name: "vdb".to_owned(),
            size: 1 << 30,
            contents: kind.map(|kind| Contents {
                kind,
                label: None,
                uuid: None,
            }),
            mapper: None,
            partition: None,
            table,
            problem: None,
        }
    }

    #[test]
    fn what_holds_something_is_not_overwritten() {
        for kind in [None, Some("swap"), Some("swsuspend")] {
            assert!(check(&block(kind, None)).is_ok(), "{kind:?}");
        }
        let error = check(&block(Some("ext4"), None)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "/dev/vdb is not overwritten, since it holds something: /dev/vdb         1.0 GiB  ext4"
        );
        assert!(check(&block(None, Some(Table::Mbr(1)))).is_err());
    }

    #[test]
    fn options_are_as_described() {
        let wanted: RandomEncryption = serde_json::from_str(
            r#"{"device": "/dev/vdb", "name": "swap", "program": "/bin/cryptsetup",
                "cipher": "aes-xts-plain64", "keyBits": 512, "source": "/dev/urandom",
                "allowDiscards": true}"#,
        )
        .unwrap();
        let expected = [
            "--cipher=aes-xts-plain64",
            "--key-file=/dev/urandom",
            "--key-size=512",
            "--allow-discards",
        ];
        assert_eq!(options(&wanted), expected);
    }
}
