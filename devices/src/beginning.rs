//! What is done before the first event: nodes of drivers that are not loaded, and what an earlier program has left.

use std::collections::{BTreeMap, BTreeSet};

use crate::device::Device;
use crate::enumerate;
use crate::event::Surroundings;
use crate::handling::{Handler, warn};
use crate::node::{self, Rights};
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
