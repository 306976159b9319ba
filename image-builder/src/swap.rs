//! The header of a swap space.
//!
//! ```text
//! 1024  version, number of the last page, number of bad pages   u32 each, little-endian
//! 1036  UUID            16 bytes
//! 1052  label           16 bytes
//! 4086  "SWAPSPACE2"
//! ```
//! Nothing else of the space has to be written.
//!
//! Source: the kernel's `include/linux/swap.h` (`union swap_header`), `mkswap(8)`.

use std::io;

use uuid::Uuid;

use crate::region::Region;

const PAGE: usize = 4096;
/// The longest label, in bytes.
pub(crate) const LABEL: usize = 16;
const SIGNATURE: &[u8; 10] = b"SWAPSPACE2";

/// Makes all of `region` a swap space.
pub(crate) fn write(region: &Region<'_>, uuid: Uuid, label: &str) -> io::Result<()> {
    region.write_at(&header(region.length(), uuid, label)?, 0)
}

fn header(size: u64, uuid: Uuid, label: &str) -> io::Result<Vec<u8>> {
    let pages = u32::try_from(size / PAGE as u64).map_err(io::Error::other)?;
    let last = pages
        .checked_sub(1)
        .filter(|last| *last > 0)
        .ok_or_else(|| io::Error::other("a swap space has two pages at the least"))?;
    if label.len() > LABEL {
        return Err(io::Error::other(
            "the label of a swap space has at most 16 bytes",
        ));
    }
    let mut header = vec![0; 1024];
    for number in [1, last, 0] {
        header.extend_from_slice(&number.to_le_bytes());
    }
    header.extend_from_slice(uuid.as_bytes());
    header.extend_from_slice(label.as_bytes());
    header.resize(PAGE - SIGNATURE.len(), 0);
    header.extend_from_slice(SIGNATURE);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::process::Command;

    #[test]
    fn what_cannot_be_is_refused() {
        for (size, label, wanted) in [
            (4096, "", "a swap space has two pages at the least"),
            (
                1 << 20,
                "a label that is long",
                "the label of a swap space has at most 16 bytes",
            ),
        ] {
            let error = header(size, Uuid::nil(), label).unwrap_err();
            assert_eq!(error.to_string(), wanted);
        }
        assert!(header(1 << 45, Uuid::nil(), "").is_err());
    }

    #[test]
    fn mkswap_writes_the_same() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("swap");
        let uuid = Uuid::from_u128(0x0123_4567_89ab_8cde_8f01_2345_6789_abcd);
        std::fs::File::create(&file)
            .unwrap()
            .set_len(3 << 20)
            .unwrap();
        let args = ["-q", "-L", "swap", "-U", &uuid.to_string()].map(str::to_owned);
        let output = Command::new("mkswap")
            .args(args.iter().map(OsStr::new))
            .arg(&file)
            .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
            .output()
            .unwrap_or_else(|error| panic!("mkswap: {error}; apt-get install util-linux"));
        assert!(output.status.success(), "{output:?}");
        let theirs = std::fs::read(&file).unwrap();
        let mut ours = header(3 << 20, uuid, "swap").unwrap();
        ours.resize(theirs.len(), 0);
        assert!(ours == theirs);
    }
}
