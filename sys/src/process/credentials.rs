//! Who a process is.

use super::Prepared;
use super::child::{Done, check};
use super::user_map::Mapper;

/// Who a process runs as.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Credentials {
    /// User id, real, effective and saved.
    pub uid: u32,
    /// Group id, real, effective and saved.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

impl Prepared {
    /// Becomes the user that it is for (of a parent that is not root: stays that one), with the rights that are left to it. Async-signal-safe.
    pub(super) unsafe fn become_user(&self, mapper: Option<Mapper>) -> Done<'_> {
        let (user, attributes) = (&self.credentials, &self.attributes);
        // SAFETY: only system calls on memory prepared by the parent. Raw ones: the C library's would
        // try to bring other threads along.
        unsafe {
            if libc::geteuid() != 0 {
                // Whoever has no rights starts what is the same.
                return attributes.set_privileges();
            }
            let groups = user.groups.as_slice();
            if !(user.uid == 0 && groups.is_empty()) {
                let set = libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr());
                check(set, c"set the supplementary groups")?;
            }
            if let Some(mapper) = mapper {
                mapper.enter()?;
            }
            let gid = user.gid;
            let set = libc::syscall(libc::SYS_setresgid, gid, gid, gid);
            check(set, c"set the group")?;
            attributes.drop_capabilities()?;
            if attributes.ambient != 0 {
                let kept = libc::prctl(libc::PR_SET_KEEPCAPS, 1, 0, 0, 0);
                check(kept, c"keep capabilities")?;
            }
            let uid = user.uid;
            let set = libc::syscall(libc::SYS_setresuid, uid, uid, uid);
            check(set, c"set the user")?;
            attributes.set_privileges()
        }
    }
}
