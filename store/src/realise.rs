//! Building derivations, and what they need, on all cores.
//!
//! A fixed number of workers build, canonicalise, hash and scan; the calling thread publishes what
//! they finished, in batches: while the disk writes one, the workers fill the next. What is not
//! registered was not built: a build that is killed at any point is done again.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cairn_store_path::{Derivation, StorePath};

use crate::build::{Built, build};
use crate::error::StoreError;
use crate::job::{BuildError, Builders};
use crate::nar::NarError;
use crate::publish::Finished;
use crate::schedule::{Plan, Ready};
use crate::store::Store;

/// The outputs of each wanted derivation by name.
pub type Realised = BTreeMap<StorePath, BTreeMap<String, StorePath>>;

/// Something that happened while derivations were realised.
#[derive(Debug)]
pub enum Event<'a> {
    /// What there is to do is known.
    Planned {
        /// How many derivations will be built.
        builds: usize,
    },
    /// The outputs of a derivation were there.
    Cached {
        /// The derivation.
        derivation: &'a StorePath,
    },
    /// A worker begins.
    Started {
        /// The derivation.
        derivation: &'a StorePath,
    },
    /// The outputs are valid.
    Finished {
        /// The derivation.
        derivation: &'a StorePath,
        /// Time of the builder alone.
        build: Duration,
        /// Time to canonicalise, hash and scan the outputs.
        scan: Duration,
        /// Sum of the outputs' archive sizes in bytes.
        nar_size: u64,
    },
    /// The build failed.
    Failed {
        /// The derivation.
        derivation: &'a StorePath,
    },
}

/// Is told what happens, from several threads.
pub trait Observer: Sync {
    /// Takes note of an event; must not block for long.
    fn observe(&self, event: &Event<'_>);
}

/// Takes no notice.
#[derive(Debug, Clone, Copy)]
pub struct Quiet;

impl Observer for Quiet {
    fn observe(&self, _: &Event<'_>) {}
}

/// Why derivations were not realised. What was built before the failure stays valid.
#[derive(Debug, thiserror::Error)]
pub enum RealiseError {
    /// A builder failed.
    #[error("cannot build {derivation}: {source}")]
    Build {
        /// The derivation.
        derivation: StorePath,
        /// The builder's error.
        source: BuildError,
    },
    /// A builder panicked.
    #[error("cannot build {derivation}: the builder '{builder}' has a bug and panicked: {message}")]
    Panicked {
        /// The derivation.
        derivation: StorePath,
        /// The builder.
        builder: String,
        /// What it said.
        message: String,
    },
    /// There is no such builder.
    #[error("cannot build {derivation}: there is no builder '{builder}'; known are {known}")]
    NoBuilder {
        /// The derivation.
        derivation: StorePath,
        /// What it asks for.
        builder: String,
        /// Which ones there are.
        known: String,
    },
    /// A builder did not make an output.
    #[error("cannot build {derivation}: the builder did not create the output '{output}'")]
    NoOutput {
        /// The derivation.
        derivation: StorePath,
        /// The output.
        output: String,
    },
    /// An output cannot be in the store.
    #[error("cannot store output '{output}' of {derivation}: {source}")]
    Output {
        /// The derivation.
        derivation: StorePath,
        /// The output.
        output: String,
        /// Why.
        source: NarError,
    },
    /// A fixed output has another content than promised.
    #[error("{derivation} made something else than promised: expected {expected}, got {found}")]
    Mismatch {
        /// The derivation.
        derivation: StorePath,
        /// The promised hash.
        expected: String,
        /// The hash of what was made.
        found: String,
    },
    /// A fixed output refers to store objects.
    #[error(
        "the fixed output of {derivation} must not refer to other objects, but does: {references}"
    )]
    FixedReferences {
        /// The derivation.
        derivation: StorePath,
        /// What it refers to.
        references: String,
    },
    /// An input derivation does not have the output that is asked of it.
    #[error("cannot build {derivation}: its input {input} has no output '{output}'")]
    NoInput {
        /// The derivation.
        derivation: StorePath,
        /// The input.
        input: StorePath,
        /// The missing output.
        output: String,
    },
    /// Derivations wait for each other: some file lies about its name.
    #[error("cannot build {0}: it depends on itself")]
    Cycle(StorePath),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No thread could be started.
    #[error("cannot start a build thread: {0}")]
    Thread(std::io::Error),
}

/// Stack of a worker, in bytes; lazily used.
const STACK: usize = 16 << 20;

impl Store {
    /// Builds what is missing of `derivations`, whose files are in the store, and of everything
    /// that they need; on as many threads as there are cores.
    ///
    /// # Errors
    /// The first failure; builds that were under way then are still finished and kept.
    pub fn realise(
        &self,
        derivations: &[StorePath],
        builders: &Builders,
        observer: &dyn Observer,
    ) -> Result<Realised, RealiseError> {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        self.realise_on(cores, derivations, builders, observer)
    }

    /// What [`realise`](Self::realise) would build: the derivations whose outputs are not all there,
    /// in no particular order.
    ///
    /// # Errors
    /// A derivation cannot be read, or the database cannot.
    pub fn missing(
        &self,
        derivations: &[StorePath],
    ) -> Result<Vec<(StorePath, Derivation)>, StoreError> {
        let mut plan = Plan::make(self, derivations)?;
        let taken = plan.nodes.into_iter().filter_map(|node| {
            let derivation = plan.derivations.remove(&node.path)?;
            Some((node.path, derivation))
        });
        Ok(taken.collect())
    }

