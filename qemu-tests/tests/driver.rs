//! The driver itself, against a guest of 80 bytes: a boot sector that greets on the serial port,
//! echoes what is typed there, and powers off at a `q`.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use cairn_qemu_tests::{
    Accelerator, Blueprint, Boot, Bus, Disk, Machine, Writes, artefacts, images,
};
use serde_json::json;

const TIMEOUT: Duration = Duration::from_secs(30);

/// ```text
/// xor ax,ax; mov ds,ax; mov dx,0x3f8; mov si,0x7c2f
/// print: lodsb; test al,al; jz echo; out dx,al; jmp print
/// echo:  mov dx,0x3fd; in al,dx; test al,1; jz echo; mov dx,0x3f8; in al,dx
///        cmp al,'q'; je off; out dx,al; jmp echo
/// off:   mov dx,0x604; mov ax,0x2000; out dx,ax; hlt; jmp -1     ; ICH9 PM1a control: S5
/// ```
const CODE: [u8; 47] = [
    0x31, 0xc0, 0x8e, 0xd8, 0xba, 0xf8, 0x03, 0xbe, 0x2f, 0x7c, 0xac, 0x84, 0xc0, 0x74, 0x03, 0xee,
    0xeb, 0xf8, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xf8, 0xba, 0xf8, 0x03, 0xec, 0x3c, 0x71,
    0x74, 0x03, 0xee, 0xeb, 0xed, 0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef, 0xf4, 0xeb, 0xfd,
];

fn image(folder: &tempfile::TempDir) -> anyhow::Result<PathBuf> {
    let mut sector = CODE.to_vec();
    sector.extend(b"\x1b[1mhello\x1b[0m world\n\0");
    sector.resize(510, 0);
    sector.extend([0x55, 0xaa]);
    sector.resize(1 << 20, 0);
    let path = folder.path().join("disk.img");
    fs::write(&path, sector)?;
    Ok(path)
}

fn start(name: &str, folder: &tempfile::TempDir) -> anyhow::Result<Machine> {
    start_for(name, folder, Duration::from_mins(1))
}

fn start_for(
    name: &str,
    folder: &tempfile::TempDir,
    deadline: Duration,
) -> anyhow::Result<Machine> {
    Blueprint::new(name, Boot::Bios)
        .accelerator(Accelerator::Tcg)
        .memory_mib(64)
        .deadline(deadline)
        .disk(&image(folder)?)
        .start()
}

#[test]
fn console_monitor_and_power_off() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let machine = start("driver_console", &folder)?;
    machine.check("greeting", |machine| {
        machine.console().expect("hello world")
    })?;
    machine.check("echo", |machine| {
        machine.console().send_line("abc")?;
        machine.console().expect("abc")
    })?;
    machine.check("reset", |machine| {
        machine.press_reset_button()?;
        machine.qmp().wait_event("RESET", TIMEOUT)?;
        machine.console().expect("hello world")
    })?;
    machine.check("screenshot", |machine| {
        let path = machine.screenshot()?;
        assert!(fs::metadata(path)?.len() > 100);
        Ok(())
    })?;
    machine.check("power off", |machine| {
        machine.console().send(b"q")?;
        machine.qmp().wait_event("SHUTDOWN", TIMEOUT)?;
        machine.wait_for_power_off(TIMEOUT)
    })?;
    assert!(!machine.runs());
    let log = fs::read_to_string(machine.folder().join("serial.log"))?;
    assert_eq!(log.matches("hello").count(), 2);
    Ok(())
}

#[test]
fn what_does_not_come_ends_at_its_deadline_and_leaves_evidence() {
    let folder = tempfile::tempdir().unwrap();
    let machine = start_for("driver_deadline", &folder, Duration::from_secs(10)).unwrap();
    machine.console().expect("hello world").unwrap();
    let error = machine
        .check("a prompt", |machine| {
            machine
                .console()
                .expect_within("login:", Duration::from_millis(300))
        })
        .unwrap_err();
    let text = format!("{error:#}");
    assert!(
        text.contains("serial.log") && text.contains("screen.p"),
        "{text}"
    );
    assert!(
        text.contains("0.3 s have passed") && text.contains("hello world"),
        "{text}"
    );
    assert!(
        machine.agent().run_within("true", TIMEOUT).is_err(),
        "this guest has no agent"
    );
}

