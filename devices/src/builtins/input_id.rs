//! `input_id`: what kind of input device this is, by the keys and axes that it has. `libinput` takes devices by it.
//!
//! ```text
//! capabilities/{ev,key,rel,abs}, properties   words of 64 bits in hexadecimal, the highest first
//! ```
//!
//! `ID_INPUT_WIDTH_MM` and `ID_INPUT_HEIGHT_MM` are not given: how far axes reach is not in sysfs, and the node is not
//! opened for it; who needs a touchpad's size asks the node, as `libinput` does.
//!
//! Source: the kernel's `include/uapi/linux/input-event-codes.h` and `Documentation/input/event-codes.rst`.

use std::ops::Range;

use super::put;
use crate::device::{Device, Properties};

const EV_KEY: usize = 0x01;
const EV_REL: usize = 0x02;
const EV_SW: usize = 0x05;

const KEY_LOWEST: Range<usize> = 1..32; // Escape, the digits, the first row of letters
const KEYS: Range<usize> = 1..0x100;
/// Keys above the buttons.
const HIGH_KEYS: [Range<usize>; 2] = [0x160..0x220, 0x230..0x2C0];
/// Left Ctrl, Insert, Mute, Calc, File, Mail, Play/Pause, Brightness Down, Caps Lock, Num Lock.
const USUAL_KEYS: [usize; 10] = [29, 58, 69, 110, 113, 140, 144, 155, 164, 224];

const BTN_0: usize = 0x100;
const MOUSE_BUTTONS: Range<usize> = 0x110..0x120;
/// Of joysticks and gamepads; the direction pad; the 40 that have no other name.
const JOYSTICK_BUTTONS: [Range<usize>; 3] = [0x120..0x140, 0x220..0x224, 0x2C0..0x2E8];
const BTN_TOOL_PEN: usize = 0x140;
const BTN_TOOL_FINGER: usize = 0x145;
const BTN_TOUCH: usize = 0x14A;
const BTN_STYLUS: usize = 0x14B;

const REL_X: usize = 0x00;
const REL_Y: usize = 0x01;
const REL_HWHEEL: usize = 0x06;
const REL_WHEEL: usize = 0x08;

const ABS_X: usize = 0x00;
const ABS_Y: usize = 0x01;
const ABS_Z: usize = 0x02;
/// From RX to the fourth hat.
const JOYSTICK_AXES: Range<usize> = 0x03..0x18;
const ABS_MT_SLOT: usize = 0x2F;
const ABS_MT_POSITION_X: usize = 0x35;
const ABS_MT_POSITION_Y: usize = 0x36;

const PROPERTY_DIRECT: usize = 0x01;
const PROPERTY_POINTING_STICK: usize = 0x05;
const PROPERTY_ACCELEROMETER: usize = 0x06;

const BUS_I2C: &str = "0018";

/// `ID_INPUT` and one or more kinds of `device`, or of the input device that it is a node of.
pub(super) fn find(device: &Device) -> Option<Properties> {
    let input = device
        .lineage()
        .take_while(|above| above.subsystem() == Some("input"))
        .find(|above| above.attribute("capabilities/ev").is_some())?;
    let mut found = Properties::new();
    put(&mut found, "ID_INPUT", "1");
    for kind in Abilities::of(&input).kinds() {
        put(&mut found, &format!("ID_INPUT_{kind}"), "1");
    }
    Some(found)
}

/// A set of numbers as the kernel writes it.
#[derive(Debug, Clone, Default)]
struct Bits(Vec<u64>);

impl Bits {
    fn parse(text: &str) -> Self {
        // The highest code is below 0x300: what is longer is no such set.
        let words = text.split_ascii_whitespace().rev().take(16);
        Self(
            words
                .map(|word| u64::from_str_radix(word, 16).unwrap_or_default())
                .collect(),
        )
    }

    fn has(&self, bit: usize) -> bool {
        let word = self.0.get(bit / 64).copied().unwrap_or_default();
        word >> (bit % 64) & 1 == 1
    }

    fn count(&self, bits: Range<usize>) -> usize {
        bits.filter(|bit| self.has(*bit)).count()
    }
}

/// What a device can report.
#[derive(Debug, Clone, Default)]
struct Abilities {
    kinds: Bits,
    keys: Bits,
    relative: Bits,
    absolute: Bits,
    properties: Bits,
    is_i2c: bool,
}

impl Abilities {
    fn of(input: &Device) -> Self {
        let bits = |name| Bits::parse(&input.attribute(name).unwrap_or_default());
        Self {
            kinds: bits("capabilities/ev"),
            keys: bits("capabilities/key"),
            relative: bits("capabilities/rel"),
            absolute: bits("capabilities/abs"),
            properties: bits("properties"),
            is_i2c: input.attribute("id/bustype").as_deref() == Some(BUS_I2C),
        }
    }

