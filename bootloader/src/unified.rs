//! One program for UEFI that has everything a system boots in it: GRUB with kernel, initrd and command line in
//! a file system in memory. Whoever verifies the program has verified them all.
//!
//! There is no menu, no prompt and no file of a disk: nothing outside of the program is read, and nobody can
//! change the command line. If the kernel does not start, the firmware goes on with what it has next.
//!
//! `--disable-shim-lock`: GRUB would ask Microsoft's shim otherwise whether it trusts the kernel. That it is
//! the right one is known already.

use crate::entry_id::EntryId;
use crate::generation::{BootFiles, Entry, EntryError};
use crate::menu::linux;
use crate::options::Serial;
use crate::quote::quote;
use cairn_system::Bootspec;

/// The files of the program's own file system, an archive in the format `newc` of cpio.
pub const UNIFIED_KERNEL: &str = "kernel";
/// The initrd there.
pub const UNIFIED_INITRD: &str = "initrd";

/// Seconds for which the reason stands why the kernel does not start.
const TIME_TO_READ: u8 = 10;

/// All that it takes.
const MODULES: [&str; 10] = [
    "all_video",
    "boot",
    "echo",
    "linux",
    "memdisk",
    "minicmd",
    "newc",
    "serial",
    "sleep",
    "terminal",
];

/// The configuration in the program that boots the system of `bootspec`, with further arguments. With `serial`,
/// messages go there too.
///
/// # Errors
/// GRUB or the kernel would change a parameter.
pub fn unified_config(
    bootspec: &Bootspec,
    further: &[String],
    serial: Option<Serial>,
) -> Result<String, EntryError> {
    let place = |name: &str| format!("(memdisk)/{name}");
    let files = BootFiles {
        kernel: place(UNIFIED_KERNEL),
        initrd: bootspec.v1.initrd.is_some().then(|| place(UNIFIED_INITRD)),
    };
    let entry = Entry::new(EntryId::generation(1), bootspec, files)?;
    let further: Vec<_> = further.iter().map(String::as_str).collect();
    entry.check_room_for(&further)?;
    let serial = serial.map(Serial::early_commands).unwrap_or_default();
    let linux = linux(&entry, &further);
    let initrd = entry.files().initrd.as_ref();
    let initrd = initrd.map(|initrd| format!("initrd {}\n", quote(initrd)));
    Ok(format!(
        "{serial}{linux}\n\
         {}\
         boot\n\
         echo 'The kernel does not start.'\n\
         sleep {TIME_TO_READ}\n\
         exit\n",
        initrd.unwrap_or_default()
    ))
}

/// Arguments of `grub-mkimage`, with the paths of the folder of GRUB's modules for UEFI, of files that hold
/// [`unified_config`] and the archive, and of the output.
#[must_use]
pub fn unified_args(modules: &str, config: &str, archive: &str, output: &str) -> Vec<String> {
    [
        "--disable-shim-lock",
        "-O",
        "x86_64-efi",
        "-d",
        modules,
        "-c",
        config,
        "-m",
        archive,
        "-p",
        "(memdisk)/",
        "-o",
        output,
    ]
    .into_iter()
    .chain(MODULES)
    .map(str::to_owned)
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn bootspec(parameters: &str) -> Bootspec {
        Bootspec::parse(&format!(
            r#"{{"org.nixos.bootspec.v1": {{"init": "/nix/store/x-system/init", "initrd": "/i", "kernel": "/k",
            "kernelParams": [{parameters}], "label": "l", "system": "x86_64-linux", "toplevel": "/t"}}}}"#
        ))
        .unwrap()
    }

    #[test]
    fn the_configuration() {
        let bootspec = bootspec(r#""loglevel=4", "a=$x""#);
        let further = ["cairn.verity=00:11:22".to_owned()];
        let text = unified_config(&bootspec, &further, Some(Serial::COM1)).unwrap();
        expect![[r#"
            serial --unit=0 --speed=115200
            terminal_input console serial
            terminal_output console serial
            set cairn_serial=0,115200
            export cairn_serial
            linux '(memdisk)/kernel' 'init=/nix/store/x-system/init' 'loglevel=4' 'a=$x' 'cairn.generation=1' 'cairn.verity=00:11:22'
            initrd '(memdisk)/initrd'
            boot
            echo 'The kernel does not start.'
            sleep 10
            exit
        "#]].assert_eq(&text);
    }

    #[test]
    fn a_line_that_is_too_long_is_refused() {
        let bootspec = bootspec("");
        let error = unified_config(&bootspec, &["x".repeat(2000)], None).unwrap_err();
        expect!["cannot boot 'l': its kernel command line has 2078 bytes, and Linux takes 2047; shorten boot.kernelParams"].assert_eq(&error.to_string());
    }

    #[test]
    fn arguments() {
        expect!["--disable-shim-lock -O x86_64-efi -d /lib -c /config -m /archive -p (memdisk)/ -o /program all_video boot echo linux memdisk minicmd newc serial sleep terminal"]
            .assert_eq(&unified_args("/lib", "/config", "/archive", "/program").join(" "));
    }
}
