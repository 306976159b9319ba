//! Any bytes as a message for `/dev/log`: its lines are its own.

#![no_main]

#[path = "../../src/syslog/message.rs"]
mod message;

use cairn_system::log_line::{LINE_BYTES, Priority};
use libfuzzer_sys::fuzz_target;
use message::Message;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let lines = Message::parse(&text, "host").lines("- x[1]: ", true);
    assert!(lines.ends_with('\n'));
    for line in lines.lines() {
        let (_, rest) = Priority::split(line.as_bytes()).expect("it has a priority");
        assert!(rest.starts_with(b"- x[1]: ") && line.len() <= LINE_BYTES);
        assert!(line.chars().all(|letter| letter == '\t' || !letter.is_control()));
    }
});