#[test]
fn the_end_of_the_machine_ends_the_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let machine = start("driver_end", &folder).unwrap();
    machine.console().expect("hello world").unwrap();
    machine.console().send(b"q").unwrap();
    let error = machine.console().expect("login:").unwrap_err();
    assert!(error.to_string().contains("the machine ended"), "{error:#}");
    assert!(machine.qmp().execute("query-status", &json!({})).is_err());
}

#[test]
fn a_dropped_machine_leaves_no_process() {
    let folder = tempfile::tempdir().unwrap();
    let machine = start("driver_drop", &folder).unwrap();
    machine.console().expect("hello world").unwrap();
    let pid = machine.process_id();
    let alive = || fs::exists(format!("/proc/{pid}")).unwrap();
    assert!(alive());
    drop(machine);
    assert!(!alive());
}

#[test]
fn the_image_is_never_written_to() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let image = image(&folder)?;
    let machine = Blueprint::new("driver_copy", Boot::Bios)
        .accelerator(Accelerator::Tcg)
        .memory_mib(64)
        .any_disk(Disk {
            image: image.clone(),
            writes: Writes::Copied,
            bus: Bus::VirtioBlk,
        })
        .start()?;
    machine.console().expect("hello world")?;
    let copy = machine.disk(0).unwrap();
    assert_ne!(copy, image);
    assert_eq!(fs::read(copy)?, fs::read(&image)?);
    Ok(())
}

#[test]
fn every_bus_is_one_that_qemu_knows() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    for bus in [
        Bus::VirtioBlk,
        Bus::VirtioScsi,
        Bus::Ahci,
        Bus::Nvme,
        Bus::Usb,
    ] {
        let machine = Blueprint::new(&format!("driver_bus_{bus:?}"), Boot::Bios)
            .accelerator(Accelerator::Tcg)
            .memory_mib(64)
            .deadline(Duration::from_mins(1))
            .any_disk(Disk {
                image: image(&folder)?,
                writes: Writes::Discarded,
                bus,
            })
            .start()?;
        machine.check(&format!("boot from {bus:?}"), |machine| {
            machine.console().expect("hello world")
        })?;
    }
    Ok(())
}

#[test]
fn what_qemu_complains_of_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let error = Blueprint::new("driver_complaint", Boot::Bios)
        .disk(folder.path())
        .accelerator(Accelerator::Tcg)
        .start()
        .unwrap_err();
    assert!(
        format!("{error:#}").contains("cannot start QEMU"),
        "{error:#}"
    );
    assert!(format!("{error:#}").contains("regular file"), "{error:#}");
}

#[test]
fn the_accelerator_is_one_that_runs_a_guest() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let machine = Blueprint::new("driver_accelerator", Boot::Bios)
        .memory_mib(64)
        .deadline(Duration::from_mins(1))
        .disk(&image(&folder)?)
        .start()?;
    machine.console().expect("hello world")?;
    assert_eq!(machine.accelerator(), artefacts::accelerator()?);
    Ok(())
}

#[test]
fn ovmf_starts() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let machine = Blueprint::new("driver_ovmf", Boot::Uefi)
        .memory_mib(256)
        .deadline(Duration::from_mins(2))
        .disk(&image(&folder)?)
        .start()?;
    machine.check("firmware", |machine| machine.console().expect("BdsDxe: "))?;
    Ok(())
}

/// A machine that is stopped is one whose firmware does not start.
#[test]
#[ignore = "long: cargo xtask torture media"]
fn firmware_that_does_not_start_is_reset_again() -> anyhow::Result<()> {
    const LONG: Duration = Duration::from_mins(12);
    let file = images::with_agent("formats")?;
    let built = images::build("formats", &file, &images::options()?)?;
    let machine = Blueprint::new("driver_silence", Boot::Bios)
        .any_disk(Disk {
            image: built.image,
            writes: Writes::Discarded,
            bus: Bus::Ahci,
        })
        .memory_mib(768)
        .deadline(LONG)
        .start()?;
    let before = machine.check("first boot", |machine| machine.agent().ready())?;
    let monitor = machine.qmp();
    monitor.execute("stop", &json!({}))?;
    machine.press_reset_button()?;
    monitor.wait_event("RESET", TIMEOUT)?;
    thread::scope(|scope| {
        let starts = scope.spawn(|| {
            monitor.wait_event("RESET", LONG)?;
            monitor.execute("cont", &json!({}))
        });
        machine.check("second boot", |machine| machine.ready_after(&before))?;
        starts.join().expect("nothing panics").map(drop)
    })
}
