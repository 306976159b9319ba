//! What is done before the first event: nodes of drivers that are not loaded, and what an earlier program has left.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use crate::device::Device;
use crate::enumerate;
use crate::event::Surroundings;
use crate::handling::{Handler, warn};
use crate::node::{self, Rights};
use crate::path::named;
use crate::static_nodes;

impl Handler {
    /// Makes the nodes of drivers that are not loaded, as the rules say, and takes over the names of an earlier
    /// program: those of devices that are gone are removed, with their records. `devices` are those that there are.
    pub fn begin(&self, devices: &[Device]) {
        self.make_nodes();
        warn(self.records().sweep());
        let there: BTreeMap<String, &Device> = devices
            .iter()
            .filter_map(|device| Some((device.id()?, device)))
            .collect();
        let ids = self.records().ids().unwrap_or_else(|error| {
            log::warn!("{error}; all devices count as new");
            BTreeSet::new()
        });
        for id in ids {
            self.take_over(&id, there.get(&id).copied());
        }
    }

    /// Whether user space was restarted since this was asked last: `/run` outlives that, and the services that devices
    /// want do not.
    pub fn is_anew(&self) -> bool {
        let begun = self.places.state.join("begun");
        let restarted = modified(&self.places.run.join("cairn/restarted"));
        let is_anew = match (restarted, modified(&begun)) {
            (Ok(restarted), Ok(begun)) => begun < restarted,
            (Ok(_), Err(_)) => true,
            (Err(_), _) => false, // the kernel was started anew, and there are no records
        };
        warn(fs::write(&begun, "begun\n").map_err(|error| named(&begun, &error)));
        is_anew
    }

    fn make_nodes(&self) {
        for error in static_nodes::make(&self.places) {
            log::warn!("{error}");
        }
        let mut machine = self.machine();
        for node in self.rules().static_nodes() {
            let rights = Rights {
                owner: node.owner.as_deref().and_then(|name| machine.user(name)),
                group: node.group.as_deref().and_then(|name| machine.group(name)),
                mode: node.mode,
            };
            warn(node::set_static(&self.places.dev, &node.name, rights));
        }
    }

    fn take_over(&self, id: &str, device: Option<&Device>) {
        let Some(record) = self.records().get(id) else {
            return;
        };
        // One may have come after the devices were looked for.
        let newer = match device {
            None => enumerate::by_id(&self.places.sys, id),
            Some(_) => None,
        };
        let device = device.or(newer.as_ref());
        let node = device.and_then(Device::node);
        let mut links = self.links();
        links.adopt(
            id,
            node.unwrap_or_default(),
            record.link_priority,
            &record.links,
        );
        if device.is_none() {
            for error in links.remove(id) {
                log::warn!("{error}");
            }
            warn(self.records().remove(id, &record));
        }
    }
}

fn modified(path: &Path) -> io::Result<SystemTime> {
    path.metadata()?.modified()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::places::Places;
    use crate::rules::Rules;

    #[test]
    fn a_restart_of_user_space_is_noticed_once() {
        let root = tempfile::tempdir().unwrap();
        let places = Places::of(root.path());
        let handler = || {
            let wanted = Box::new(|_: &str| {});
            Handler::new(places.clone(), String::new(), Rules::default(), wanted).unwrap()
        };
        assert!(!handler().is_anew());
        let restarted = places.run.join("cairn/restarted");
        fs::create_dir_all(restarted.parent().unwrap()).unwrap();
        for _ in 0..2 {
            std::thread::sleep(std::time::Duration::from_millis(20));
            fs::write(&restarted, "").unwrap();
            assert!(handler().is_anew());
            std::thread::sleep(std::time::Duration::from_millis(20));
            assert!(!handler().is_anew());
        }
    }
}
