//! Any bytes as what a service says of itself: it arrives as it was said.

#![no_main]

#[path = "../../src/supervisor/notify.rs"]
mod notify;

use std::cell::OnceCell;
use std::os::unix::net::UnixDatagram;

use libfuzzer_sys::fuzz_target;
use notify::Notifications;

thread_local! {
    static SOCKETS: OnceCell<(UnixDatagram, Notifications)> = const { OnceCell::new() };
}

fn pair() -> (UnixDatagram, Notifications) {
    let (service, supervisor) = UnixDatagram::pair().expect("a pair of sockets");
    supervisor.set_nonblocking(true).expect("it does not block");
    (service, Notifications::adopted(supervisor.into()))
}

fuzz_target!(|bytes: &[u8]| {
    SOCKETS.with(|sockets| {
        let (service, supervisor) = sockets.get_or_init(pair);
        service.send(bytes).expect("there is room for one");
        let heard = supervisor.look().expect("the socket is well");
        supervisor.take();
        let again = supervisor.look().expect("the socket is well");
        assert!(again.is_none(), "one message is heard once");
        let Some(heard) = heard else {
            return;
        };
        let said = String::from_utf8_lossy(bytes);
        assert!(heard.text == said || bytes.len() > 4096, "{said}");
        for line in heard.text.lines() {
            let Some((name, _)) = line.split_once('=') else {
                continue;
            };
            let value = heard.value(name).expect("what was said is known");
            assert!(heard.says(name, value));
            assert_eq!(heard.number(name), value.parse().ok());
        }
        assert_eq!(heard.is_ready(), heard.value("READY") == Some("1"));
        assert!(heard.descriptors.is_empty());
    });
});
