//! What a service's processes are kept from.

use std::ops::Deref;

use serde::{Deserialize, Serialize};

use crate::address_range::AddressRange;
use crate::device::AllowedDevice;
use crate::name::ServiceName;
use crate::service::Service;
use crate::system_calls::SystemCallFilter;

/// The confinement of a service; by default, there is none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Confinement {
    /// What it has for itself and not in common with others.
    #[serde(default)]
    pub own: Vec<Own>,
    /// Temporary files, network and queues of its own are those of all services with this name here: the name
    /// of one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_as: Option<ServiceName>,
    /// What it may do where; of two for the same path the later counts, and the deeper of others.
    #[serde(default)]
    pub paths: Vec<PathAccess>,
    /// What it sees beside or in place of what is there; a mount on `/` is its root.
    #[serde(default)]
    pub mounts: Vec<ServiceMount>,
    /// Files with a path of the store on each line, which it sees in its own root.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub closures: Vec<String>,
    /// What `/proc` shows it.
    #[serde(default)]
    pub processes: ProcessView,
    /// Capabilities that it cannot have, of those that it could.
    #[serde(default)]
    pub dropped_capabilities: Vec<String>,
    /// Which system calls it may make; the strictest counts.
    #[serde(default)]
    pub system_calls: Vec<SystemCallFilter>,
    /// Which sockets it may make; absent: all.
    #[serde(default)]
    pub address_families: Option<AddressFamilies>,
    /// Which namespaces it may make or enter; absent: all.
    #[serde(default)]
    pub namespaces: Option<Vec<Namespace>>,
    /// What else it may not do.
    #[serde(default)]
    pub forbidden: Vec<Forbidden>,
    /// Devices that it may use; absent: all that its user may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices: Option<DeviceFence>,
    /// Whom it may exchange packets with.
    #[serde(default, skip_serializing_if = "AddressFence::is_none")]
    pub addresses: AddressFence,
}

/// Devices that a service may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceFence {
    /// Those, and no other.
    #[serde(default)]
    pub allowed: Vec<AllowedDevice>,
    /// Where the kernel lets nobody set bounds, as in a container, there are none.
    #[serde(default)]
    pub optional: bool,
}

/// Whom a service may exchange packets with: what is allowed counts before what is denied, and all else is
/// allowed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddressFence {
    /// Those, whatever is denied.
    #[serde(default)]
    pub allowed: Vec<AddressRange>,
    /// Not those.
    #[serde(default)]
    pub denied: Vec<AddressRange>,
}

impl AddressFence {
    /// Whether it lets everything through.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// That of one process; most have none, and take no memory for it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Confinement", into = "Confinement")]
pub struct Confined(Option<Box<Confinement>>);

static NONE: Confinement = Confinement {
    own: Vec::new(),
    shared_as: None,
    paths: Vec::new(),
    mounts: Vec::new(),
    closures: Vec::new(),
    processes: ProcessView {
        visible: Visible::All,
        only_processes: false,
    },
    dropped_capabilities: Vec::new(),
    system_calls: Vec::new(),
    address_families: None,
    namespaces: None,
    forbidden: Vec::new(),
    devices: None,
    addresses: AddressFence {
        allowed: Vec::new(),
        denied: Vec::new(),
    },
};

impl Confinement {
    /// Whether it keeps from nothing.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == NONE
    }
}

/// The first service whose root cannot be.
pub(crate) fn contradiction(services: &[Service]) -> Option<String> {
    services.iter().find_map(|service| {
        let Confinement {
            mounts, closures, ..
        } = &*service.process.confinement;
        let problem = match mounts.iter().filter(|mount| mount.target == "/").count() {
            0 if !closures.is_empty() => {
                "is to see a part of the store alone, and has no root of its own"
            }
            0 | 1 => return None,
            _ => "is to see several things as its root",
        };
        Some(format!("service '{}' {problem}", service.name))
    })
}

impl Deref for Confined {
    type Target = Confinement;

    fn deref(&self) -> &Confinement {
        self.0.as_deref().unwrap_or(&NONE)
    }
}

impl From<Confinement> for Confined {
    fn from(confinement: Confinement) -> Self {
        Self((!confinement.is_none()).then(|| Box::new(confinement)))
    }
}

impl From<Confined> for Confinement {
    fn from(confined: Confined) -> Self {
        confined.0.map_or_else(Self::default, |inner| *inner)
    }
}

impl PartialEq for Confined {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Confined {}

/// What a service can have for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Own {
    /// `/tmp` and `/var/tmp`, empty at its start and removed when it has stopped.
    TemporaryFiles,
    /// A `/dev` with pseudo-devices alone.
    Devices,
    /// A network with a loopback interface alone.
    Network,
    /// Message queues, semaphores and shared memory.
    Ipc,
    /// A host name.
    HostName,
    /// Users: root and its own; all others are nobody.
    Users,
    /// Mounts that it makes are not seen by others.
    Mounts,
}

