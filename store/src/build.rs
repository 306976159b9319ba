//! One build: from the lock to the finished output, everything but the registration.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use cairn_store_path::{
    Algorithm, ContentHash, ContentHasher, Derivation, FixedOutput, Method, Sha256Writer, StorePath,
};

use crate::database::Registration;
use crate::error::{StoreError, io_error};
use crate::job::{Build, Builders, Job};
use crate::lock::PathLock;
use crate::nar::{self, NarError};
use crate::publish::{Finished, new_info};
use crate::realise::{Event, RealiseError};
use crate::references::ReferenceScanner;
use crate::schedule::all_present;
use crate::store::Store;
use crate::{canonical, program, tree};

/// What a worker hands to the publisher. The locks are held until it is dropped.
pub(crate) struct Built {
    /// The outputs to be registered; none if another process was faster.
    pub(crate) finished: Vec<Finished>,
    timing: Option<Timing>,
    // Fields drop in order: the folder goes before the locks.
    folder: Option<Folder>,
    locks: Vec<PathLock>,
}

struct Timing {
    build: Duration,
    scan: Duration,
    nar_size: u64,
}

impl Built {
    pub(crate) fn event<'a>(&self, derivation: &'a StorePath) -> Event<'a> {
        match &self.timing {
            None => Event::Cached { derivation },
            Some(timing) => Event::Finished {
                derivation,
                build: timing.build,
                scan: timing.scan,
                nar_size: timing.nar_size,
            },
        }
    }

    pub(crate) fn release(&mut self) {
        self.folder = None;
        self.locks.clear();
    }
}

/// A folder for one build; removed when dropped.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = tree::remove(&self.0) {
            log::warn!("{error}; the next process that uses the store tries again");
        }
    }
}

/// Builds the derivation at `path`, whose inputs are all valid.
pub(crate) fn build(
    store: &Store,
    path: &StorePath,
    derivations: &BTreeMap<StorePath, Derivation>,
    builders: &Builders,
) -> Result<Built, RealiseError> {
    let derivation = derivations
        .get(path)
        .ok_or_else(|| RealiseError::Cycle(path.clone()))?;
    let locks = lock_outputs(store, derivation)?;
    if all_present(store, derivation)? {
        return Ok(Built {
            finished: Vec::new(),
            timing: None,
            folder: None,
            locks,
        });
    }
    let builder = find_builder(path, derivation, builders)?;
    let limits = builders.limits();
    let folder = Folder(store.workspace()?.fresh());
    let job = Job {
        store,
        derivation,
        derivation_path: path,
        inputs: inputs(path, derivation, derivations)?,
        outputs: output_places(&folder.0, derivation),
        scratch: folder.0.join("scratch"),
        closure: OnceLock::new(),
    };
    for sub in [&folder.0, &job.scratch, &folder.0.join("outputs")] {
        fs::create_dir(sub)
            .map_err(io_error("create folder", sub))
            .map_err(StoreError::from)?;
    }
    let begin = Instant::now();
    match builder {
        Builder::OfThisProgram(builder) => call(builder, &job)?,
        Builder::Program => {
            program::run(&job, &folder.0, limits).map_err(|source| RealiseError::Build {
                derivation: path.clone(),
                source: source.into(),
            })?;
        }
    }
    let build = begin.elapsed();
    // A build that filled its scratch folder should not keep that space while the disk syncs.
    tree::remove(&job.scratch).map_err(StoreError::from)?;
    let begin = Instant::now();
    let finished = finish(&job)?;
    let nar_size = finished
        .iter()
        .map(|object| object.registration.info.nar_size)
        .sum();
    Ok(Built {
        finished,
        timing: Some(Timing {
            build,
            scan: begin.elapsed(),
            nar_size,
        }),
        folder: Some(folder),
        locks,
    })
}

/// In the order of the paths, as every process does it.
fn lock_outputs(store: &Store, derivation: &Derivation) -> Result<Vec<PathLock>, RealiseError> {
    let paths: BTreeSet<&StorePath> = derivation.outputs.values().map(|out| &out.path).collect();
    paths
        .into_iter()
        .map(|path| PathLock::acquire(&store.writable_path(path)))
        .collect::<Result<_, _>>()
        .map_err(|error| StoreError::from(error).into())
}

/// What makes the outputs.
enum Builder<'a> {
    OfThisProgram(&'a dyn Build),
    /// The derivation's own, in a root of its own.
    Program,
}

fn find_builder<'a>(
    path: &StorePath,
    derivation: &Derivation,
    builders: &'a Builders,
) -> Result<Builder<'a>, RealiseError> {
    let name = derivation.builder.to_string();
    if name.starts_with('/') {
        return Ok(Builder::Program);
    }
    let found = builders.get(&name).map(Builder::OfThisProgram);
    found.ok_or_else(|| RealiseError::NoBuilder {
        derivation: path.clone(),
        builder: name,
        known: builders.names().collect::<Vec<_>>().join(", "),
    })
}

fn inputs(
    path: &StorePath,
    derivation: &Derivation,
    derivations: &BTreeMap<StorePath, Derivation>,
) -> Result<BTreeSet<StorePath>, RealiseError> {
    let mut inputs = derivation.input_srcs.clone();
    for (input, names) in &derivation.input_drvs {
        for name in names {
            let output = derivations.get(input).and_then(|input| input.output(name));
            let output = output.ok_or_else(|| RealiseError::NoInput {
                derivation: path.clone(),
                input: input.clone(),
                output: name.clone(),
            })?;
            inputs.insert(output.clone());
        }
    }
    Ok(inputs)
}

