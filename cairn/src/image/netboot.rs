//! A live system that comes over the network: kernel, initrd, and the script that has iPXE load them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use cairn_image_builder::squashfs::{self, Cache, Level};
use cairn_image_builder::{LiveInitrd, Manifest, remove_tree};
use cairn_store::Store;
use cairn_store_path::StorePath;
use cairn_system::Bootspec;
use cairn_system::live::{LIVE_PARAMETER, MediumId};
use serde::Deserialize;

use super::boot::bootspec;
use super::root::{add_store_with, empty_root};

/// Raised with each change that gives other bytes for the same toplevel.
const FORMAT_VERSION: u32 = 3;

/// The names of the files, which are those of NixOS.
const KERNEL: &str = "bzImage";
const INITRD: &str = "initrd";
const SCRIPT: &str = "netboot.ipxe";

/// What a configuration says of it: `config.system.build.images.netboot.facts`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NetbootFacts {
    /// `networking.hostName`: names the image's folder.
    pub host_name: String,
    /// The level in `netboot.squashfsCompression`.
    pub compression_level: i32,
    /// `netboot.storeContents`: store paths.
    pub contents: Vec<String>,
}

/// What such a folder is made of.
#[derive(Debug, Clone, Copy)]
pub struct NetbootImage<'a> {
    /// The store that has the toplevel's closure.
    pub store: &'a Store,
    /// The system that it boots.
    pub toplevel: &'a StorePath,
    /// Further objects of its store.
    pub contents: &'a [StorePath],
    /// The level of compression.
    pub level: Level,
    /// What remembers how store objects were compressed.
    pub cache: Option<&'a Cache>,
    /// The time that everything in it bears, in seconds since 1970.
    pub epoch: u32,
}

impl NetbootImage<'_> {
    /// What its bytes follow from.
    #[must_use]
    pub fn key(toplevel: &StorePath, facts: &NetbootFacts, epoch: u32) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_derive_key("cairn 2026-11 network boot");
        hasher
            .update(toplevel.base_name().as_bytes())
            .update(format!("\n{facts:?}\n").as_bytes())
            .update(&epoch.to_le_bytes())
            .update(&FORMAT_VERSION.to_le_bytes());
        hasher.finalize()
    }

    /// Makes the folder `output` of the image with this key, which appears when it is whole.
    ///
    /// # Errors
    /// The closure cannot be read, a kernel parameter is not iPXE's, or the folder cannot be written.
    pub fn write(&self, key: &blake3::Hash, output: &Path) -> Result<()> {
        let making = || format!("cannot make '{}'", output.display());
        let folder = output.parent().unwrap_or(Path::new("."));
        let scratch = tempfile::Builder::new()
            .prefix(".cairn-image-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777))
            .tempdir_in(folder)
            .with_context(making)?;
        self.fill(key, scratch.path())?;
        fs::File::open(scratch.path())
            .and_then(|folder| folder.sync_all())
            .with_context(making)?;
        if output.exists() {
            remove_tree(output).with_context(making)?;
        }
        fs::rename(scratch.path(), output).with_context(making)?;
        // It has another name now.
        let _gone = scratch.keep();
        fs::File::open(folder)
            .and_then(|folder| folder.sync_all())
            .with_context(making)
    }

    fn fill(&self, key: &blake3::Hash, folder: &Path) -> Result<()> {
        let bootspec = bootspec(self.store, self.toplevel)?;
        let boot = &bootspec.v1;
        let medium = LiveInitrd::medium_of(key.as_bytes());
        let initrd = boot
            .initrd
            .as_ref()
            .with_context(|| format!("'{}' has no initrd", boot.toplevel))?;
        let live = LiveInitrd {
            system: &self.system()?,
            compression: squashfs::Options {
                level: self.level,
                ..squashfs::Options::new(self.epoch)
            },
            cache: self.cache,
            initrd: &self.store.real_path_of(initrd)?,
            medium: medium.clone(),
        };
        live.write(&folder.join(INITRD))?;
        let script = script(&bootspec, &medium)?;
        super::output::copy_sparse(
            &self.store.real_path_of(&boot.kernel)?,
            &folder.join(KERNEL),
        )?;
        let path = folder.join(SCRIPT);
        fs::write(&path, script)
            .and_then(|()| fs::File::open(&path)?.sync_all())
            .with_context(|| format!("cannot write '{}'", path.display()))
    }

    fn system(&self) -> Result<Manifest> {
        let mut system = empty_root()?;
        add_store_with(&mut system, self.store, self.toplevel, self.contents)?;
        Ok(system)
    }
}

/// The script, beside the two files. Whoever chains to it may have set `cmdline`.
fn script(bootspec: &Bootspec, medium: &MediumId) -> Result<String> {
    let mut words = vec![
        format!("initrd={INITRD}"),
        format!("init={}", bootspec.v1.init),
        format!("{LIVE_PARAMETER}={medium}"),
    ];
    words.extend(bootspec.v1.kernel_params.iter().cloned());
    for word in &words {
        ensure!(
            !word.contains("${") && !word.contains(['\\', '\n']),
            "cannot hand the kernel parameter '{word}' over: iPXE would alter it; \
             take it out of boot.kernelParams in image.modules.netboot"
        );
    }
    Ok(format!(
        "#!ipxe\n\
         # Further kernel parameters can be in the variable cmdline of a script that chains to this one.\n\
         kernel {KERNEL} {} ${{cmdline}}\n\
         initrd {INITRD}\n\
         boot\n",
        words.join(" ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn bootspec(param: &str) -> Bootspec {
        let text = serde_json::json!({"org.nixos.bootspec.v1": {
            "init": "/nix/store/x-system/init", "initrd": "/nix/store/x-initrd/initrd",
            "kernel": "/nix/store/x-linux/vmlinuz", "kernelParams": ["loglevel=4", param],
            "label": "Cairn", "system": "x86_64-linux", "toplevel": "/nix/store/x-system",
        }});
        Bootspec::parse(&text.to_string()).unwrap()
    }

    #[test]
    fn the_script() {
        let medium = MediumId::from_bytes([7; 16]);
        expect![[r#"
            #!ipxe
            # Further kernel parameters can be in the variable cmdline of a script that chains to this one.
            kernel bzImage initrd=initrd init=/nix/store/x-system/init cairn.live=07070707-0707-0707-0707-070707070707 loglevel=4 console=ttyS0 ${cmdline}
            initrd initrd
            boot
        "#]]
        .assert_eq(&script(&bootspec("console=ttyS0"), &medium).unwrap());
        expect!["cannot hand the kernel parameter 'a=${b}' over: iPXE would alter it; take it out of boot.kernelParams in image.modules.netboot"]
            .assert_eq(&script(&bootspec("a=${b}"), &medium).unwrap_err().to_string());
    }
}
