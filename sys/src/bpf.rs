//! Programs that the kernel runs for the processes of a control group: `bpf(2)`.
//!
//! Source: `bpf(2)`, `include/uapi/linux/bpf.h`, `Documentation/bpf/standardization/instruction-set.rst`.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

const PROG_LOAD: libc::c_int = 5;
const PROG_ATTACH: libc::c_int = 8;
const PROG_DETACH: libc::c_int = 9;

/// One instruction, as the kernel has it in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// What is done.
    pub code: u8,
    /// The registers: where to in the low half, where from in the high one.
    pub registers: u8,
    /// How many instructions are skipped, or where in memory.
    pub offset: i16,
    /// A number.
    pub immediate: i32,
}

/// Where in a control group a program decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// Whether a packet comes in.
    Ingress,
    /// Whether a packet goes out.
    Egress,
    /// Whether a device is used.
    Device,
}

impl Point {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ingress, Self::Egress, Self::Device];

    fn kind(self) -> u32 {
        match self {
            Self::Ingress | Self::Egress => 8, // BPF_PROG_TYPE_CGROUP_SKB
            Self::Device => 15,                // BPF_PROG_TYPE_CGROUP_DEVICE
        }
    }

    fn number(self) -> u32 {
        match self {
            Self::Ingress => 0, // BPF_CGROUP_INET_INGRESS
            Self::Egress => 1,  // BPF_CGROUP_INET_EGRESS
            Self::Device => 6,  // BPF_CGROUP_DEVICE
        }
    }
}

/// `union bpf_attr` as far as loading goes; what is behind it counts as zero.
#[repr(C)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

#[repr(C)]
struct Attach {
    group: u32,
    program: u32,
    point: u32,
    flags: u32,
}

/// Has the kernel check and take a program for `point`.
///
/// # Errors
/// The kernel has no BPF (`ENOSYS`), the caller may not (`EPERM`), or the program is refused (`EINVAL`,
/// `EACCES`, `E2BIG`).
pub fn load(point: Point, program: &[Instruction]) -> io::Result<OwnedFd> {
    let license = c"GPL";
    let mut attributes = Load {
        kind: point.kind(),
        count: u32::try_from(program.len()).unwrap_or(u32::MAX),
        instructions: program.as_ptr() as u64,
        license: license.as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
    };
    // SAFETY: the instructions are valid for their count, the licence ends in NUL, and the kernel reads
    // no more of the structure than its size.
    let fd = unsafe { call(PROG_LOAD, &mut attributes) }?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Has `program` decide at `point` for the processes in `group` and below. What decided there before
/// does no more; groups below may have none of their own.
///
/// # Errors
/// The caller may not, or a group above has one that allows no other (`EPERM`).
pub fn attach(group: BorrowedFd<'_>, program: BorrowedFd<'_>, point: Point) -> io::Result<()> {
    let mut attributes = Attach {
        group: number(group),
        program: number(program),
        point: point.number(),
        flags: 0,
    };
    // SAFETY: the kernel reads no more of the structure than its size.
    unsafe { call(PROG_ATTACH, &mut attributes) }.map(drop)
}

/// Takes away what decides at `point` for `group`. That there is nothing is no error.
///
/// # Errors
/// The caller may not.
pub fn detach(group: BorrowedFd<'_>, point: Point) -> io::Result<()> {
    let mut attributes = Attach {
        group: number(group),
        program: 0,
        point: point.number(),
        flags: 0,
    };
    // SAFETY: as for attaching.
    match unsafe { call(PROG_DETACH, &mut attributes) } {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        done => done.map(drop),
    }
}

fn number(descriptor: BorrowedFd<'_>) -> u32 {
    u32::try_from(descriptor.as_raw_fd()).unwrap_or(u32::MAX)
}

/// # Safety
/// The structure is what the command takes, and what it points to is valid.
unsafe fn call<T>(command: libc::c_int, attributes: &mut T) -> io::Result<RawFd> {
    // SAFETY: as the caller promises.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attributes),
            size_of::<T>(),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(RawFd::try_from(result).unwrap_or(-1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_are_as_the_kernel_has_them() {
        assert_eq!(size_of::<Instruction>(), 8);
        assert_eq!(size_of::<Load>(), 48);
        assert_eq!(size_of::<Attach>(), 16);
    }
}
