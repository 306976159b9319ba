//! Descriptors that services leave with us, and get back when they are started again.
//!
//! They are with core as soon as they are here, and their names in the state: neither the service's end
//! nor ours loses them. They are closed when the service is down and is not to come back by itself.
//!
//! Source: `sd_notify(3)`, `FDSTORE=1`, `FDSTOREREMOVE=1`, `FDNAME=`; `systemd.service(5)`,
//! `FileDescriptorStoreMax=`.

use std::os::fd::AsFd;

use cairn_sys::handed::{self, Handed};

use super::Supervisor;
use super::given::{Own, STORED};
use super::graph::Id;
use super::state;

/// What one that is not named is called.
const NO_NAME: &str = "stored";

impl Supervisor {
    /// Keeps what the service `id` leaves.
    pub(super) fn store(&mut self, id: Id, name: Option<&str>, descriptors: Handed) {
        let service = self.services.descriptions().get(id);
        let most = service.map_or(0, |service| u32::from(service.stored_descriptors));
        let name = name.unwrap_or(NO_NAME);
        if !is_name(name) {
            return log::warn!(
                "'{}' leaves a descriptor of a name that cannot be",
                self.name(id)
            );
        }
        for descriptor in descriptors {
            let Some(held) = self.held.get(id) else {
                return;
            };
            // It says so twice, or a predecessor has heard it before.
            let is_kept = (held.own.iter().filter(|own| own.number >= STORED))
                .any(|own| handed::is_same(own.descriptor.as_fd(), descriptor.as_fd()));
            let free = free_number(&held.own, most.min(state::STORED));
            // What is not kept is closed aside, with the rest that is left where it is.
            let Some(free) = free.filter(|_| !is_kept) else {
                drop(Handed::from(vec![descriptor]));
                if is_kept {
                    continue;
                }
                return log::warn!(
                    "'{}' leaves more descriptors than the {most} that it may: the rest is closed",
                    self.name(id)
                );
            };
            let slot = held.slot;
            // The name is there before the descriptor is.
            let kept = self
                .state
                .write_name(slot, free - STORED, name)
                .and_then(|()| self.own(id, free, name.to_owned(), descriptor));
            if let Err(error) = kept {
                log::error!("cannot keep a descriptor of '{}': {error}", self.name(id));
            }
        }
    }

    /// Closes what the service `id` has left under this name.
    pub(super) fn unstore(&mut self, id: Id, name: Option<&str>) {
        let name = name.unwrap_or(NO_NAME);
        self.let_go(id, |own| own.number >= STORED && own.name == name);
    }
}

/// The lowest number of those that may be used, none if all are.
fn free_number(own: &[Own], most: u32) -> Option<u32> {
    (STORED..STORED + most).find(|number| own.iter().all(|own| own.number != *number))
}

/// Names are parted by colons in `LISTEN_FDNAMES`.
fn is_name(name: &str) -> bool {
    let valid = |byte: u8| (b' '..0x7f).contains(&byte) && byte != b':';
    (1..=255).contains(&name.len()) && name.bytes().all(valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names() {
        let own = |number| Own {
            number,
            name: String::new(),
            descriptor: std::fs::File::open("/dev/null").unwrap().into(),
        };
        let two = [own(STORED), own(STORED + 2)];
        assert_eq!(free_number(&two, 3), Some(STORED + 1));
        assert_eq!(free_number(&two, 1), None);
        assert_eq!(free_number(&[], 0), None);
        let names = ["a", "a b", "", "a:b", "ä", "a\n"].map(is_name);
        assert_eq!(names, [true, true, false, false, false, false]);
        assert!(is_name(&"x".repeat(255)) && !is_name(&"x".repeat(256)));
    }
}
