//! Devices that a service may use: `/dev/null rw`, `char-pts`, `block-* r`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A kind of devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    /// Disks and their like.
    Block,
    /// All others.
    Char,
}

/// What may be done with a device, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceAccess(u32);

impl DeviceAccess {
    const WORDS: [(char, u32); 3] = [('m', 1), ('r', 2), ('w', 4)];

    /// 1: nodes of it may be made. 2: it may be read. 4: it may be written.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }
}

/// A device, or a group of them, and what may be done with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AllowedDevice {
    /// A path, of which the last part may be a pattern; or a kind and the name of a driver, which may be a
    /// pattern.
    pub name: String,
    /// The kind, if it is no path.
    pub kind: Option<DeviceKind>,
    /// What may be done.
    pub access: DeviceAccess,
}

/// Why a text names no device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no device, such as '/dev/null rw', 'char-pts' or 'block-sd* r'")]
pub struct NoDevice(String);

impl AllowedDevice {
    /// The driver's name, if it is no path.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        self.kind?;
        self.name.split_once('-').map(|(_, driver)| driver)
    }
}

impl FromStr for AllowedDevice {
    type Err = NoDevice;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || NoDevice(text.to_owned());
        let mut words = text.split_ascii_whitespace();
        let name = words.next().ok_or_else(error)?;
        let access = words.next().unwrap_or("rwm");
        if words.next().is_some() {
            return Err(error());
        }
        let kind = match name.split_once('-') {
            _ if name.starts_with('/') => None,
            Some(("char", driver)) if !driver.is_empty() => Some(DeviceKind::Char),
            Some(("block", driver)) if !driver.is_empty() => Some(DeviceKind::Block),
            _ => return Err(error()),
        };
        let mut bits = 0;
        for letter in access.chars() {
            let mut known = DeviceAccess::WORDS.into_iter();
            let (_, bit) = known.find(|(word, _)| *word == letter).ok_or_else(error)?;
            bits |= bit;
        }
        Ok(Self {
            name: name.to_owned(),
            kind,
            access: DeviceAccess(bits),
        })
    }
}

impl fmt::Display for AllowedDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = DeviceAccess::WORDS.into_iter();
        let words = words.filter(|(_, bit)| self.access.0 & bit != 0);
        let access: String = words.map(|(word, _)| word).collect();
        write!(f, "{} {access}", self.name)
    }
}

impl TryFrom<String> for AllowedDevice {
    type Error = NoDevice;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<AllowedDevice> for String {
    fn from(device: AllowedDevice) -> Self {
        device.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn devices_and_what_is_none() {
        for (text, expected) in [
            ("/dev/null rw", "/dev/null rw"),
            ("/dev/sda", "/dev/sda mrw"),
            ("char-pts wr", "char-pts rw"),
            ("block-* r", "block-* r"),
        ] {
            let device: AllowedDevice = text.parse().unwrap();
            assert_eq!(device.to_string(), expected);
        }
        let pts: AllowedDevice = "char-pts".parse().unwrap();
        assert_eq!(pts.group(), Some("pts"));
        for text in ["", "null", "char-", "/dev/null x", "/dev/null r w", "tty-x"] {
            assert!(text.parse::<AllowedDevice>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "[ a-z/*-]{0,20}") {
            if let Ok(device) = text.parse::<AllowedDevice>() {
                prop_assert_eq!(device.to_string().parse().map(|again: AllowedDevice| again.to_string()), Ok(device.to_string()));
            }
        }
    }
}
