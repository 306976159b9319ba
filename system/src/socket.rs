//! What a service of kind `socket` listens on, and who is given it.
//!
//! Source: `systemd.socket(5)`, whose options mean the same here.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::name::{ServiceName, UserName};

/// Sockets that are open before their service runs, and stay so while it restarts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of the kernel's, with one of systemd's"
)]
pub struct Socket {
    /// Started when something comes in, and given all of them; with `accept`, the template of the
    /// services that are each given one connection.
    pub service: ServiceName,
    /// What is listened on, in the order in which the service is given it.
    pub listen: Vec<Listen>,
    /// Connections are taken here, each for a service of its own.
    #[serde(default)]
    pub accept: bool,
    /// How many connections may be served at once with `accept`.
    #[serde(default = "Socket::default_max_connections")]
    pub max_connections: u32,
    /// The same for each address, or user where there are none; 0 is no bound.
    #[serde(default)]
    pub max_connections_per_source: u32,
    /// What the service is told that they are called; the socket's own name if absent.
    #[serde(default)]
    pub descriptor_name: Option<String>,
    /// Connections that wait to be taken.
    #[serde(default = "Socket::default_backlog")]
    pub backlog: u32,
    /// Whether a port of all IPv6 addresses is one of IPv4's too; the kernel's setting if absent.
    #[serde(default)]
    pub ipv6_only: Option<bool>,
    /// Addresses need not exist yet.
    #[serde(default)]
    pub free_bind: bool,
    /// Others may listen on the same port.
    #[serde(default)]
    pub reuse_port: bool,
    /// Connections are probed while nothing is said.
    #[serde(default)]
    pub keep_alive: bool,
    /// What is written is sent at once.
    #[serde(default)]
    pub no_delay: bool,
    /// Messages come with their sender's process and user.
    #[serde(default)]
    pub pass_credentials: bool,
    /// Permission bits of files that are made, written in octal.
    #[serde(with = "crate::octal", default = "Socket::default_mode")]
    pub mode: u32,
    /// The same for directories that are made on the way to them.
    #[serde(with = "crate::octal", default = "Socket::default_directory_mode")]
    pub directory_mode: u32,
    /// Owner of the files; root if absent.
    #[serde(default)]
    pub user: Option<UserName>,
    /// Their group; the user's primary group if absent.
    #[serde(default)]
    pub group: Option<UserName>,
    /// Links to the file, of which there is one.
    #[serde(default)]
    pub links: Vec<String>,
}

impl Socket {
    /// 64.
    #[must_use]
    pub fn default_max_connections() -> u32 {
        64
    }

    /// As many as the kernel allows (`net.core.somaxconn`).
    #[must_use]
    pub fn default_backlog() -> u32 {
        u32::MAX
    }

    /// Everybody may connect.
    #[must_use]
    pub fn default_mode() -> u32 {
        0o666
    }

    /// Everybody may look.
    #[must_use]
    pub fn default_directory_mode() -> u32 {
        0o755
    }
}

/// One thing that is listened on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Listen {
    /// Connections: TCP, or a socket in the file system.
    Stream(Address),
    /// Datagrams: UDP, or a socket in the file system.
    Datagram(Address),
    /// Connections of datagrams, on a socket in the file system.
    SequentialPacket(Address),
    /// What is written to a pipe of this path.
    Fifo(FilePath),
    /// What this file of the kernel has to say.
    Special(FilePath),
    /// Messages of this family of netlink, and its groups as bits.
    Netlink(NetlinkFamily),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(address @ Address::Internet(_)) => write!(f, "tcp {address}"),
            Self::Datagram(address @ Address::Internet(_)) => write!(f, "udp {address}"),
            Self::Stream(address) => write!(f, "{address}"),
            Self::Datagram(address) => write!(f, "datagrams at {address}"),
            Self::SequentialPacket(address) => write!(f, "packets at {address}"),
            Self::Fifo(path) => write!(f, "pipe {path}"),
            Self::Special(path) => write!(f, "file {path}"),
            Self::Netlink(family) => write!(f, "netlink {family}"),
        }
    }
}

/// Why an address is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no address to listen on; examples are 22, 127.0.0.1:22, [::1]:22, /run/x.socket, @name"
)]
pub struct AddressError(String);

/// Where a socket is, as units write it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Address {
    /// A port of an address; a bare number is that port of all addresses.
    Internet(SocketAddr),
    /// An absolute path.
    Path(FilePath),
    /// A name that is in no file system, written with `@`.
    Abstract(String),
}

/// Longest path or name of a socket in bytes: `sun_path` but for its NUL.
const LONGEST: usize = 107;

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        let address = if text.starts_with('/') && text.len() <= LONGEST {
            FilePath::try_from(text.clone()).ok().map(Self::Path)
        } else if let Some(name) = text.strip_prefix('@') {
            let fits = !name.is_empty() && text.len() <= LONGEST && !name.contains('\0');
            fits.then(|| Self::Abstract(name.to_owned()))
        } else if text.bytes().all(|byte| byte.is_ascii_digit()) {
            let port = text.parse().ok().filter(|port| *port != 0);
            port.map(|port| Self::Internet((IpAddr::V6(Ipv6Addr::UNSPECIFIED), port).into()))
        } else {
            let address = text.parse::<SocketAddr>().ok();
            address.filter(|a| a.port() != 0).map(Self::Internet)
        };
        address.ok_or(AddressError(text))
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        match &address {
            Address::Internet(internet) if internet.ip() == Ipv6Addr::UNSPECIFIED => {
                internet.port().to_string()
            }
            _ => address.to_string(),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Internet(address) => write!(f, "{address}"),
            Self::Path(path) => write!(f, "{path}"),
            Self::Abstract(name) => write!(f, "@{name}"),
        }
    }
}