    fn kinds(&self) -> Vec<&'static str> {
        let mut kinds = self.pointers();
        let keys = self.keyboards();
        let is_wheel_alone = kinds.is_empty() && keys.is_empty() && self.has_wheel();
        kinds.extend(keys);
        if is_wheel_alone {
            kinds.push("KEY");
        }
        if self.kinds.has(EV_SW) {
            kinds.push("SWITCH");
        }
        kinds
    }

    fn keyboards(&self) -> Vec<&'static str> {
        if !self.kinds.has(EV_KEY) {
            return Vec::new();
        }
        let [first, second] = HIGH_KEYS;
        let has_any = [KEYS, first, second]
            .into_iter()
            .any(|keys| self.keys.count(keys) > 0);
        let mut kinds = Vec::new();
        if has_any {
            kinds.push("KEY");
        }
        if self.keys.count(KEY_LOWEST) == KEY_LOWEST.len() {
            kinds.push("KEYBOARD");
        }
        kinds
    }

    fn pointers(&self) -> Vec<&'static str> {
        if self.is_accelerometer() {
            return vec!["ACCELEROMETER"];
        }
        let mut kinds = Vec::new();
        let is_stick = self.properties.has(PROPERTY_POINTING_STICK);
        let surface = self.surface();
        if let Some(surface) = surface {
            kinds.push(surface.name());
        }
        if surface == Some(Surface::Tablet) && self.is_pad() {
            kinds.push("TABLET_PAD");
        }
        let is_mouse = surface.is_none()
            && self.has_mouse_buttons()
            && (self.has_relative_place() || !self.has_place());
        let is_mouse = is_mouse || surface == Some(Surface::Mouse);
        if is_mouse && surface.is_none() {
            kinds.push(Surface::Mouse.name());
        }
        // There are no mice on this bus.
        if is_stick || (is_mouse && self.is_i2c) {
            kinds.push("POINTINGSTICK");
        }
        kinds
    }

    fn surface(&self) -> Option<Surface> {
        let is_direct = self.properties.has(PROPERTY_DIRECT);
        let has_pen = self.keys.has(BTN_STYLUS) || self.keys.has(BTN_TOOL_PEN);
        let has_finger = self.keys.has(BTN_TOOL_FINGER) && !self.keys.has(BTN_TOOL_PEN);
        let is_touched = self.keys.has(BTN_TOUCH) || is_direct;
        if self.is_pad() && self.has_wheel() && !self.has_relative_place() {
            return Some(Surface::Tablet);
        }
        if self.has_place() || self.has_places_of_fingers() {
            if has_pen {
                return Some(Surface::Tablet);
            }
            if has_finger && !is_direct {
                return Some(Surface::Touchpad);
            }
        }
        // As those of virtual machines, which say where the pointer is.
        if self.has_place() && self.has_mouse_buttons() {
            let is_screen = self.has_places_of_fingers() && is_touched;
            return Some(if is_screen {
                Surface::Touchscreen
            } else {
                Surface::Mouse
            });
        }
        if (self.has_place() || self.has_places_of_fingers()) && is_touched {
            return Some(Surface::Touchscreen);
        }
        self.is_joystick().then_some(Surface::Joystick)
    }

    fn is_accelerometer(&self) -> bool {
        let has_space = self.has_place() && self.absolute.has(ABS_Z);
        self.properties.has(PROPERTY_ACCELEROMETER) || (has_space && !self.kinds.has(EV_KEY))
    }

    /// Some keyboards and mice claim a button of a joystick too: few of them, or with many keys, make none.
    fn is_joystick(&self) -> bool {
        let buttons: usize = JOYSTICK_BUTTONS
            .into_iter()
            .map(|buttons| self.keys.count(buttons))
            .sum();
        let axes = self.absolute.count(JOYSTICK_AXES);
        let usual_keys = USUAL_KEYS.iter().filter(|key| self.keys.has(**key));
        (buttons > 0 || axes > 0)
            && buttons + axes >= 2
            && usual_keys.count() < 4
            && !(self.has_wheel() && self.is_pad())
    }

    /// The buttons beside a tablet's surface.
    fn is_pad(&self) -> bool {
        self.keys.has(BTN_0) && self.keys.has(BTN_STYLUS) && !self.keys.has(BTN_TOOL_PEN)
    }

    fn has_mouse_buttons(&self) -> bool {
        self.keys.count(MOUSE_BUTTONS) > 0
    }

    fn has_place(&self) -> bool {
        self.absolute.has(ABS_X) && self.absolute.has(ABS_Y)
    }

    fn has_relative_place(&self) -> bool {
        self.kinds.has(EV_REL) && self.relative.has(REL_X) && self.relative.has(REL_Y)
    }

    fn has_wheel(&self) -> bool {
        self.kinds.has(EV_REL) && (self.relative.has(REL_WHEEL) || self.relative.has(REL_HWHEEL))
    }

    /// Not of a device that claims every axis.
    fn has_places_of_fingers(&self) -> bool {
        let claims_all = self.absolute.has(ABS_MT_SLOT) && self.absolute.has(ABS_MT_SLOT - 1);
        self.absolute.has(ABS_MT_POSITION_X) && self.absolute.has(ABS_MT_POSITION_Y) && !claims_all
    }
}

