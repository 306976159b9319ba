//! Pieces of work done by many threads and taken by one, in their order: what comes out does not
//! depend on the number of threads, and no thread runs ahead of the taker by more than a window,
//! so that memory is bounded.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, mpsc};

/// How many pieces there are, and how they are done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    /// Pieces, numbered from 0.
    pub pieces: usize,
    /// Threads that work beside the caller's.
    pub threads: usize,
    /// Pieces that may be begun and not yet taken.
    pub ahead: usize,
}

/// Does all pieces: each thread makes itself a worker by `hire`, which does pieces by `work`; their
/// results are given to `take` in the calling thread, in the order of their numbers.
///
/// # Errors
/// That of the first piece that fails, or of `take`; work that has begun is finished and dropped.
pub(crate) fn in_order<Worker, Item: Send, Error: Send>(
    schedule: Schedule,
    hire: impl Fn() -> Result<Worker, Error> + Sync,
    work: impl Fn(&mut Worker, usize) -> Result<Item, Error> + Sync,
    mut take: impl FnMut(usize, Item) -> Result<(), Error>,
) -> Result<(), Error> {
    let gate = Gate::new(schedule);
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        let _closing = Closing {
            gate: &gate,
            always: true,
        };
        for _ in 0..schedule.threads.clamp(1, schedule.pieces.max(1)) {
            let sender = sender.clone();
            let (gate, hire, work) = (&gate, &hire, &work);
            scope.spawn(move || {
                let _closing = Closing {
                    gate,
                    always: false,
                };
                let mut worker = None;
                while let Some(piece) = gate.next() {
                    let result = match &mut worker {
                        Some(worker) => work(worker, piece),
                        None => hire().and_then(|hired| work(worker.insert(hired), piece)),
                    };
                    if sender.send((piece, result)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut waiting = BTreeMap::new();
        let mut taken = 0;
        for (piece, result) in receiver {
            waiting.insert(piece, result);
            while let Some(result) = waiting.remove(&taken) {
                take(taken, result?)?;
                taken += 1;
                gate.taken(taken);
            }
        }
        Ok(())
    })
}

/// Gives the numbers out.
struct Gate {
    schedule: Schedule,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    begun: usize,
    taken: usize,
    closed: bool,
}

impl Gate {
    fn new(schedule: Schedule) -> Self {
        Self {
            schedule,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next piece, once it may be begun.
    fn next(&self) -> Option<usize> {
        let window = self.schedule.ahead.max(1);
        let mut state = self
            .changed
            .wait_while(self.state(), |state| {
                !state.closed
                    && state.begun < self.schedule.pieces
                    && state.begun >= state.taken + window
            })
            .unwrap_or_else(PoisonError::into_inner);
        if state.closed || state.begun >= self.schedule.pieces {
            return None;
        }
        state.begun += 1;
        Some(state.begun - 1)
    }

    fn taken(&self, count: usize) {
        self.state().taken = count;
        self.changed.notify_all();
    }
}

/// Sends all threads home when the taker leaves, or when one of them panics.
struct Closing<'a> {
    gate: &'a Gate,
    always: bool,
}

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        if self.always || std::thread::panicking() {
            self.gate.state().closed = true;
            self.gate.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn schedule(pieces: usize, threads: usize) -> Schedule {
        Schedule {
            pieces,
            threads,
            ahead: 3,
        }
    }

    #[test]
    fn results_come_in_order_from_any_number_of_threads() {
        for threads in [0, 1, 2, 7] {
            let mut found = Vec::new();
            let done = in_order(
                schedule(100, threads),
                || Ok::<_, String>(0),
                |_, piece| Ok(piece * 2),
                |piece, double| {
                    found.push((piece, double));
                    Ok(())
                },
            );
            assert_eq!(done, Ok(()));
            let wanted: Vec<_> = (0..100).map(|piece| (piece, piece * 2)).collect();
            assert_eq!(found, wanted);
        }
    }

    #[test]
    fn nobody_runs_ahead_of_the_taker() {
        let begun = AtomicUsize::new(0);
        let done = in_order(
            schedule(200, 4),
            || Ok::<_, String>(()),
            |(), _| Ok(begun.fetch_add(1, Ordering::SeqCst)),
            |piece, _| {
                assert!(begun.load(Ordering::SeqCst) <= piece + 3);
                Ok(())
            },
        );
        assert_eq!(done, Ok(()));
    }

    #[test]
    fn the_first_failure_ends_it() {
        let run = |bad: &[usize]| {
            in_order(
                schedule(50, 3),
                || Ok(()),
                |(), piece| {
                    let good = !bad.contains(&piece);
                    good.then_some(()).ok_or(format!("piece {piece}"))
                },
                |piece, ()| match piece {
                    40 => Err("taker".to_owned()),
                    _ => Ok(()),
                },
            )
        };
        assert_eq!(run(&[30, 7]), Err("piece 7".to_owned()));
        assert_eq!(run(&[]), Err("taker".to_owned()));
        let nobody = in_order(
            schedule(5, 2),
            || Err::<(), _>("hire"),
            |(), _| Ok(()),
            |_, ()| Ok(()),
        );
        assert_eq!(nobody, Err("hire"));
        let nothing = in_order(
            schedule(0, 2),
            || Err::<(), _>("x"),
            |(), _| Ok(()),
            |_, ()| Ok(()),
        );
        assert_eq!(nothing, Ok(()));
    }
}