fn output_places(folder: &Path, derivation: &Derivation) -> BTreeMap<String, PathBuf> {
    let outputs = derivation.outputs.iter();
    outputs
        .map(|(name, output)| {
            let place = folder.join("outputs").join(output.path.base_name());
            (name.clone(), place)
        })
        .collect()
}

/// A builder's bug must not take the other builds with it.
fn call(builder: &dyn Build, job: &Job<'_>) -> Result<(), RealiseError> {
    match catch_unwind(AssertUnwindSafe(|| builder.build(job))) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(source)) => Err(RealiseError::Build {
            derivation: job.derivation_path.clone(),
            source,
        }),
        Err(panic) => Err(RealiseError::Panicked {
            derivation: job.derivation_path.clone(),
            builder: job.derivation.builder.to_string(),
            message: message(panic.as_ref()),
        }),
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "(no message)".to_owned())
}

fn finish(job: &Job<'_>) -> Result<Vec<Finished>, RealiseError> {
    let mut candidates: BTreeSet<StorePath> = job.closure_ref()?.iter().cloned().collect();
    candidates.extend(job.derivation.outputs.values().map(|out| out.path.clone()));
    let mut finished = Vec::new();
    for (name, output) in &job.derivation.outputs {
        let place = job
            .outputs
            .get(name)
            .filter(|place| place.symlink_metadata().is_ok());
        let Some(place) = place else {
            return Err(RealiseError::NoOutput {
                derivation: job.derivation_path.clone(),
                output: name.clone(),
            });
        };
        // The other outputs of a derivation may be there and in use: they stay.
        if job.store.is_present(&output.path)? {
            continue;
        }
        let failed = |source| RealiseError::Output {
            derivation: job.derivation_path.clone(),
            output: name.clone(),
            source,
        };
        canonical::canonicalise(place).map_err(failed)?;
        let mut reading = Reading {
            hasher: Sha256Writer::new(),
            scanner: ReferenceScanner::new(&candidates),
        };
        nar::write(place, &mut reading).map_err(failed)?;
        let mut info = new_info(output.path.clone(), reading.hasher.finish());
        info.references = reading.scanner.finish();
        info.deriver = Some(job.derivation_path.clone());
        info.ultimate = true;
        if let Some(fixed) = &output.fixed {
            check_fixed(job, place, fixed, &info)?;
            info.content_address = Some(fixed.content_address());
        }
        finished.push(Finished {
            tree: place.clone(),
            registration: Registration {
                info,
                outputs: Vec::new(),
            },
        });
    }
    Ok(finished)
}

/// Hashes and scans in one pass over the files.
struct Reading {
    hasher: Sha256Writer,
    scanner: ReferenceScanner,
}

impl Write for Reading {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        self.scanner.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn check_fixed(
    job: &Job<'_>,
    place: &Path,
    fixed: &FixedOutput,
    info: &crate::info::PathInfo,
) -> Result<(), RealiseError> {
    let found = match (fixed.method(), ContentHasher::new(fixed.algorithm())) {
        (Method::Recursive, _) if fixed.algorithm() == Algorithm::Sha256 => {
            Ok(info.nar_hash.to_string())
        }
        (Method::Recursive, Some(mut hasher)) => {
            nar::write(place, &mut hasher).map(|()| named(&hasher.finish()))
        }
        (Method::Flat, Some(hasher)) => flat_hash(place, hasher),
        (_, None) => Ok(format!(
            "nothing: hashes of type {} are too weak to be relied on",
            fixed.algorithm().name()
        )),
    };
    let expected = format!("{}:{}", fixed.algorithm().name(), fixed.base16());
    let found = found.map_err(|source| RealiseError::Output {
        derivation: job.derivation_path.clone(),
        output: "out".to_owned(),
        source,
    })?;
    if found != expected {
        return Err(RealiseError::Mismatch {
            derivation: job.derivation_path.clone(),
            expected,
            found,
        });
    }
    if info.references.is_empty() {
        return Ok(());
    }
    let references: Vec<String> = info.references.iter().map(ToString::to_string).collect();
    Err(RealiseError::FixedReferences {
        derivation: job.derivation_path.clone(),
        references: references.join(", "),
    })
}

/// The hash of one plain file. What a flat hash promises is its bytes, so that it must be neither
/// a folder nor executable.
fn flat_hash(place: &Path, mut hasher: ContentHasher) -> Result<String, NarError> {
    let metadata = fs::symlink_metadata(place).map_err(io_error("read", place))?;
    let kind = match metadata.file_type() {
        kind if kind.is_dir() => Some("folder"),
        kind if kind.is_symlink() => Some("symbolic link"),
        _ if metadata.permissions().mode() & 0o111 != 0 => Some("executable file"),
        _ => None,
    };
    if let Some(kind) = kind {
        return Ok(format!("a {kind}, but a flat hash needs a plain file"));
    }
    let mut file = fs::File::open(place).map_err(io_error("open", place))?;
    io::copy(&mut file, &mut hasher).map_err(io_error("read", place))?;
    Ok(named(&hasher.finish()))
}

fn named(hash: &ContentHash) -> String {
    format!("{}:{}", hash.algorithm().name(), hash.to_base16())
}
