//! What a running machine is changed by when it gets another generation.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests"
)]

use std::fmt::Write as _;
use std::path::Path;

use cairn_activate::live::{BootParts, Busy, LiveChanges, Remount, Running, run_live};
use cairn_activate::{Failure, Mode, NoKernel};
use cairn_system::{FileSystem, MountPoint, SwapDevice, SystemDescription};
use expect_test::{Expect, expect};
use machine::{Machine, ONE, TWO, description};

mod machine;

/// A description with these parts, each as its JSON.
fn described(file_systems: &str, swaps: &str, sysctl: &str, modules: &str) -> SystemDescription {
    let mut description = description();
    description.file_systems = serde_json::from_str(&format!("[{file_systems}]")).unwrap();
    description.swap_devices = serde_json::from_str(&format!("[{swaps}]")).unwrap();
    description.sysctl = serde_json::from_str(&format!("{{{sysctl}}}")).unwrap();
    description.kernel_modules = serde_json::from_str(&format!("[{modules}]")).unwrap();
    description
}

fn file_systems(lines: &[(&str, &str, &str, &str)]) -> SystemDescription {
    let lines: Vec<String> = lines
        .iter()
        .map(|(point, device, kind, options)| {
            format!(
                r#"{{"mountPoint":"{point}","device":"{device}","fsType":"{kind}","options":["{options}"]}}"#
            )
        })
        .collect();
    described(&lines.join(","), "", "", "")
}

/// A machine on which something is mounted at each of `points`.
fn mounted(points: &[&str]) -> Running {
    let lines: Vec<String> = points
        .iter()
        .map(|point| format!("1 1 0:1 / {point} rw - x x rw"))
        .collect();
    Running::parse(&lines.join("\n"), "", "")
}

fn check(
    before: &[SystemDescription],
    after: &SystemDescription,
    running: &Running,
    expected: &Expect,
) {
    let parts = BootParts::default();
    let changes = LiveChanges::between(before, after, running, Some(&parts), &parts);
    let mut text = changes.to_string();
    for line in &changes.reboot {
        writeln!(text, "reboot: {line}").unwrap();
    }
    expected.assert_eq(&text);
}

#[test]
fn etc_is_protected_and_opened() {
    let etc = |read_only_etc| SystemDescription {
        read_only_etc,
        ..file_systems(&[])
    };
    let own = |options| format!("1 1 0:1 / / rw - x x rw\n2 1 0:1 /etc /etc {options} - x x rw");
    let running = |options| Running::parse(&own(options), "", "");
    let (open, sealed) = (running("rw,relatime"), running("ro,relatime"));
    for (before, after, running, wanted) in [
        (false, true, &open, "make /etc read-only\n"),
        (true, true, &open, "make /etc read-only\n"),
        (true, true, &sealed, ""),
        (true, false, &sealed, "make /etc writable\n"),
        // Somebody else's.
        (false, false, &sealed, ""),
        (false, true, &sealed, ""),
    ] {
        let parts = BootParts::default();
        let changes = LiveChanges::between(&[etc(before)], &etc(after), running, None, &parts);
        assert_eq!(changes.to_string(), wanted, "{before} {after} {running:?}");
    }
    let beside = "2 1 0:1 / /etc ro - x x rw";
    let beside = Running::parse(beside, "", "");
    check(
        &[etc(false)],
        &etc(true),
        &beside,
        &expect!["make /etc read-only\n"],
    );
}

