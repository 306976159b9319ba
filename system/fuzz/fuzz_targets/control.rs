//! What comes over the control socket, from both sides.

#![no_main]

use cairn_system::control::{Request, Response};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(request) = Request::parse(&text) {
        let again = serde_json::to_string(&request).expect("it is JSON");
        assert_eq!(Request::parse(&again).expect("it was written by us"), request);
    }
    if let Ok(response) = Response::parse(&text) {
        let again = serde_json::to_string(&response).expect("it is JSON");
        assert_eq!(Response::parse(&again).expect("it was written by us"), response);
    }
});
