//! Any bytes as a message between core and supervisor: what is understood is written the same.

#![no_main]

#[path = "../../src/core/message.rs"]
mod message;

use libfuzzer_sys::fuzz_target;
use message::Message;

fuzz_target!(|bytes: &[u8]| {
    if let Some(message) = Message::decode(bytes) {
        assert_eq!(Message::decode(&message.encode()), Some(message));
    }
});
