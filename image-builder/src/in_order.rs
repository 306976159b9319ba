//! Pieces of work done by many threads and taken by one, in their order: what comes out does not
//! depend on the number of threads, and no thread runs ahead of the taker by more than a window,
//! so that memory is bounded.
//!
//! The taker is woken for some pieces at once: a piece may take less time than waking somebody.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Light pieces that may be begun and not yet taken.
const LIGHT_AHEAD: usize = 1024;

/// How many pieces there are, and how they are done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    /// Pieces, numbered from 0.
    pub pieces: usize,
    /// Threads that work beside the caller's.
    pub threads: usize,
    /// Pieces that may be begun and not yet taken, those not counted that turn out to be light.
    pub ahead: usize,
}

/// Does all pieces: each thread makes itself a worker by `hire`, which does pieces by `work`; their
/// results are given to `take` in the calling thread, in the order of their numbers. Those that are `light` take
/// next to no memory.
///
/// # Errors
/// That of the first piece that fails, or of `take`; work that has begun is finished and dropped.
pub(crate) fn in_order<Worker, Item: Send, Error: Send>(
    schedule: Schedule,
    hire: impl Fn() -> Result<Worker, Error> + Sync,
    work: impl Fn(&mut Worker, usize) -> Result<Item, Error> + Sync,
    light: impl Fn(&Item) -> bool + Sync,
    mut take: impl FnMut(usize, Item) -> Result<(), Error>,
) -> Result<(), Error> {
    let bench = Bench::new(schedule);
    std::thread::scope(|scope| {
        let _closing = Closing {
            bench: &bench,
            always: true,
        };
        for _ in 0..schedule.threads.clamp(1, schedule.pieces.max(1)) {
            let (bench, hire, work, light) = (&bench, &hire, &work, &light);
            scope.spawn(move || {
                let _closing = Closing {
                    bench,
                    always: false,
                };
                let mut worker = None;
                let mut next = bench.first();
                while let Some(piece) = next {
                    let result = match &mut worker {
                        Some(worker) => work(worker, piece),
                        None => hire().and_then(|hired| work(worker.insert(hired), piece)),
                    };
                    let is_light = result.as_ref().is_ok_and(light);
                    next = bench.lay_down(piece, result, is_light);
                }
            });
        }
        let mut taken = 0;
        while taken < schedule.pieces {
            let ready = bench.pick_up();
            if ready.is_empty() {
                // A thread has panicked, and its panic goes on at the scope's end.
                break;
            }
            let mut light_ones = 0;
            for result in ready {
                let item = result?;
                let is_light = light(&item);
                take(taken, item)?;
                taken += 1;
                if is_light {
                    light_ones += 1;
                } else {
                    bench.count_taken(std::mem::take(&mut light_ones), 1);
                }
            }
            bench.count_taken(light_ones, 0);
        }
        Ok(())
    })
}

/// Where pieces are given out and their results lie.
struct Bench<Item, Error> {
    schedule: Schedule,
    state: Mutex<State<Item, Error>>,
    /// For the workers.
    room: Condvar,
    /// For the taker.
    results: Condvar,
}

struct State<Item, Error> {
    begun: usize,
    /// Results that the taker has begun to take.
    picked: usize,
    taken: usize,
    /// Pieces that are being worked on, or whose results take memory until they are taken.
    heavy: usize,
    done: BTreeMap<usize, Result<Item, Error>>,
    /// Workers that wait for room.
    waiting: usize,
    closed: bool,
}

