//! The device manager on this machine: `cairn devices`, which is `udevadm` by another name.
//!
//! Rules and what they decide are in `cairn_devices`; here is what people and scripts ask of them.

pub mod info;
pub mod monitor;
pub mod named;
pub mod serve;
pub mod settle;
pub mod test;
pub mod trigger;
pub mod verify;

/// A line for a terminal and for scripts: what a device says of itself is neither another line nor a command to a terminal.
fn shown(line: &str) -> String {
    line.replace(char::is_control, "_")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_line_is_one_line() {
        assert_eq!(
            super::shown("NAME=\"x\nID_BUS=usb \u{1b}[2J é\u{9b}\""),
            "NAME=\"x_ID_BUS=usb _[2J é_\""
        );
    }
}