/// What a device with places is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Surface {
    Tablet,
    Touchpad,
    Touchscreen,
    Mouse,
    Joystick,
}

impl Surface {
    fn name(self) -> &'static str {
        match self {
            Self::Tablet => "TABLET",
            Self::Touchpad => "TOUCHPAD",
            Self::Touchscreen => "TOUCHSCREEN",
            Self::Mouse => "MOUSE",
            Self::Joystick => "JOYSTICK",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tree::Tree;
    use super::*;

    /// The kinds of a device, by its attributes as `cat` shows them.
    fn kinds(ev: &str, key: &str, rel: &str, abs: &str, properties: &str) -> String {
        let tree = Tree::new();
        let input = "/devices/platform/i8042/serio0/input/input3";
        let node = format!("{input}/event3");
        tree.device(input, Some("input"), "");
        tree.device(&node, Some("input"), "DEVNAME=input/event3");
        tree.attributes(
            input,
            &[
                ("capabilities/ev", ev),
                ("capabilities/key", key),
                ("capabilities/rel", rel),
                ("capabilities/abs", abs),
                ("properties", properties),
                ("id/bustype", "0011"),
            ],
        );
        let found = find(&tree.open(&node)).unwrap();
        assert_eq!(found, find(&tree.open(input)).unwrap());
        let names = found
            .into_keys()
            .map(|name| name.replacen("ID_INPUT", "", 1));
        names.collect::<Vec<_>>().join(" ").trim_start().to_owned()
    }

    /// As machines show them.
    #[test]
    fn devices_that_exist() {
        for (expected, [ev, key, rel, abs, properties]) in [
            // AT keyboard
            (
                "_KEY _KEYBOARD",
                [
                    "120013",
                    "402000000 3803078f800d001 feffffdfffefffff fffffffffffffffe",
                    "0",
                    "0",
                    "0",
                ],
            ),
            // power button
            ("_KEY", ["3", "10000000000000 0", "0", "0", "0"]),
            // lid
            ("_SWITCH", ["21", "0", "0", "0", "0"]),
            // USB mouse
            ("_MOUSE", ["17", "1f0000 0 0 0 0", "1943", "0", "0"]),
            // TrackPoint
            (
                "_MOUSE _POINTINGSTICK",
                ["7", "70000 0 0 0 0", "3", "0", "21"],
            ),
            // Synaptics touchpad
            (
                "_TOUCHPAD",
                ["b", "e520 10000 0 0 0 0", "0", "660800011000003", "5"],
            ),
            // touchscreen
            (
                "_TOUCHSCREEN",
                ["b", "400 0 0 0 0 0", "0", "273800000000003", "2"],
            ),
            // QEMU USB tablet, which is a mouse that says where it is
            ("_MOUSE", ["1f", "1f0000 0 0 0 0", "900", "3", "0"]),
            // pen of a tablet
            ("_TABLET", ["1b", "1c03 0 0 0 0 0", "0", "1000d000003", "1"]),
            // pad of a tablet
            (
                "_TABLET _TABLET_PAD",
                ["b", "800 ff 0 0 0 0", "0", "100000000000003", "0"],
            ),
            // gamepad
            (
                "_JOYSTICK",
                ["20000b", "7cdb000000000000 0 0 0 0", "0", "3003f", "0"],
            ),
            // accelerometer
            ("_ACCELEROMETER", ["9", "0", "0", "7", "40"]),
            // a knob
            ("_KEY", ["5", "0", "100", "0", "0"]),
            // speaker
            ("", ["40001", "0", "0", "0", "0"]),
        ] {
            assert_eq!(
                kinds(ev, key, rel, abs, properties),
                expected,
                "{ev} {key} {rel} {abs}"
            );
        }
    }

    #[test]
    fn another_input_device_has_no_capabilities() {
        let tree = Tree::new();
        tree.device("/devices/x", Some("input"), "");
        assert_eq!(find(&tree.open("/devices/x")), None);
    }

    proptest! {
        #[test]
        fn any_text_is_a_set(text: String, bit: usize) {
            Bits::parse(&text).has(bit);
        }
    }
}