impl<Item, Error> Bench<Item, Error> {
    fn new(schedule: Schedule) -> Self {
        Self {
            schedule: Schedule {
                ahead: schedule.ahead.max(1),
                ..schedule
            },
            state: Mutex::new(State {
                begun: 0,
                picked: 0,
                taken: 0,
                heavy: 0,
                done: BTreeMap::new(),
                waiting: 0,
                closed: false,
            }),
            room: Condvar::new(),
            results: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<Item, Error>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A worker's first piece.
    fn first(&self) -> Option<usize> {
        self.next(self.state())
    }

    /// The next piece, once it may be begun.
    fn next(&self, mut state: MutexGuard<'_, State<Item, Error>>) -> Option<usize> {
        while !state.closed && state.begun < self.schedule.pieces && self.is_full(&state) {
            state.waiting += 1;
            state = self
                .room
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
        if state.closed || state.begun >= self.schedule.pieces {
            return None;
        }
        state.begun += 1;
        state.heavy += 1;
        Some(state.begun - 1)
    }

    /// Whether no piece may be begun before others are taken.
    fn is_full(&self, state: &State<Item, Error>) -> bool {
        state.heavy >= self.schedule.ahead || state.begun >= state.taken + LIGHT_AHEAD
    }

    /// Whether the taker has something to take, and enough of it or nothing to wait for.
    fn is_due(&self, state: &State<Item, Error>) -> bool {
        let enough = state.done.len() > self.schedule.ahead / 2;
        let last = state.begun >= self.schedule.pieces;
        state.done.contains_key(&state.picked) && (enough || last || self.is_full(state))
    }

    /// Takes a worker's result of `piece`, and gives it the next one.
    fn lay_down(&self, piece: usize, result: Result<Item, Error>, is_light: bool) -> Option<usize> {
        let mut state = self.state();
        if is_light {
            state.heavy -= 1;
        }
        state.done.insert(piece, result);
        if self.is_due(&state) {
            self.results.notify_one();
        }
        self.next(state)
    }

    /// The results that are next in order; none if there will be no more.
    fn pick_up(&self) -> Vec<Result<Item, Error>> {
        let mut state = self
            .results
            .wait_while(self.state(), |state| !state.closed && !self.is_due(state))
            .unwrap_or_else(PoisonError::into_inner);
        let mut ready = Vec::new();
        let mut next = state.picked;
        while let Some(result) = state.done.remove(&next) {
            next += 1;
            ready.push(result);
        }
        state.picked = next;
        ready
    }

    /// So many of the results that were picked up have been taken.
    fn count_taken(&self, light: usize, heavy: usize) {
        let mut state = self.state();
        state.taken += light + heavy;
        state.heavy -= heavy;
        if state.waiting > 0 {
            self.room.notify_all();
        }
    }
}

/// Sends all threads home when the taker leaves, or when one of them panics.
struct Closing<'a, Item, Error> {
    bench: &'a Bench<Item, Error>,
    always: bool,
}

impl<Item, Error> Drop for Closing<'_, Item, Error> {
    fn drop(&mut self) {
        if self.always || std::thread::panicking() {
            self.bench.state().closed = true;
            self.bench.room.notify_all();
            self.bench.results.notify_all();
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
                |double| double % 3 == 0,
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
            |_| false,
            |piece, _| {
                assert!(begun.load(Ordering::SeqCst) <= piece + 3);
                Ok(())
            },
        );
        assert_eq!(done, Ok(()));
    }

    #[test]
    fn what_is_light_holds_nobody_up() {
        // No piece is taken before the last one is done, though only 3 may lie there with something in them.
        let (begun, seen) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let done = in_order(
            schedule(LIGHT_AHEAD, 2),
            || Ok::<_, String>(()),
            |(), piece| {
                begun.fetch_add(1, Ordering::SeqCst);
                if piece == 0 {
                    while begun.load(Ordering::SeqCst) < LIGHT_AHEAD {
                        std::thread::yield_now();
                    }
                }
                Ok(piece)
            },
            |_| true,
            |piece, found| {
                assert_eq!(piece, found);
                seen.fetch_add(1, Ordering::SeqCst);
                Ok(())
            },
        );
        assert_eq!((done, seen.into_inner()), (Ok(()), LIGHT_AHEAD));
    }

    #[test]
    fn a_panic_of_a_worker_ends_it() {
        let run = || {
            in_order(
                schedule(100, 3),
                || Ok::<_, String>(()),
                |(), piece| {
                    assert_ne!(piece, 50, "on purpose");
                    Ok(())
                },
                |()| false,
                |_, ()| Ok(()),
            )
        };
        assert!(std::panic::catch_unwind(run).is_err());
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
                |()| true,
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
            |()| false,
            |_, ()| Ok(()),
        );
        assert_eq!(nobody, Err("hire"));
        let nothing = in_order(
            schedule(0, 2),
            || Err::<(), _>("x"),
            |(), _| Ok(()),
            |()| false,
            |_, ()| Ok(()),
        );
        assert_eq!(nothing, Ok(()));
    }
}
