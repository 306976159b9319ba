//! Fields of on-disk structures: little- and big-endian numbers, UUIDs and labels.
//!
//! Every accessor returns `None` past the end, so that a short read is never a special case.

/// `N` bytes at `offset`.
pub(super) fn array<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..offset.checked_add(N)?)?.try_into().ok()
}

pub(super) fn le16(bytes: &[u8], offset: usize) -> Option<u16> {
    array(bytes, offset).map(u16::from_le_bytes)
}

pub(super) fn le32(bytes: &[u8], offset: usize) -> Option<u32> {
    array(bytes, offset).map(u32::from_le_bytes)
}

pub(super) fn le64(bytes: &[u8], offset: usize) -> Option<u64> {
    array(bytes, offset).map(u64::from_le_bytes)
}

pub(super) fn be16(bytes: &[u8], offset: usize) -> Option<u16> {
    array(bytes, offset).map(u16::from_be_bytes)
}

/// Whether `magic` stands at `offset`.
pub(super) fn has(bytes: &[u8], offset: usize, magic: &[u8]) -> bool {
    bytes
        .get(offset..)
        .is_some_and(|rest| rest.starts_with(magic))
}

/// A UUID whose bytes stand in the order in which they are written; all zeros is none.
pub(super) fn uuid(bytes: &[u8], offset: usize) -> Option<String> {
    let raw: [u8; 16] = array(bytes, offset)?;
    (raw != [0; 16]).then(|| written(u128::from_be_bytes(raw)))
}

/// A GUID: its first three groups are little-endian numbers.
pub(super) fn guid(bytes: &[u8], offset: usize) -> Option<String> {
    let first = u128::from(le32(bytes, offset)?);
    let second = u128::from(le16(bytes, offset.checked_add(4)?)?);
    let third = u128::from(le16(bytes, offset.checked_add(6)?)?);
    let rest = u128::from(u64::from_be_bytes(array(bytes, offset.checked_add(8)?)?));
    let value = first << 96 | second << 80 | third << 64 | rest;
    (value != 0).then(|| written(value))
}

fn written(uuid: u128) -> String {
    let digits = format!("{uuid:032x}");
    let mut text = String::with_capacity(36);
    for (position, digit) in digits.chars().enumerate() {
        if matches!(position, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(digit);
    }
    text
}

/// A label of at most `length` bytes: ends at the first NUL; blanks at the end do not count.
pub(super) fn label(bytes: &[u8], offset: usize, length: usize) -> Option<String> {
    let field = bytes.get(offset..offset.checked_add(length)?)?;
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(length);
    text(&String::from_utf8_lossy(field.get(..end)?))
}

/// A label of at most `units` UTF-16 units, little-endian.
pub(super) fn utf16_label(bytes: &[u8], offset: usize, units: usize) -> Option<String> {
    let length = units.checked_mul(2)?;
    let field = bytes.get(offset..offset.checked_add(length)?)?;
    let units = field
        .chunks_exact(2)
        .filter_map(|pair| le16(pair, 0))
        .take_while(|unit| *unit != 0);
    let decoded: String = char::decode_utf16(units)
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    text(&decoded)
}

fn text(label: &str) -> Option<String> {
    let label = label.trim_end();
    (!label.is_empty()).then(|| label.to_owned())
}
