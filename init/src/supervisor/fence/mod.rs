//! What the processes of a service's control group are fenced off from by programs in the kernel:
//! devices and addresses.
//!
//! The programs are assembled here ([`devices`], [`addresses`]: pure), and stay with the group until
//! others take their place.

mod addresses;
mod assembly;
mod devices;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use cairn_sys::bpf::{self, Point};
use cairn_system::Confinement;
use nix::libc::{ENOSYS, EPERM};

/// Fences `group` off as `confinement` wants it; `had` says that another fence may be there.
///
/// # Errors
/// The kernel cannot, or does not let this process: the message says for what.
pub fn put_up(group: BorrowedFd<'_>, confinement: &Confinement, had: bool) -> io::Result<()> {
    for point in Point::ALL {
        let program = match point {
            Point::Device => confinement.devices.as_ref().map(|devices| {
                devices::program(&devices::resolve(Path::new("/"), &devices.allowed))
            }),
            Point::Ingress | Point::Egress => {
                addresses::program(&confinement.addresses, point == Point::Ingress)
            }
        };
        let Some(program) = program else {
            if had && let Err(error) = bpf::detach(group, point) {
                log::debug!("there was no fence: {error}");
            }
            continue;
        };
        let done = bpf::load(point, &program)
            .and_then(|program| bpf::attach(group, program.as_fd(), point));
        match done {
            Err(error) if point == Point::Device && is_optional(confinement, &error) => {
                log::debug!("devices are not fenced off: {error}");
            }
            Err(error) => return Err(explained(&error, point)),
            Ok(()) => {}
        }
    }
    Ok(())
}

/// Whether the service does without, where programs cannot be had at all, as in a container.
fn is_optional(confinement: &Confinement, error: &io::Error) -> bool {
    let is_wish = (confinement.devices.as_ref()).is_some_and(|devices| devices.optional);
    is_wish && matches!(error.raw_os_error(), Some(ENOSYS | EPERM))
}

fn explained(error: &io::Error, point: Point) -> io::Error {
    let (what, key) = match point {
        Point::Device => ("devices", "devices"),
        Point::Ingress | Point::Egress => ("addresses", "addresses"),
    };
    let way_out = match error.raw_os_error() {
        Some(ENOSYS) => "the kernel has no CONFIG_BPF_SYSCALL and CONFIG_CGROUP_BPF",
        Some(EPERM) => "is this a container, which may not do it?",
        _ => "see dmesg",
    };
    io::Error::new(
        error.kind(),
        format!(
            "cannot fence it off from {what}: {error}; {way_out}; or take confinement.{key} away"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_sys::cgroup::Cgroup;
    use cairn_system::DeviceFence;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    /// A group of this test's own, which is removed.
    fn in_group(confinement: &Confinement, script: &str) -> bool {
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        let mount = mounts.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            (fields[2] == "cgroup2").then(|| fields[1].to_owned())
        });
        let path = Path::new(&mount.expect("cgroup2 is mounted"))
            .join(format!("cairn-fence-{}", std::process::id()));
        let group = Cgroup::create(&path).unwrap();
        put_up(group.directory().unwrap().as_fd(), confinement, true).unwrap();
        let procs = path.join("cgroup.procs");
        let script = format!("echo $$ > {} && {script}", procs.display());
        let status = Command::new("sh")
            .args(["-c", &script])
            .arg0("sh")
            .status()
            .unwrap();
        group.remove().unwrap();
        status.success()
    }

    #[test]
    #[ignore = "needs root outside of any container: programs are loaded into the kernel"]
    fn the_kernel_takes_the_programs_and_obeys() {
        let addresses = |allowed: &[&str], denied: &[&str]| Confinement {
            addresses: cairn_system::AddressFence {
                allowed: allowed.iter().map(|text| text.parse().unwrap()).collect(),
                denied: denied.iter().map(|text| text.parse().unwrap()).collect(),
            },
            ..Confinement::default()
        };
        let devices = |allowed: &[&str]| Confinement {
            devices: Some(DeviceFence {
                allowed: allowed.iter().map(|text| text.parse().unwrap()).collect(),
                optional: false,
            }),
            ..Confinement::default()
        };
        let none = Confinement::default();
        let use_null = "true < /dev/null && true < /dev/zero";
        assert!(in_group(&none, use_null));
        assert!(in_group(
            &devices(&["/dev/null rw", "char-mem r"]),
            use_null
        ));
        assert!(!in_group(&devices(&["/dev/null rw"]), use_null));
        assert!(!in_group(
            &devices(&["/dev/null w", "/dev/zero r"]),
            use_null
        ));
        assert!(in_group(
            &devices(&["/dev/*l r", "/dev/zero r"]),
            "true < /dev/zero"
        ));

        for (address, family) in [("127.0.0.1", "4"), ("::1", "6")] {
            // A datagram to itself.
            let script = format!(
                "python3 -c 'import socket; \
                   s = socket.socket(socket.AF_INET{}, socket.SOCK_DGRAM); s.bind((\"{address}\", 0)); \
                   s.settimeout(0.3); s.sendto(b\"x\", s.getsockname()); s.recv(1)' 2> /dev/null",
                if family == "6" { "6" } else { "" }
            );
            assert!(in_group(&none, &script), "{address}");
            assert!(!in_group(&addresses(&[], &["0.0.0.0/0", "::/0"]), &script));
            assert!(in_group(
                &addresses(&["127.0.0.0/8", "::1"], &["::/0", "0.0.0.0/0"]),
                &script
            ));
            assert!(in_group(
                &addresses(&[], &["128.0.0.0/1", "fe80::/10"]),
                &script
            ));
            assert!(!in_group(
                &addresses(&["10.0.0.0/8", "fe80::/10"], &["127.0.0.1", "::/1"]),
                &script
            ));
        }
    }
}