/// Why a path is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no absolute path")]
pub struct FilePathError(String);

/// An absolute path without `.` and `..` in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FilePath(String);

impl FilePath {
    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for FilePath {
    type Error = FilePathError;

    fn try_from(path: String) -> Result<Self, FilePathError> {
        let mut parts = path.split('/').skip(1);
        let is_one = path.starts_with('/')
            && !path.contains('\0')
            && parts.all(|part| part != "." && part != "..");
        if is_one {
            Ok(Self(path))
        } else {
            Err(FilePathError(path))
        }
    }
}

impl From<FilePath> for String {
    fn from(path: FilePath) -> Self {
        path.0
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a family of netlink is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' is no family of netlink with groups; known are {}",
    known_families()
)]
pub struct NetlinkError {
    text: String,
}

/// A family of netlink, and the groups to listen to, such as `kobject-uevent 1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NetlinkFamily {
    /// Its number, of `linux/netlink.h`.
    pub protocol: u8,
    /// Bits.
    pub groups: u32,
}

/// Names and numbers of `linux/netlink.h`.
const FAMILIES: [(&str, u8); 9] = [
    ("route", 0),
    ("sock-diag", 4),
    ("nflog", 5),
    ("selinux", 7),
    ("audit", 9),
    ("netfilter", 12),
    ("kobject-uevent", 15),
    ("generic", 16),
    ("crypto", 21),
];

fn known_families() -> String {
    FAMILIES.map(|(name, _)| name).join(", ")
}

impl TryFrom<String> for NetlinkFamily {
    type Error = NetlinkError;

    fn try_from(text: String) -> Result<Self, NetlinkError> {
        let (name, groups) = text.split_once(' ').unwrap_or((text.as_str(), "0"));
        let family = FAMILIES.iter().find(|(known, _)| *known == name);
        match (family, groups.trim().parse()) {
            (Some((_, protocol)), Ok(groups)) => Ok(Self {
                protocol: *protocol,
                groups,
            }),
            _ => Err(NetlinkError { text }),
        }
    }
}

impl From<NetlinkFamily> for String {
    fn from(family: NetlinkFamily) -> Self {
        family.to_string()
    }
}

impl fmt::Display for NetlinkFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = FAMILIES
            .iter()
            .find(|(_, number)| *number == self.protocol)
            .map_or("?", |(name, _)| name);
        write!(f, "{name} {}", self.groups)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use proptest::prelude::*;

    #[test]
    fn addresses() {
        let texts = [
            "22",
            "0",
            "65536",
            "127.0.0.1:22",
            "[::1]:22",
            "[fe80::1%2]:22",
            "::1:22",
            "localhost:22",
            "/run/x",
            "/run/../x",
            "@x",
            "@",
            "",
            "x",
        ];
        let lines = texts.map(|text| match Address::try_from(text.to_owned()) {
            Ok(address) => format!("{address} = {}", String::from(address.clone())),
            Err(error) => error.to_string(),
        });
        expect![[r"
            [::]:22 = 22
            '0' is no address to listen on; examples are 22, 127.0.0.1:22, [::1]:22, /run/x.socket, @name
            '65536' is no address to listen on; examples are 22, 127.0.0.1:22, [::1]:22, /run/x.socket, @name
            127.0.0.1:22 = 127.0.0.1:22
            [::1]:22 = [::1]:22
            [fe80::1%2]:22 = [fe80::1%2]:22
            '::1:22' is no address to listen on; examples are 22, 127.0.0.1:22, [::1]:22, /run/x.socket, @name
            'localhost:22' is no address to listen on; examples are 22, 127.0.0.1:22, [::1]:22, /run/x.socket, @name
            /run/x = /run/x
            '/run/../x' is no address to listen on; examples are 22, 127.0.0.1:22, [::1]:22, /run/x.socket, @name
            @x = @x
            '@' is no address to listen on; examples are 22, 127.0.0.1:22, [::1]:22, /run/x.socket, @name
            '' is no address to listen on; examples are 22, 127.0.0.1:22, [::1]:22, /run/x.socket, @name
            'x' is no address to listen on; examples are 22, 127.0.0.1:22, [::1]:22, /run/x.socket, @name"]]
        .assert_eq(&lines.join("\n"));
    }

    #[test]
    fn families() {
        let family = NetlinkFamily::try_from("kobject-uevent 1".to_owned()).unwrap();
        assert_eq!((family.protocol, family.groups), (15, 1));
        assert_eq!(family.to_string(), "kobject-uevent 1");
        assert!(NetlinkFamily::try_from("route x".to_owned()).is_err());
        assert!(NetlinkFamily::try_from("nothing".to_owned()).is_err());
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_the_same(text: String, path in "/[a-z./]{0,120}", port: u16) {
            for text in [text, path, format!("[::]:{port}"), port.to_string()] {
                if let Ok(address) = Address::try_from(text) {
                    let written = String::from(address.clone());
                    prop_assert_eq!(Address::try_from(written), Ok(address));
                }
            }
        }
    }
}
