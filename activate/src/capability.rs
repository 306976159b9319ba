//! File capabilities as the kernel stores them in `security.capability`.
//!
//! ```text
//! u32 revision and flags: 0x02000000 (v2) or 0x03000000 (v3), bit 0 = effective   little-endian
//! u32 permitted, u32 inheritable       capabilities 0..=31
//! u32 permitted, u32 inheritable       capabilities 32..=63
//! u32 root id                          v3 only: the user namespace's root that they hold for
//! ```
//! Source: `struct vfs_ns_cap_data` in Linux' include/uapi/linux/capability.h; capabilities(7).

/// Name of the extended attribute.
pub(crate) const ATTRIBUTE: &std::ffi::CStr = c"security.capability";

const REVISION_2: u32 = 0x0200_0000;
const REVISION_3: u32 = 0x0300_0000;
const EFFECTIVE: u32 = 1;

/// By number, from 0.
const NAMES: [&str; 41] = [
    "cap_chown",
    "cap_dac_override",
    "cap_dac_read_search",
    "cap_fowner",
    "cap_fsetid",
    "cap_kill",
    "cap_setgid",
    "cap_setuid",
    "cap_setpcap",
    "cap_linux_immutable",
    "cap_net_bind_service",
    "cap_net_broadcast",
    "cap_net_admin",
    "cap_net_raw",
    "cap_ipc_lock",
    "cap_ipc_owner",
    "cap_sys_module",
    "cap_sys_rawio",
    "cap_sys_chroot",
    "cap_sys_ptrace",
    "cap_sys_pacct",
    "cap_sys_admin",
    "cap_sys_boot",
    "cap_sys_nice",
    "cap_sys_resource",
    "cap_sys_time",
    "cap_sys_tty_config",
    "cap_mknod",
    "cap_lease",
    "cap_audit_write",
    "cap_audit_control",
    "cap_setfcap",
    "cap_mac_override",
    "cap_mac_admin",
    "cap_syslog",
    "cap_wake_alarm",
    "cap_block_suspend",
    "cap_audit_read",
    "cap_perfmon",
    "cap_bpf",
    "cap_checkpoint_restore",
];

/// A set of capabilities, permitted and effective.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities(u64);

/// A name that is no capability's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a capability; see capabilities(7), names are like cap_net_raw")]
pub struct UnknownCapability(String);

impl Capabilities {
    /// The set of the given names, such as `cap_net_raw`, in either case.
    ///
    /// # Errors
    /// A name is unknown.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownCapability> {
        names.into_iter().try_fold(Self(0), |set, name| {
            let number = NAMES
                .iter()
                .position(|known| known.eq_ignore_ascii_case(name))
                .ok_or_else(|| UnknownCapability(name.to_owned()))?;
            Ok(Self(set.0 | 1 << number))
        })
    }

    /// One bit a capability, as the kernel numbers them.
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The attribute's bytes: revision 2, or revision 3 with the root user of a user namespace.
    #[must_use]
    pub fn encode(self, namespace_root: Option<u32>) -> Vec<u8> {
        let revision = match namespace_root {
            None => REVISION_2,
            Some(_) => REVISION_3,
        };
        let mut bytes = (revision | EFFECTIVE).to_le_bytes().to_vec();
        for permitted in self.0.to_le_bytes().chunks(4) {
            bytes.extend(permitted);
            bytes.extend(0_u32.to_le_bytes());
        }
        bytes.extend(namespace_root.map(u32::to_le_bytes).into_iter().flatten());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `getfattr -e hex` prints it.
    fn hex(bytes: &[u8]) -> String {
        let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        digits.concat()
    }

    #[test]
    fn encodes_as_setcap_does() {
        // `setcap cap_net_raw+ep FILE; getfattr -e hex -n security.capability FILE`
        let set = Capabilities::parse(["cap_net_raw"]).unwrap();
        assert_eq!(
            hex(&set.encode(None)),
            "0100000200200000000000000000000000000000"
        );
        // `setcap -n 1000 cap_net_admin,cap_bpf+ep FILE`
        let set = Capabilities::parse(["CAP_NET_ADMIN", "cap_bpf"]).unwrap();
        assert_eq!(
            hex(&set.encode(Some(1000))),
            "0100000300100000000000008000000000000000e8030000"
        );
    }

    #[test]
    fn unknown_names_are_refused() {
        let error = Capabilities::parse(["cap_fly"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "'cap_fly' is not a capability; see capabilities(7), names are like cap_net_raw"
        );
    }
}
