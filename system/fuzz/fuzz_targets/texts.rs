//! Texts that people write: ranges of addresses, devices, times of the calendar.

#![no_main]

use cairn_system::{AddressRange, AllowedDevice, Calendar, Civil};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(range) = text.parse::<AddressRange>() {
        assert_eq!(range.to_string().parse(), Ok(range));
    }
    if let Ok(device) = text.parse::<AllowedDevice>() {
        let again: AllowedDevice = device.to_string().parse().expect("it was written by us");
        assert_eq!((again.name, again.access), (device.name, device.access));
    }
    if let Ok(calendar) = Calendar::try_from(text.to_owned()) {
        let now = Civil {
            year: 2024,
            month: 2,
            day: 29,
            hour: 23,
            minute: 59,
            second: 59,
        };
        let next = calendar.next(now);
        assert!(next.is_none_or(|next| next > now), "{text}: {next:?}");
    }
});
