//! Network interfaces with fixed addresses, configured by one run of `ip -batch`.

use anyhow::Result;
use cairn_system::{ServiceKind, SystemDescription};

use super::parts::{link, service};
use crate::packages::PackageSet;

/// Adds the service that brings up the loopback interface.
///
/// # Errors
/// A package is not in the set, or the store cannot be written.
pub fn add_loopback(packages: &PackageSet<'_>, description: &mut SystemDescription) -> Result<()> {
    add_batch(
        packages,
        description,
        "network-loopback",
        "link set lo up\n",
    )
}

/// Adds a service that gives `interface` a fixed address (`10.0.2.15/24`), a default route and a
/// name server.
///
/// # Errors
/// A package is not in the set, or the store cannot be written.
pub fn add_static_network(
    packages: &PackageSet<'_>,
    description: &mut SystemDescription,
    interface: &str,
    address: &str,
    gateway: &str,
    name_server: &str,
) -> Result<()> {
    let batch = format!(
        "address replace {address} dev {interface}\n\
         link set {interface} up\n\
         route replace default via {gateway} dev {interface}\n"
    );
    add_batch(
        packages,
        description,
        &format!("network-{interface}"),
        &batch,
    )?;
    let resolv = packages.text("resolv.conf", &format!("nameserver {name_server}\n"))?;
    description.etc.push(link("resolv.conf", resolv));
    Ok(())
}

fn add_batch(
    packages: &PackageSet<'_>,
    description: &mut SystemDescription,
    name: &str,
    batch: &str,
) -> Result<()> {
    let file = packages.text(&format!("{name}.batch"), batch)?;
    let argv = vec![
        packages.path("iproute2", "bin/ip")?,
        "-batch".to_owned(),
        file,
    ];
    let mut network = service(name, "Network interface", ServiceKind::Oneshot, argv)?;
    network.restart = cairn_system::Restart::OnFailure;
    description.services.push(network);
    Ok(())
}
