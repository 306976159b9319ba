//! Dates of ISO 9660, always in UTC.
//!
//! Source: ECMA-119, 8.4.26.1 (17 bytes, digits) and 9.1.5 (7 bytes, numbers).

use cairn_system::Civil;

fn civil(epoch: u32) -> Civil {
    let seconds = epoch % 86_400;
    Civil {
        hour: seconds / 3600,
        minute: seconds / 60 % 60,
        second: seconds % 60,
        ..Civil::from_days((epoch / 86_400).into())
    }
}

/// The date in a directory record.
pub(crate) fn short_date(epoch: u32) -> [u8; 7] {
    let date = civil(epoch);
    let byte = |number: u32| u8::try_from(number).unwrap_or(u8::MAX);
    [
        byte(date.year.saturating_sub(1900)),
        byte(date.month),
        byte(date.day),
        byte(date.hour),
        byte(date.minute),
        byte(date.second),
        0,
    ]
}

/// The date in a volume descriptor.
pub(crate) fn long_date(epoch: u32) -> Vec<u8> {
    let date = civil(epoch);
    let text = format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}00",
        date.year, date.month, date.day, date.hour, date.minute, date.second
    );
    let mut bytes = text.into_bytes();
    bytes.push(0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(short_date(1_795_336_200), [126, 11, 22, 8, 30, 0, 0]);
        assert_eq!(long_date(951_782_461), b"2000022900010100\0");
    }
}
