//! Any bytes as a log of writes: what its entries name lies inside of it, one after the other.

#![no_main]

use std::io::Cursor;

use cairn_qemu_tests::power_cut::write_log::{Kind, SECTOR, WriteLog};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(log) = WriteLog::parse(&mut Cursor::new(bytes)) else {
        return;
    };
    let mut before = 0;
    for entry in &log.entries {
        assert!(before < entry.content && entry.content <= entry.end);
        assert!(entry.end <= bytes.len() as u64);
        if entry.kind == Kind::Write {
            assert_eq!(entry.end - entry.content, entry.sectors * SECTOR);
        }
        before = entry.end;
    }
    assert_eq!(log.entries_before(u64::MAX), log.entries.len());
});
