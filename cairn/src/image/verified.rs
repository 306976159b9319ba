//! A disk whose store the kernel verifies as it reads it, started by one program that the owner has signed.
//!
//! ```text
//! closure -> squashfs -> hash tree -> root hash --+
//!                    kernel, initrd, parameters --+-> program -> signature -> EFI system partition
//! ```
//!
//! The signature is thus over all that the machine runs. The private key is read by the signing program alone,
//! and goes nowhere else.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use cairn_bootloader::{Serial, UNIFIED_INITRD, UNIFIED_KERNEL, unified_args, unified_config};
use cairn_image_builder::squashfs::{self, Cache, Level};
use cairn_image_builder::{
    Content, Ext4Part, Identifiers, Manifest, Node, Region, VerifiedDisk, write_cpio,
};
use cairn_store::{Access, Sandbox, Store};
use cairn_store_path::StorePath;
use cairn_system::Bootspec;
use cairn_system::verity::{BLOCK, VERITY_PARAMETER, Verity};
use serde::Deserialize;
use uuid::Uuid;

use super::boot::{bootspec, esp};
use super::partition::Named;
use super::placement::Placement;
use super::root::{object_trees, root_of_state};
use super::shape::Sizes;
use crate::grub::{UEFI_PROGRAM, UefiFile};

/// Raised with each change that gives other bytes for the same toplevel.
const FORMAT_VERSION: u32 = 3;
/// Where tools see the folder of the moment.
const WORK: &str = "/work";
/// The files in it.
const STORE: &str = "store";
const ROOT_HASH: &str = "root-hash";
const CONFIG: &str = "unified.cfg";
const ARCHIVE: &str = "archive";
const PROGRAM: &str = "program.efi";
const SIGNED: &str = "signed.efi";

/// What a configuration says of it: `verityStore` in `config.system.build.imageFacts`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VerityFacts {
    /// The object with `bin/veritysetup`.
    pub veritysetup: String,
    /// The object with `bin/grub-mkimage`.
    pub tools: String,
    /// The object with `lib/grub/x86_64-efi`.
    pub uefi: String,
    /// Whether the first serial port gets GRUB's messages too.
    pub serial: bool,
    /// The level in `image.verityStore.squashfsCompression`.
    pub compression_level: i32,
    /// Who signs the program; nobody if the firmware is to start anything.
    pub signer: Option<SignerFacts>,
}

/// Whose signature the program gets.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignerFacts {
    /// The object with `bin/osslsigncode`.
    pub tool: String,
    /// `boot.secureBoot.privateKeyFile`.
    pub private_key_file: PathBuf,
    /// `boot.secureBoot.publicKeyFile`: the certificate.
    pub public_key_file: PathBuf,
}

/// What such an image is made of.
#[derive(Debug, Clone, Copy)]
pub struct VerifiedImage<'a> {
    /// The store that has the toplevel's closure.
    pub store: &'a Store,
    /// The system that it boots.
    pub toplevel: &'a StorePath,
    /// What the configuration says.
    pub facts: &'a VerityFacts,
    /// The level of compression.
    pub level: Level,
    /// What remembers how store objects were compressed.
    pub cache: Option<&'a Cache>,
    /// Its unit, how large it is, and what is left free in the root.
    pub sizes: Sizes,
    /// How the root is found, if the machine keeps what it writes.
    pub state: Option<&'a Named>,
    /// The time that everything in it bears, in seconds since 1970.
    pub epoch: u32,
}