#[test]
fn file_systems_come_change_and_go() {
    let before = file_systems(&[
        ("/", "/dev/vda1", "ext4", "noatime"),
        ("/data", "LABEL=data", "ext4", "defaults"),
        ("/data/in", "/dev/vdb2", "ext4", "defaults"),
        ("/kept", "/dev/vdb3", "ext4", "noatime"),
        ("/moved", "/dev/vdb4", "ext4", "defaults"),
        ("/scratch", "tmpfs", "tmpfs", "size=1m,mode=0755"),
        ("/by-hand", "/dev/vdb5", "ext4", "noauto"),
        ("/var", "/dev/vdb6", "ext4", "defaults"),
        ("/marks", "/dev/vdb7", "ext4", "x-note=a"),
    ]);
    let after = file_systems(&[
        ("/", "/dev/vda1", "ext4", "defaults"),
        ("/kept", "/dev/vdb3", "ext4", "noatime"),
        ("/moved", "/dev/vdc4", "ext4", "defaults"),
        ("/scratch", "tmpfs", "tmpfs", "size=2m"),
        ("/new/in", "tmpfs", "tmpfs", "defaults"),
        ("/new", "/dev/vdd1", "ext4", "nofail"),
        ("/marks", "/dev/vdb7", "ext4", "x-note=b,nofail"),
    ]);
    let running = mounted(&[
        "/", "/data", "/data/in", "/kept", "/moved", "/scratch", "/by-hand", "/var", "/marks",
    ]);
    check(
        &[before],
        &after,
        &running,
        &expect![[r#"
        unmount /moved
        unmount /data/in
        unmount /data
        remount / with defaults
        mount /dev/vdc4 on /moved as ext4
        mount /dev/vdd1 on /new as ext4
        mount tmpfs on /new/in as tmpfs
        remount /scratch with size=2m
        reboot: /var is no longer described, and stays mounted
        reboot: /scratch keeps the option mode=0755, which is no longer described
    "#]],
    );
}

#[test]
fn what_is_as_described_is_left_alone() {
    let lines = [
        ("/", "/dev/vda1", "ext4", "defaults"),
        ("/usb", "LABEL=usb", "vfat", "nofail"),
    ];
    let one = file_systems(&lines);
    // Not mounted, by hand or because it is not there: a switch does not wait for it each time.
    check(
        std::slice::from_ref(&one),
        &one,
        &mounted(&["/"]),
        &expect![[""]],
    );
    // Without a generation before, what is not there is mounted.
    check(
        &[],
        &one,
        &mounted(&["/"]),
        &expect![[r#"
        mount LABEL=usb on /usb as vfat
    "#]],
    );
}

#[test]
fn what_an_interrupted_activation_left_goes() {
    let one = file_systems(&[("/", "/dev/vda1", "ext4", "noatime")]);
    let two = file_systems(&[
        ("/", "/dev/vda1", "ext4", "defaults"),
        ("/data", "LABEL=data", "ext4", "defaults"),
    ]);
    let running = mounted(&["/", "/data"]);
    check(
        &[one.clone(), two.clone()],
        &one,
        &running,
        &expect![[r#"
            unmount /data
            remount / with noatime
        "#]],
    );
    check(
        &[one, two.clone()],
        &two,
        &running,
        &expect![[r#"
        remount / with defaults
    "#]],
    );
}

#[test]
fn swap_spaces() {
    let before = described(
        "",
        r#"{"device":"/var/swap"},{"device":"LABEL=old"},{"device":"/dev/vdb1"},{"device":"/same"}"#,
        "",
        "",
    );
    let after = described(
        "",
        r#"{"device":"/dev/vdb1","priority":5},{"device":"/same"},{"device":"/new","sizeMib":64},{"device":"/there"}"#,
        "",
        "",
    );
    let swaps = "Filename Type Size Used Priority\n/var/swap file 1 0 -2\n/dev/vdb1 partition 1 0 -3\n/there file 1 0 -4\n";
    let running = Running::parse("", swaps, "");
    check(
        &[before],
        &after,
        &running,
        &expect![[r#"
        stop swapping to /dev/vdb1
        swap to /dev/vdb1
        swap to /new
        stop swapping to /var/swap
        stop swapping to LABEL=old
    "#]],
    );
}

#[test]
fn sysctls_and_modules() {
    let before = described(
        "",
        "",
        r#""kernel.sysrq":"1","vm.swappiness":"10","net.gone":"1","net.back":"1","not.there":"1""#,
        r#""loop","nls-ascii""#,
    );
    let after = described(
        "",
        "",
        r#""kernel.sysrq":"1","vm.swappiness":"20","net.ipv4.tcp_rmem":"4 5 6","net.new":"1""#,
        r#""loop","nbd","dm_mod""#,
    );
    let running = Running::parse("", "", "dm_mod 1 0 - Live 0x0\nnls_ascii 1 0 - Live 0x0\n")
        .with_sysctl("kernel.sysrq", "0\n")
        .with_sysctl("vm.swappiness", "10\n")
        .with_sysctl("net.gone", "1\n")
        .with_sysctl("net.back", "1\n")
        .with_default("net.back", "0")
        .with_sysctl("net.ipv4.tcp_rmem", "4\t5\t6\n")
        .with_sysctl("net.new", "0\n");
    check(
        &[before],
        &after,
        &running,
        &expect![[r#"
            load module nbd
            set net.new to '1'
            set vm.swappiness to '20'
            set net.back to '0'
            reboot: module nls-ascii is no longer described, and stays loaded
            reboot: net.gone is no longer described, and keeps '1'
        "#]],
    );
}

#[test]
fn what_is_loaded_by_the_boot_loader() {
    let one = description();
    let booted = BootParts::new("/k/6.1", "/i/one", "/m/6.1", "quiet loglevel=4 a");
    let next = BootParts::new("/k/6.12", "/i/one", "/m/6.12", "loglevel=7 quiet a");
    let changes = LiveChanges::between(
        std::slice::from_ref(&one),
        &one,
        &Running::default(),
        Some(&booted),
        &next,
    );
    assert!(changes.is_empty());
    expect![[r#"
        the kernel: /k/6.1 is running, /k/6.12 is new
        the kernel's modules: /m/6.1 is running, /m/6.12 is new
        kernel parameters: +loglevel=7 -loglevel=4"#]]
    .assert_eq(&changes.reboot.join("\n"));
    let shuffled = BootParts::new("/k/6.1", "/i/one", "/m/6.1", "a quiet loglevel=4");
    let changes = LiveChanges::between(&[], &one, &Running::default(), Some(&booted), &shuffled);
    expect!["kernel parameters: in another order"].assert_eq(&changes.reboot.join("\n"));
}

/// Notes what it is asked for, and keeps `busy` mounted.
#[derive(Default)]
struct Noting {
    done: Vec<String>,
    busy: Option<&'static str>,
}

impl Noting {
    fn note(&mut self, text: String) {
        self.done.push(text);
    }
}

impl cairn_activate::live::Machine for Noting {
    fn mount(&mut self, fs: &FileSystem) -> Result<(), Failure> {
        self.note(format!("mount {}", fs.mount_point.as_str()));
        Ok(())
    }

    fn swap_on(&mut self, swap: &SwapDevice) -> Result<(), Failure> {
        Err(Failure::new(format!("cannot swap to {}", swap.device)))
    }

    fn swap_off(&mut self, swap: &SwapDevice) -> Result<(), Busy> {
        self.note(format!("swap off {}", swap.device));
        Ok(())
    }

    fn load_module(&mut self, name: &str) -> Result<(), Failure> {
        self.note(format!("load {name}"));
        Ok(())
    }

    fn remount(&mut self, remount: &Remount) -> Result<(), Busy> {
        self.note(remount.to_string());
        Ok(())
    }

    fn unmount(&mut self, point: &MountPoint) -> Result<(), Busy> {
        if self.busy == Some(point.as_str()) {
            return Err(Busy(format!(
                "{} is in use, and stays mounted",
                point.as_str()
            )));
        }
        self.note(format!("unmount {}", point.as_str()));
        Ok(())
    }

    fn set_sysctl(&mut self, key: &str, value: &str) -> Result<(), Failure> {
        self.note(format!("{key} = {value}"));
        Ok(())
    }
}

/// A machine that runs the first of two generations, with `mountinfo` as its mounts.
fn running_machine(one: &SystemDescription, two: &SystemDescription) -> Machine {
    let machine = Machine::new();
    machine.install(ONE, one);
    machine.install(TWO, two);
    machine.write(
        "/proc/self/mountinfo",
        "1 1 0:1 / / rw - x x rw\n2 1 0:2 / /data rw - x x rw\n",
    );
    machine.write("/proc/sys/kernel/sysrq", "0\n");
    machine.write("/proc/sys/vm/swappiness", "60\n");
    machine.activate(ONE);
    machine
}

fn two_generations() -> (SystemDescription, SystemDescription) {
    let data = r#"{"mountPoint":"/data","device":"LABEL=one","fsType":"ext4"}"#;
    let other = r#"{"mountPoint":"/data","device":"LABEL=two","fsType":"ext4"},
                   {"mountPoint":"/tmp","device":"tmpfs","fsType":"tmpfs"}"#;
    let one = described(data, "", r#""vm.swappiness":"60""#, "");
    let mut two = described(
        other,
        r#"{"device":"/swap"}"#,
        r#""kernel.sysrq":"1""#,
        r#""loop""#,
    );
    two.host_name = "other".to_owned().try_into().unwrap();
    (one, two)
}

fn go(machine: &Machine, toplevel: &str, mode: Mode, busy: Option<&'static str>) -> String {
    let mut noting = Noting {
        done: Vec::new(),
        busy,
    };
    let root = machine.root.path();
    let outcome = run_live(root, Path::new(toplevel), mode, &NoKernel, &mut noting).unwrap();
    let mut text = String::new();
    if mode == Mode::DryRun {
        text += &outcome.to_text();
        assert_eq!(noting.done, Vec::<String>::new());
    }
    for line in &noting.done {
        writeln!(text, "{line}").unwrap();
    }
    for failure in &outcome.failures {
        writeln!(text, "failed: {failure}").unwrap();
    }
    for line in &outcome.reboot {
        writeln!(text, "reboot: {line}").unwrap();
    }
    text
}

#[test]
fn a_live_switch() {
    let (one, two) = two_generations();
    let machine = running_machine(&one, &two);
    expect![[r#"
        load module loop
        unmount /data
        mount LABEL=two on /data as ext4
        mount tmpfs on /tmp as tmpfs
        swap to /swap
        link /etc/static -> /nix/store/00000000000000000000000000000002-system/etc
        link /run/current-system -> /nix/store/00000000000000000000000000000002-system
        set kernel.sysrq to '1'
        reboot: vm.swappiness is no longer described, and keeps '60'
    "#]]
    .assert_eq(&go(&machine, TWO, Mode::DryRun, None));
    assert_eq!(machine.link("/run/current-system"), ONE);
    expect![[r#"
        load loop
        unmount /data
        mount /data
        mount /tmp
        kernel.sysrq = 1
        failed: cannot swap to /swap
        reboot: vm.swappiness is no longer described, and keeps '60'
    "#]]
    .assert_eq(&go(&machine, TWO, Mode::Apply, None));
    assert_eq!(machine.link("/run/current-system"), TWO);
    assert!(!machine.exists("/run/cairn/unfinished-system"));
}

#[test]
fn what_is_in_use_stays() {
    let (one, two) = two_generations();
    let machine = running_machine(&one, &two);
    expect![[r#"
        load loop
        mount /tmp
        kernel.sysrq = 1
        failed: cannot swap to /swap
        reboot: vm.swappiness is no longer described, and keeps '60'
        reboot: /data is in use, and stays mounted
        reboot: LABEL=two is not mounted on /data
    "#]]
    .assert_eq(&go(&machine, TWO, Mode::Apply, Some("/data")));
}

#[test]
fn sysctls_go_back() {
    let (one, two) = two_generations();
    let machine = running_machine(&one, &two);
    go(&machine, TWO, Mode::Apply, None);
    // The machine of this test only notes what it should set.
    machine.write("/proc/sys/kernel/sysrq", "1\n");
    expect![[r#"
        unmount /data
        mount /data
        kernel.sysrq = 0
    "#]]
    .assert_eq(&go(&machine, ONE, Mode::Apply, None));
}

#[test]
fn an_interrupted_live_switch_is_known_afterwards() {
    let (one, two) = two_generations();
    let machine = running_machine(&one, &two);
    // Killed after its mounts: the link to the current system is still the old one's.
    let link = machine.path("/run/cairn/unfinished-system");
    std::fs::create_dir_all(link.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(TWO, &link).unwrap();
    machine.write(
        "/proc/self/mountinfo",
        "1 1 0:1 / / rw - x x rw\n2 1 0:2 / /data rw - x x rw\n3 1 0:3 / /tmp rw - x x rw\n",
    );
    machine.write("/proc/sys/kernel/sysrq", "1\n");
    expect![[r#"
        unmount /data
        unmount /tmp
        mount /data
        reboot: kernel.sysrq is no longer described, and keeps '1'
    "#]]
    .assert_eq(&go(&machine, ONE, Mode::Apply, None));
    assert!(!machine.exists("/run/cairn/unfinished-system"));
    expect![[""]].assert_eq(&go(&machine, ONE, Mode::Apply, None));
}