    /// As [`realise`](Self::realise), on `threads` threads.
    ///
    /// # Errors
    /// As [`realise`](Self::realise).
    pub fn realise_on(
        &self,
        threads: usize,
        derivations: &[StorePath],
        builders: &Builders,
        observer: &dyn Observer,
    ) -> Result<Realised, RealiseError> {
        let mut plan = Plan::make(self, derivations)?;
        for derivation in &plan.cached {
            observer.observe(&Event::Cached { derivation });
        }
        observer.observe(&Event::Planned {
            builds: plan.nodes.len(),
        });
        if let Some(path) = &plan.cycle {
            return Err(RealiseError::Cycle(path.clone()));
        }
        if !plan.nodes.is_empty() {
            run(self, &mut plan, threads, builders, observer)?;
        }
        Ok(derivations
            .iter()
            .filter_map(|path| Some((path, plan.derivations.get(path)?)))
            .map(|(path, derivation)| {
                let outputs = derivation.outputs.iter();
                let outputs = outputs.map(|(name, output)| (name.clone(), output.path.clone()));
                (path.clone(), outputs.collect())
            })
            .collect())
    }
}

/// What the workers share.
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

struct Queue {
    ready: Ready,
    closed: bool,
}

impl Shared {
    /// The queue is whole even if a thread panicked with it locked: each step is one call.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for something to build; `None` when there will be no more.
    fn next(&self) -> Option<usize> {
        let mut queue = self.lock();
        loop {
            if let Some(index) = queue.ready.pop() {
                return Some(index);
            }
            if queue.closed {
                return None;
            }
            queue = self
                .changed
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn add(&self, ready: Ready) {
        self.lock().ready.append(ready);
        self.changed.notify_all();
    }

    fn close(&self) {
        let mut queue = self.lock();
        queue.ready.clear();
        queue.closed = true;
        drop(queue);
        self.changed.notify_all();
    }
}

type Outcome = (usize, Result<Built, RealiseError>);

fn run(
    store: &Store,
    plan: &mut Plan,
    threads: usize,
    builders: &Builders,
    observer: &dyn Observer,
) -> Result<(), RealiseError> {
    let shared = Shared {
        queue: Mutex::new(Queue {
            ready: plan.first(),
            closed: false,
        }),
        changed: Condvar::new(),
    };
    // The workers read what the publisher changes only in `waits` and `dependents`.
    let derivations = std::mem::take(&mut plan.derivations);
    let paths: Vec<StorePath> = plan.nodes.iter().map(|node| node.path.clone()).collect();
    let (sender, receiver) = channel();
    let result = std::thread::scope(|scope| {
        let mut result = Ok(());
        for _ in 0..threads.clamp(1, paths.len()) {
            let (sender, shared, paths, derivations) =
                (sender.clone(), &shared, &paths, &derivations);
            let work = move || {
                while let Some(index) = shared.next() {
                    let Some(path) = paths.get(index) else { return };
                    observer.observe(&Event::Started { derivation: path });
                    let built = build(store, path, derivations, builders);
                    if sender.send((index, built)).is_err() {
                        return;
                    }
                }
            };
            let thread = std::thread::Builder::new()
                .name("build".to_owned())
                .stack_size(STACK);
            if let Err(error) = thread.spawn_scoped(scope, work) {
                result = Err(RealiseError::Thread(error));
                shared.close();
                break;
            }
        }
        drop::<Sender<Outcome>>(sender);
        result.and(publish_all(
            store, plan, &paths, &shared, &receiver, observer,
        ))
    });
    plan.derivations = derivations;
    result
}

/// Publishes what the workers finish until nothing is left, or until something failed and all
/// workers have stopped.
fn publish_all(
    store: &Store,
    plan: &mut Plan,
    paths: &[StorePath],
    shared: &Shared,
    receiver: &Receiver<Outcome>,
    observer: &dyn Observer,
) -> Result<(), RealiseError> {
    let mut result = Ok(());
    let mut running = plan.nodes.len();
    while running > 0 {
        let Ok(first) = receiver.recv() else { break };
        let mut built = Vec::new();
        for (index, outcome) in std::iter::once(first).chain(receiver.try_iter()) {
            running -= 1;
            match outcome {
                Ok(outputs) => built.push((index, outputs)),
                Err(error) => {
                    if let Some(derivation) = paths.get(index) {
                        observer.observe(&Event::Failed { derivation });
                    }
                    shared.close();
                    result = result.and(Err(error));
                }
            }
        }
        if let Err(error) = publish(store, &mut built) {
            shared.close();
            result = result.and(Err(error));
            continue;
        }
        let mut ready = Ready::default();
        for (index, outputs) in built {
            if let Some(derivation) = paths.get(index) {
                observer.observe(&outputs.event(derivation));
            }
            plan.done(index, &mut ready);
        }
        match result {
            Ok(()) => shared.add(ready),
            Err(_) => shared.close(),
        }
    }
    shared.close();
    result
}

fn publish(store: &Store, built: &mut [(usize, Built)]) -> Result<(), RealiseError> {
    let finished: Vec<Finished> = built
        .iter_mut()
        .flat_map(|(_, built)| built.finished.drain(..))
        .collect();
    store.publish(&finished)?;
    for (_, built) in built {
        // Lets the next process in, and removes what is left of the temporary folder.
        built.release();
    }
    Ok(())
}