impl VerifiedImage<'_> {
    /// What the bytes of such an image follow from.
    ///
    /// # Errors
    /// The certificate cannot be read.
    pub fn key(
        toplevel: &StorePath,
        facts: &VerityFacts,
        sizes: &Sizes,
        state: Option<&Named>,
        epoch: u32,
    ) -> Result<blake3::Hash> {
        let certificate = match &facts.signer {
            Some(signer) => read(&signer.public_key_file)?,
            None => Vec::new(),
        };
        let mut hasher = blake3::Hasher::new_derive_key("cairn 2026-11 verified disk image");
        hasher
            .update(toplevel.base_name().as_bytes())
            .update(format!("\n{facts:?}\n{sizes:?}\n{state:?}\n").as_bytes())
            .update(blake3::hash(&certificate).as_bytes())
            .update(&epoch.to_le_bytes())
            .update(&FORMAT_VERSION.to_le_bytes());
        Ok(hasher.finalize())
    }

    /// Writes the image with this key to `output`.
    ///
    /// # Errors
    /// The closure or a key cannot be read, a tool fails, or the image cannot be written.
    pub fn write(&self, key: &blake3::Hash, output: &Path) -> Result<()> {
        let folder = output.parent().unwrap_or(Path::new("."));
        let scratch = tempfile::Builder::new()
            .prefix(".cairn-image-")
            .tempdir_in(folder)
            .with_context(|| format!("cannot make a folder in '{}'", folder.display()))?;
        let work = scratch.path();
        let blocks = self.write_store(&work.join(STORE))?;
        let seeds = Seeds::of(key);
        let verity = self.add_hash_tree(work, blocks, &seeds)?;
        let bootspec = bootspec(self.store, self.toplevel)?;
        self.make_program(work, &bootspec, &verity)?;
        let program = match &self.facts.signer {
            Some(signer) => self.sign(work, signer)?,
            None => read(&work.join(PROGRAM))?,
        };
        self.write_disk(work, key, program, &verity, output)
    }

    /// The store as a squashfs; the number of its blocks.
    fn write_store(&self, file: &Path) -> Result<u64> {
        let mut tree = Manifest::new();
        let infos = self
            .store
            .closure_infos(std::slice::from_ref(self.toplevel))?;
        tree.insert_objects(object_trees(self.store, &infos, Path::new(""))?)?;
        let compression = squashfs::Options {
            level: self.level,
            ..squashfs::Options::new(self.epoch)
        };
        let mut plan = squashfs::plan(&tree, &compression)?;
        if let Some(cache) = self.cache {
            plan = plan.with_cache(cache);
        }
        let writing = || format!("cannot write '{}'", file.display());
        let output = File::create_new(file).with_context(writing)?;
        let region = Region::new(&output, 0, plan.size_limit());
        let written = squashfs::write(&plan, &region, &mut |_| {})?;
        output.set_len(written.size).with_context(writing)?;
        Ok(written.size / BLOCK)
    }

    /// Has veritysetup write the hash tree behind the store.
    fn add_hash_tree(&self, work: &Path, blocks: u64, seeds: &Seeds) -> Result<Verity> {
        let file = format!("{WORK}/{STORE}");
        let sandbox = self
            .tool(&self.facts.veritysetup, "veritysetup", work)
            .args([
                "format".to_owned(),
                "--hash=sha256".to_owned(),
                format!("--data-block-size={BLOCK}"),
                format!("--hash-block-size={BLOCK}"),
                format!("--data-blocks={blocks}"),
                format!("--hash-offset={}", blocks * BLOCK),
                format!("--salt={}", seeds.salt),
                format!("--uuid={}", seeds.uuid),
                format!("--root-hash-file={WORK}/{ROOT_HASH}"),
                file.clone(),
                file,
            ]);
        run(&sandbox, "veritysetup")?;
        let root_hash = read(&work.join(ROOT_HASH))?;
        let root_hash = String::from_utf8(root_hash).context("veritysetup gave no root hash")?;
        Ok(Verity::new(root_hash.trim(), &seeds.salt, blocks)?)
    }

    /// Has grub-mkimage make the program.
    fn make_program(&self, work: &Path, bootspec: &Bootspec, verity: &Verity) -> Result<()> {
        let serial = self.facts.serial.then_some(Serial::COM1);
        let further = [format!("{VERITY_PARAMETER}={verity}")];
        let config = unified_config(bootspec, &further, serial)?;
        let path = work.join(CONFIG);
        fs::write(&path, config).with_context(|| format!("cannot write '{}'", path.display()))?;
        self.write_archive(&work.join(ARCHIVE), bootspec)?;
        let [config, archive, program] =
            [CONFIG, ARCHIVE, PROGRAM].map(|name| format!("{WORK}/{name}"));
        let modules = format!("{}/lib/grub/x86_64-efi", self.facts.uefi);
        let sandbox = self
            .tool(&self.facts.tools, "grub-mkimage", work)
            .args(unified_args(&modules, &config, &archive, &program));
        run(&sandbox, "grub-mkimage")
    }

    /// Kernel and initrd, for GRUB.
    fn write_archive(&self, path: &Path, bootspec: &Bootspec) -> Result<()> {
        let mut tree = Manifest::new();
        let files = [(UNIFIED_KERNEL, Some(&bootspec.v1.kernel))]
            .into_iter()
            .chain([(UNIFIED_INITRD, bootspec.v1.initrd.as_ref())]);
        for (name, source) in files {
            let Some(source) = source else { continue };
            let path = self.store.real_path_of(source)?;
            let size = fs::metadata(&path)
                .with_context(|| format!("cannot read '{}'", path.display()))?
                .len();
            tree.insert(name, Node::new(0o444, Content::File { path, size }))?;
        }
        let writing = || format!("cannot write '{}'", path.display());
        let file = File::create(path).with_context(writing)?;
        let mut out = std::io::BufWriter::with_capacity(1 << 20, file);
        write_cpio(&tree, &mut out)?;
        out.flush().with_context(writing)
    }

    /// Has osslsigncode sign the program: the time of the signature is the image's.
    fn sign(&self, work: &Path, signer: &SignerFacts) -> Result<Vec<u8>> {
        const KEY: &str = "/keys/private";
        const CERTIFICATE: &str = "/keys/public";
        for (option, file) in [
            ("privateKeyFile", &signer.private_key_file),
            ("publicKeyFile", &signer.public_key_file),
        ] {
            // The sandbox would say that less plainly.
            File::open(file).with_context(|| {
                format!(
                    "cannot read '{}'; check boot.secureBoot.{option}",
                    file.display()
                )
            })?;
        }
        let sandbox = self
            .tool(&signer.tool, "osslsigncode", work)
            .bind(&signer.private_key_file, KEY, Access::ReadOnly)
            .bind(&signer.public_key_file, CERTIFICATE, Access::ReadOnly)
            .args([
                "sign".to_owned(),
                "-h".to_owned(),
                "sha256".to_owned(),
                "-time".to_owned(),
                self.epoch.to_string(),
                "-certs".to_owned(),
                CERTIFICATE.to_owned(),
                "-key".to_owned(),
                KEY.to_owned(),
                "-in".to_owned(),
                format!("{WORK}/{PROGRAM}"),
                "-out".to_owned(),
                format!("{WORK}/{SIGNED}"),
            ]);
        run(&sandbox, "osslsigncode").with_context(|| {
            format!(
                "cannot sign with '{}'; the key must be without a passphrase, and that of the certificate '{}'",
                signer.private_key_file.display(),
                signer.public_key_file.display()
            )
        })?;
        read(&work.join(SIGNED))
    }

    fn write_disk(
        &self,
        work: &Path,
        key: &blake3::Hash,
        program: Vec<u8>,
        verity: &Verity,
        output: &Path,
    ) -> Result<()> {
        let mut identifiers = Identifiers::from_seed(key.as_bytes());
        if let Some(state) = self.state {
            let placement = Placement {
                root: state.clone(),
                ..Placement::default()
            };
            identifiers = placement.identifiers(identifiers);
        }
        // The next program is written beside this one before it takes its name.
        let esp_free_space = program.len() as u64;
        let esp = esp(vec![UefiFile {
            path: UEFI_PROGRAM,
            content: program,
        }])?;
        let store = work.join(STORE);
        let store_size = fs::metadata(&store)
            .with_context(|| format!("cannot read '{}'", store.display()))?
            .len();
        let tree = root_of_state()?;
        let disk = VerifiedDisk {
            esp: &esp,
            esp_free_space,
            store: &store,
            store_size,
            store_partition: Uuid::try_parse(&verity.partition())?,
            root: self.state.map(|state| Ext4Part {
                tree: &tree,
                label: &state.label,
                free_space: self.sizes.root << 20,
            }),
            sector_size: self.sizes.sector,
            size: self.sizes.disk.map(|size| size << 20),
            identifiers,
            epoch: self.epoch,
        };
        let layout = disk.plan().map_err(|error| self.sizes.explain(error))?;
        log::debug!("{layout}");
        disk.write(&layout, output, &mut |_| {})?;
        Ok(())
    }

    /// A program of the store that works in `work`.
    fn tool(&self, object: &str, program: &str, work: &Path) -> Sandbox<'_> {
        Sandbox::new(self.store, format!("{object}/bin/{program}")).bind(
            work,
            WORK,
            Access::ReadWrite,
        )
    }
}

/// What makes the same store have the same tree wherever it is made.
struct Seeds {
    /// 64 hexadecimal digits.
    salt: String,
    uuid: Uuid,
}

impl Seeds {
    fn of(key: &blake3::Hash) -> Self {
        let derive = |purpose| blake3::derive_key(purpose, key.as_bytes());
        let [uuid @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] =
            derive("cairn 2026-11 verified store: UUID");
        let salt = derive("cairn 2026-11 verified store: salt");
        Self {
            salt: blake3::Hash::from_bytes(salt).to_hex().to_string(),
            uuid: Uuid::new_v8(uuid),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read '{}'", path.display()))
}

/// Runs a tool to its good end.
fn run(sandbox: &Sandbox<'_>, name: &str) -> Result<()> {
    let output = sandbox.run()?;
    if !output.status.success() {
        let said = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        bail!("{name} failed: {}", said.concat().trim());
    }
    Ok(())
}