/// What may be done below a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PathAccess {
    /// Absolute path.
    pub path: String,
    /// What.
    pub access: Access,
    /// That it does not exist is no obstacle.
    #[serde(default)]
    pub optional: bool,
}

/// What may be done with a path, beside what its owner and mode allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Reading.
    ReadOnly,
    /// Reading and writing.
    ReadWrite,
    /// Nothing.
    Inaccessible,
    /// Executing what is there.
    Executable,
    /// Everything but executing.
    NotExecutable,
}

/// A mount that only one service sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceMount {
    /// Absolute path of what is seen; absent: an empty file system in memory.
    #[serde(default)]
    pub source: Option<String>,
    /// Absolute path of where it is seen; made if it does not exist and can be.
    pub target: String,
    /// It may only be read.
    #[serde(default)]
    pub read_only: bool,
    /// Without what is mounted below the source.
    #[serde(default)]
    pub flat: bool,
    /// That the source does not exist is no obstacle.
    #[serde(default)]
    pub optional: bool,
    /// Options of the file system in memory, such as `size=10M,mode=0755`.
    #[serde(default)]
    pub options: String,
}

/// What `/proc` shows a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProcessView {
    /// Whose processes.
    #[serde(default)]
    pub visible: Visible,
    /// Processes alone, and nothing of the kernel.
    #[serde(default)]
    pub only_processes: bool,
}

/// Which processes a service sees in `/proc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Visible {
    /// All.
    #[default]
    All,
    /// All, but of other users' processes nothing more than that they are there.
    NoAccess,
    /// Those of its user.
    Own,
    /// Those that it may trace.
    Traceable,
}

/// A list of families of sockets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressFamilies {
    /// These alone.
    Only(Vec<AddressFamily>),
    /// All but these.
    Except(Vec<AddressFamily>),
}

macro_rules! address_families {
    ($($variant:ident $name:literal $number:literal,)*) => {
        /// A family of sockets, by its name in `socket(2)`.
        ///
        /// Source: Linux' include/linux/socket.h.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[expect(missing_docs, reason = "they are the kernel's names")]
        pub enum AddressFamily {
            $(#[serde(rename = $name)] $variant = $number,)*
        }
    };
}

address_families! {
    Unix "AF_UNIX" 1,
    Inet "AF_INET" 2,
    Ax25 "AF_AX25" 3,
    Ipx "AF_IPX" 4,
    Appletalk "AF_APPLETALK" 5,
    Inet6 "AF_INET6" 10,
    Key "AF_KEY" 15,
    Netlink "AF_NETLINK" 16,
    Packet "AF_PACKET" 17,
    Rds "AF_RDS" 21,
    Pppox "AF_PPPOX" 24,
    Llc "AF_LLC" 26,
    Ib "AF_IB" 27,
    Mpls "AF_MPLS" 28,
    Can "AF_CAN" 29,
    Tipc "AF_TIPC" 30,
    Bluetooth "AF_BLUETOOTH" 31,
    Rxrpc "AF_RXRPC" 33,
    Phonet "AF_PHONET" 35,
    Ieee802154 "AF_IEEE802154" 36,
    Alg "AF_ALG" 38,
    Nfc "AF_NFC" 39,
    Vsock "AF_VSOCK" 40,
    Kcm "AF_KCM" 41,
    Qipcrtr "AF_QIPCRTR" 42,
    Smc "AF_SMC" 43,
    Xdp "AF_XDP" 44,
}

impl AddressFamily {
    /// The kernel's number of it.
    #[must_use]
    pub fn number(self) -> u16 {
        self as u16
    }
}

/// A kind of namespace, `namespaces(7)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Namespace {
    /// Control groups.
    Cgroup,
    /// Message queues and the like.
    Ipc,
    /// Network.
    Net,
    /// Mounts.
    Mnt,
    /// Process numbers.
    Pid,
    /// Users.
    User,
    /// Host name.
    Uts,
    /// Clocks.
    Time,
}

impl Namespace {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Cgroup,
        Self::Ipc,
        Self::Net,
        Self::Mnt,
        Self::Pid,
        Self::User,
        Self::Uts,
        Self::Time,
    ];

    /// The kernel's flag of it, `CLONE_NEW…`.
    #[must_use]
    pub fn flag(self) -> u32 {
        match self {
            Self::Time => 0x0000_0080,
            Self::Mnt => 0x0002_0000,
            Self::Cgroup => 0x0200_0000,
            Self::Uts => 0x0400_0000,
            Self::Ipc => 0x0800_0000,
            Self::User => 0x1000_0000,
            Self::Pid => 0x2000_0000,
            Self::Net => 0x4000_0000,
        }
    }
}

/// What a service may not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Forbidden {
    /// To be scheduled in real time.
    RealTime,
    /// To give a file the setuid or setgid bit.
    SetIdFiles,
    /// To change what kind of system the kernel looks like, `personality(2)`.
    Personality,
    /// To have memory that can be written and executed, or executed after it was written.
    WritableCode,
    /// To execute programs of another architecture.
    OtherArchitectures,
}
