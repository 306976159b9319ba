//! The device mapper: a device whose blocks come from others by a rule of the kernel's, its target.
//!
//! ```text
//! struct dm_ioctl {                 struct dm_target_spec {
//!   u32 version[3]                    u64 start, length       in sectors of 512 bytes
//!   u32 data_size, data_start         s32 status
//!   u32 target_count                  u32 next
//!   s32 open_count                    char target_type[16]
//!   u32 flags, event_nr, padding    }
//!   u64 dev                         parameters as text, NUL
//!   char name[128], uuid[129]
//!   char data[7]
//! }
//! ```
//!
//! A device is made in three steps: it gets a name, then a table, then it is resumed, which makes the
//! table the one that counts.
//!
//! Source: the kernel's `include/uapi/linux/dm-ioctl.h`.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// What takes the requests, in `/dev`.
const CONTROL: &str = "mapper/control";
const VERSION: [u32; 3] = [4, 0, 0];
const READ_ONLY: u32 = 1;

#[repr(C)]
#[derive(Clone, Copy)]
struct Request {
    version: [u32; 3],
    data_size: u32,
    data_start: u32,
    target_count: u32,
    open_count: i32,
    flags: u32,
    event: u32,
    padding: u32,
    device: u64,
    name: [u8; 128],
    uuid: [u8; 129],
    data: [u8; 7],
}

/// A request with a table of one target.
#[repr(C)]
struct TableRequest {
    request: Request,
    start: u64,
    length: u64,
    status: i32,
    next: u32,
    target: [u8; 16],
    parameters: [u8; 512],
}

/// Bytes of a request, as the kernel wants to be told.
const REQUEST_BYTES: u32 = 312;
const TABLE_BYTES: u32 = 864;
const _: () = assert!(
    size_of::<Request>() == REQUEST_BYTES as usize
        && size_of::<TableRequest>() == TABLE_BYTES as usize
);

mod request {
    use super::Request;
    nix::ioctl_readwrite!(create, 0xfd, 3, Request);
    nix::ioctl_readwrite!(remove, 0xfd, 4, Request);
    nix::ioctl_readwrite!(suspend, 0xfd, 6, Request);
    nix::ioctl_readwrite!(load_table, 0xfd, 9, Request);
}

/// A device that is read only, of one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapping<'a> {
    /// Its name: at most 127 bytes.
    pub name: &'a str,
    /// What tells it from others, for programs that know its kind: at most 128 bytes.
    pub uuid: &'a str,
    /// Its size in sectors of 512 bytes.
    pub sectors: u64,
    /// The kind of target: at most 15 bytes.
    pub target: &'a str,
    /// What that is told: at most 511 bytes.
    pub parameters: &'a str,
}

/// Makes the device; gives its node. `dev` is `/dev`. If a step fails, there is no device.
///
/// # Errors
/// The kernel's: there is no device mapper or no such target, the name is taken, or the parameters are
/// wrong. A text is too long.
pub fn create(dev: &Path, mapping: &Mapping<'_>) -> io::Result<PathBuf> {
    let control = open(dev)?;
    let named = Request {
        name: text(mapping.name)?,
        ..EMPTY
    };
    let mut create = Request {
        uuid: text(mapping.uuid)?,
        ..named
    };
    let mut table = TableRequest {
        request: Request {
            data_size: TABLE_BYTES,
            target_count: 1,
            flags: READ_ONLY,
            ..named
        },
        start: 0,
        length: mapping.sectors,
        status: 0,
        next: 0,
        target: text(mapping.target)?,
        parameters: text(mapping.parameters)?,
    };
    // SAFETY: the request reads and writes one such structure, whose size is checked above.
    unsafe { request::create(control.as_raw_fd(), &raw mut create) }?;
    // SAFETY: the request reads and writes as many bytes from here as `data_size` says, and those are the
    // structure's, whose size is checked above.
    let loaded = unsafe { request::load_table(control.as_raw_fd(), (&raw mut table).cast()) };
    let resumed = loaded.and_then(|_| {
        let mut resume = named;
        // SAFETY: as for the first request.
        unsafe { request::suspend(control.as_raw_fd(), &raw mut resume) }
    });
    if let Err(errno) = resumed {
        remove(dev, mapping.name)?;
        return Err(errno.into());
    }
    Ok(dev.join(format!("dm-{}", libc::minor(create.device))))
}

/// Removes the device of that name.
///
/// # Errors
/// The kernel's: there is none, or it is in use.
pub fn remove(dev: &Path, name: &str) -> io::Result<()> {
    let control = open(dev)?;
    let mut request = Request {
        name: text(name)?,
        ..EMPTY
    };
    // SAFETY: the request reads and writes one such structure, whose size is checked above.
    unsafe { request::remove(control.as_raw_fd(), &raw mut request) }?;
    Ok(())
}

const EMPTY: Request = Request {
    version: VERSION,
    data_size: REQUEST_BYTES,
    data_start: REQUEST_BYTES,
    target_count: 0,
    open_count: 0,
    flags: 0,
    event: 0,
    padding: 0,
    device: 0,
    name: [0; 128],
    uuid: [0; 129],
    data: [0; 7],
};

/// `text` in a field of the kernel's, with a NUL behind it.
fn text<const N: usize>(text: &str) -> io::Result<[u8; N]> {
    let mut field = [0; N];
    let room = field.split_last_mut().map(|(_, room)| room);
    let place = room.and_then(|room| room.get_mut(..text.len()));
    match place {
        Some(place) if !text.contains('\0') => {
            place.copy_from_slice(text.as_bytes());
            Ok(field)
        }
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("'{text}' does not fit into {N} bytes"),
        )),
    }
}

fn open(dev: &Path) -> io::Result<File> {
    File::options()
        .read(true)
        .write(true)
        .open(dev.join(CONTROL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_device_mapper_the_error_says_so() {
        let nowhere = Path::new("/nowhere");
        let mapping = Mapping {
            name: "store",
            uuid: "",
            sectors: 8,
            target: "zero",
            parameters: "",
        };
        for error in [
            remove(nowhere, "store").unwrap_err(),
            create(nowhere, &mapping).unwrap_err(),
        ] {
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
        }
    }

    #[test]
    fn a_field_keeps_its_last_byte_free() {
        assert_eq!(text::<4>("abc").unwrap(), *b"abc\0");
        assert_eq!(text::<4>("").unwrap(), [0; 4]);
        for bad in ["abcd", "a\0b"] {
            let error = text::<4>(bad).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{bad:?}");
        }
    }
}
