//! Three lines are a machine: its disk is where they say, and SSH answers.

use std::fs;
use std::io::{self, Read as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use cairn_qemu_tests::{Blueprint, Boot, Bus, Disk, Machine, Writes, images};

/// The example, word for word.
const TEXT: &str = r#"{ config, pkgs, ... }:
{
  boot.loader.grub.device = "/dev/sda";
  fileSystems."/".device = "/dev/sda1";
  services.sshd.enable = true;
}
"#;

#[test]
fn the_example_says_no_more_than_that() -> anyhow::Result<()> {
    let text = fs::read_to_string(images::example("minimal"))?;
    assert_eq!(text, TEXT);
    Ok(())
}

#[test]
fn three_lines_boot_with_bios() -> anyhow::Result<()> {
    boots("minimal-bios", Boot::Bios)
}

#[test]
fn three_lines_boot_with_uefi() -> anyhow::Result<()> {
    boots("minimal-uefi", Boot::Uefi)
}

fn boots(name: &str, boot: Boot) -> anyhow::Result<()> {
    let configuration = Path::new(env!("CARGO_MANIFEST_DIR")).join("configurations/minimal.nix");
    let built = images::build("minimal", &configuration, &images::options()?)?;
    let disk = Disk {
        image: built.image,
        writes: Writes::Discarded,
        bus: Bus::Ahci,
    };
    let machine = Blueprint::new(name, boot)
        .any_disk(disk)
        .memory_mib(768)
        .deadline(Duration::from_mins(8))
        .ssh()
        .start()?;
    machine.check("login prompt", |machine| {
        machine.console().wait_for("login: ")
    })?;
    machine.check("ssh from outside", answers)
}

/// Whoever connects is greeted by OpenSSH: the address came by DHCP, and the firewall lets it in.
fn answers(machine: &Machine) -> anyhow::Result<()> {
    let port = machine.ssh_port().context("no port is forwarded")?;
    let until = Instant::now() + Duration::from_mins(3);
    loop {
        match greeting(port) {
            Ok(greeting) => {
                ensure!(greeting.starts_with("SSH-2.0-OpenSSH"), "{greeting:?}");
                return Ok(());
            }
            // QEMU takes the connection at once, and closes it while the guest does not listen.
            Err(error) if Instant::now() < until => {
                log_once(&error);
                thread::sleep(Duration::from_millis(500));
            }
            Err(error) => return Err(error).context("SSH does not answer"),
        }
    }
}

fn log_once(error: &io::Error) {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| eprintln!("not yet: {error}"));
}

fn greeting(port: u16) -> io::Result<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut bytes = [0; 15];
    stream.read_exact(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
