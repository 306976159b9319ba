//! Runs a program against a subject.
//!
//! The ways through a program are tried in the order of backtracking. Of two alternatives both
//! are tried and the longer match wins, the first at a draw; a loop is left only where going round
//! once more leads nowhere. A loop whose body matches nothing is entered at most twice at one
//! place. That is how libstdc++ reads "leftmost, longest", sub-matches included.
//!
//! It stays linear in the subject, whatever the expression: what a choice came to at a place is
//! remembered in two bits, so that no choice is explored twice there. (Inside loops whose body
//! can be empty the outcome depends on how often they were entered, too; these rare outcomes are
//! kept in a hash table.) The stack of choices that are open lies on the heap.

use std::collections::HashMap;

use super::bytes::ByteSet;
use super::program::{Choice, Instruction, Kind, Look, Program};

/// Memory that one search hands on to the next.
#[derive(Debug, Default)]
pub struct Scratch {
    frames: Vec<Frame>,
    /// Start and end of each group on the current way; [`UNSET`] where there is none.
    slots: Vec<u32>,
    /// The same for the best match so far.
    best: Vec<u32>,
    /// Two bits for each choice and place: not explored, leads nowhere, leads to a match.
    memory: Vec<u64>,
    memory_used: bool,
    /// The same where [`Visits`] matter.
    visited: HashMap<(u32, u32, u32), bool>,
    visits: Visits,
}

const UNSET: u32 = u32::MAX;

/// Work that remains to be done when the current way has ended.
#[derive(Debug, Clone, Copy)]
enum Frame {
    /// Try the second of two ways that compete by length.
    Second {
        choice: u32,
        place: u32,
        visits: u32,
    },
    /// Both were tried; the first came to this.
    Both {
        choice: u32,
        place: u32,
        visits: u32,
        first: bool,
    },
    /// Leave the loop, if going round led nowhere.
    Leave {
        choice: u32,
        place: u32,
        visits: u32,
    },
    /// The loop was left; what that came to is the outcome.
    Left {
        choice: u32,
        place: u32,
        visits: u32,
    },
    /// Give back one byte of a span.
    Shorten {
        choice: u32,
        low: u32,
        top: u32,
        current: u32,
        visits: u32,
    },
    /// Undo a group's place.
    Restore { slot: u32, old: u32 },
}

/// What is being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// The whole subject matches.
    Whole,
    /// The longest match from a place on.
    Prefix,
    /// The same, but not an empty one.
    NotEmpty,
}

/// A program, a subject and the memory for the search.
pub(super) struct Search<'a> {
    program: &'a Program,
    subject: &'a [u8],
    end: u32,
    scratch: &'a mut Scratch,
    goal: Goal,
    begin: u32,
    best_end: Option<u32>,
}

/// How many outcomes inside loops with an empty body are kept, and ways to have entered them: only an
/// expression that nests such loops deeply has more.
const VISITED: usize = 100_000;

/// The search was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooComplex;

impl<'a> Search<'a> {
    /// `None` if the subject has four gigabytes or more.
    pub(super) fn new(
        program: &'a Program,
        subject: &'a [u8],
        scratch: &'a mut Scratch,
    ) -> Option<Self> {
        let end = u32::try_from(subject.len())
            .ok()
            .filter(|end| *end < UNSET)?;
        scratch.memory.clear();
        scratch.memory_used = false;
        Some(Self {
            program,
            subject,
            end,
            scratch,
            goal: Goal::Whole,
            begin: 0,
            best_end: None,
        })
    }

    /// The end of the match that begins at `begin`.
    pub(super) fn run(&mut self, goal: Goal, begin: u32) -> Result<Option<u32>, TooComplex> {
        self.goal = goal;
        self.begin = begin;
        self.best_end = None;
        self.scratch.frames.clear();
        self.scratch.visited.clear();
        self.scratch.visits.clear();
        self.scratch.slots.clear();
        self.scratch
            .slots
            .resize(2 * self.program.groups as usize, UNSET);
        let visits = if goal == Goal::NotEmpty {
            Visits::NOT_EMPTY
        } else {
            Visits::FRESH
        };
        self.explore(begin, visits)?;
        if let Some(end) = self.best_end {
            self.forget(end);
        }
        Ok(self.best_end)
    }

    /// Where a group of the last match lies.
    pub(super) fn group(&self, group: u32) -> Option<(usize, usize)> {
        let index = 2 * group as usize;
        match self.scratch.best.get(index..index + 2) {
            Some(&[start, end]) if end != UNSET => Some((start as usize, end as usize)),
            _ => None,
        }
    }

    pub(super) fn end(&self) -> u32 {
        self.end
    }

    /// The first place from `from` on where a match can begin, as far as one byte tells.
    pub(super) fn candidate(&self, from: u32) -> Option<u32> {
        let look = self.program.start;
        if look.accept {
            return (from <= self.end).then_some(from);
        }
        let rest = self.subject.get(from as usize..)?;
        let skipped = match look.bytes.single() {
            Some(byte) => bstr::ByteSlice::find_byte(rest, byte),
            None => rest.iter().position(|byte| look.bytes.contains(*byte)),
        };
        match skipped {
            Some(skipped) => Some(from + u32::try_from(skipped).ok()?),
            None => look.line_end.then_some(self.end),
        }
    }

    fn explore(&mut self, begin: u32, visits: u32) -> Result<(), TooComplex> {
        let mut next = Some((0, begin, visits));
        let mut outcome = false;
        loop {
            if let Some((start, place, visits)) = next {
                match self.advance(start, place, visits) {
                    Some(reached) => outcome = reached,
                    None => return self.within_bounds(),
                }
            }
            self.within_bounds()?;
            let Some(frame) = self.scratch.frames.pop() else {
                return Ok(());
            };
            next = self.unwind(frame, &mut outcome);
        }
    }

    fn within_bounds(&self) -> Result<(), TooComplex> {
        if self.scratch.visited.len() > VISITED || self.scratch.visits.is_full() {
            return Err(TooComplex);
        }
        Ok(())
    }

    /// Follows one way until it fails or matches; the choices on it are pushed as frames. `None`:
    /// there is a match that nothing can beat.
    fn advance(&mut self, start: u32, start_place: u32, start_visits: u32) -> Option<bool> {
        let (mut at, mut place, mut visits) = (start, start_place, start_visits);
        loop {
            match self.program.at(at) {
                Instruction::Byte(byte) => {
                    if self.byte(place) != Some(byte) {
                        return Some(false);
                    }
                    (at, place, visits) = (at + 1, place + 1, Visits::FRESH);
                }
                Instruction::Set(set) => {
                    let set = self.program.bytes(set);
                    if !self.byte(place).is_some_and(|byte| set.contains(byte)) {
                        return Some(false);
                    }
                    (at, place, visits) = (at + 1, place + 1, Visits::FRESH);
                }
                Instruction::Open(group) => {
                    self.save(2 * group, place);
                    at += 1;
                }
                Instruction::Close(group) => {
                    self.save(2 * group + 1, place);
                    at += 1;
                }
                Instruction::LineBegin if place == 0 => at += 1,
                Instruction::LineEnd if place == self.end => at += 1,
                Instruction::LineBegin | Instruction::LineEnd => return Some(false),
                Instruction::Jump(target) => at = target,
                Instruction::Choose(choice) => match self.choose(choice, place, visits) {
                    Ok((next, entered)) => (at, visits) = (next, entered),
                    Err(outcome) => return Some(outcome),
                },
                Instruction::Span { set, choice } => match self.span(set, choice, place, visits) {
                    Ok(reached) => {
                        visits = if reached == place {
                            visits
                        } else {
                            Visits::FRESH
                        };
                        (at, place) = (at + 1, reached);
                    }
                    Err(outcome) => return Some(outcome),
                },
                Instruction::Accept => return self.accept(place),
            }
        }
    }

    fn accept(&mut self, place: u32) -> Option<bool> {
        let accepted = match self.goal {
            Goal::Whole => place == self.end,
            Goal::Prefix => true,
            Goal::NotEmpty => place != self.begin,
        };
        if !accepted {
            return Some(false);
        }
        if self.best_end.is_none_or(|end| end < place) {
            self.best_end = Some(place);
            self.scratch.best.clone_from(&self.scratch.slots);
        }
        if place == self.end || !self.program.compares {
            None
        } else {
            Some(true)
        }
    }

    /// Where to go on at a choice, or what it is known to come to.
    fn choose(&mut self, number: u32, place: u32, visits: u32) -> Result<(u32, u32), bool> {
        let Some(choice) = self.choice(number) else {
            return Err(false);
        };
        if let Some(outcome) = self.recall(number, place, visits) {
            return Err(outcome);
        }
        let first = self.possible(choice.first_look, place);
        let second = self.possible(choice.second_look, place);
        if !first {
            return if second {
                Ok((choice.second, visits))
            } else {
                Err(false)
            };
        }
        let entered = match choice.kind {
            Kind::Greedy if self.program.nullable_loop => self.scratch.visits.enter(visits, number),
            _ => Some(visits),
        };
        let Some(entered) = entered else {
            return if second {
                Ok((choice.second, visits))
            } else {
                Err(false)
            };
        };
        if second {
            self.scratch.frames.push(match choice.kind {
                Kind::Longer => Frame::Second {
                    choice: number,
                    place,
                    visits,
                },
                Kind::Greedy => Frame::Leave {
                    choice: number,
                    place,
                    visits,
                },
            });
        }
        Ok((choice.first, entered))
    }

    /// How far a span goes at first.
    fn span(&mut self, set: u32, number: u32, low: u32, visits: u32) -> Result<u32, bool> {
        if let Some(outcome) = self.recall(number, low, visits) {
            return Err(outcome);
        }
        let set = self.program.bytes(set);
        let mut top = low;
        if self.scratch.memory_used {
            while self.byte(top).is_some_and(|byte| set.contains(byte)) {
                match self.recall(number, top + 1, Visits::FRESH) {
                    Some(true) => return Err(true),
                    Some(false) => break,
                    None => top += 1,
                }
            }
        } else {
            top = self.span_end(set, low);
        }
        if top == low {
            return Ok(low);
        }
        self.shorten(number, low, top, top + 1, visits).ok_or(false)
    }

    fn span_end(&self, set: ByteSet, low: u32) -> u32 {
        let rest = self.subject.get(low as usize..).unwrap_or_default();
        let length = rest
            .iter()
            .position(|byte| !set.contains(*byte))
            .unwrap_or(rest.len());
        low + u32::try_from(length).unwrap_or_default()
    }

    /// The greatest place below `bound` where the rest may match; all places have failed if there
    /// is none.
    fn shorten(&mut self, number: u32, low: u32, top: u32, bound: u32, visits: u32) -> Option<u32> {
        let look = self.choice(number)?.second_look;
        let Some(current) = (low..bound).rev().find(|place| self.possible(look, *place)) else {
            self.remember(number, low, visits, false);
            for place in low + 1..=top {
                self.remember(number, place, Visits::FRESH, false);
            }
            return None;
        };
        self.scratch.frames.push(Frame::Shorten {
            choice: number,
            low,
            top,
            current,
            visits,
        });
        Some(current)
    }

    /// Goes on after a way has ended with `outcome`: the next way, if there is one.
    fn unwind(&mut self, frame: Frame, outcome: &mut bool) -> Option<(u32, u32, u32)> {
        match frame {
            Frame::Restore { slot, old } => {
                if let Some(value) = self.scratch.slots.get_mut(slot as usize) {
                    *value = old;
                }
            }
            Frame::Second {
                choice,
                place,
                visits,
            } => {
                let first = *outcome;
                self.scratch.frames.push(Frame::Both {
                    choice,
                    place,
                    visits,
                    first,
                });
                return Some((self.choice(choice)?.second, place, visits));
            }
            Frame::Both {
                choice,
                place,
                visits,
                first,
            } => {
                *outcome |= first;
                self.remember(choice, place, visits, *outcome);
            }
            Frame::Leave {
                choice,
                place,
                visits,
            } if !*outcome => {
                self.scratch.frames.push(Frame::Left {
                    choice,
                    place,
                    visits,
                });
                return Some((self.choice(choice)?.second, place, visits));
            }
            Frame::Leave {
                choice,
                place,
                visits,
            }
            | Frame::Left {
                choice,
                place,
                visits,
            } => {
                self.remember(choice, place, visits, *outcome);
            }
            Frame::Shorten {
                choice,
                low,
                top,
                current,
                visits,
            } => {
                if *outcome {
                    self.remember(choice, low, visits, true);
                    for place in low + 1..=top {
                        self.remember(choice, place, Visits::FRESH, place <= current);
                    }
                    return None;
                }
                let next = self.shorten(choice, low, top, current, visits);
                if let Some(place) = next {
                    let visits = if place == low { visits } else { Visits::FRESH };
                    return Some((self.choice(choice)?.second, place, visits));
                }
            }
        }
        None
    }

    fn choice(&self, number: u32) -> Option<&'a Choice> {
        self.program.choices.get(number as usize)
    }

    #[inline]
    fn byte(&self, place: u32) -> Option<u8> {
        self.subject.get(place as usize).copied()
    }

    #[inline]
    fn possible(&self, look: Look, place: u32) -> bool {
        match self.byte(place) {
            Some(byte) => look.bytes.contains(byte) || (look.accept && self.goal != Goal::Whole),
            None => look.accept || look.line_end,
        }
    }

    fn save(&mut self, slot: u32, place: u32) {
        if let Some(value) = self.scratch.slots.get_mut(slot as usize) {
            let old = std::mem::replace(value, place);
            // With no choice open there is nowhere to go back to.
            if !self.scratch.frames.is_empty() {
                self.scratch.frames.push(Frame::Restore { slot, old });
            }
        }
    }

    /// Word and shift of what is remembered of a choice at a place.
    fn memory_index(&self, choice: u32, place: u32) -> (usize, u32) {
        let row = self.end as usize + 1;
        let index = choice as usize * row + place as usize;
        (
            index / 32,
            u32::try_from(2 * (index % 32)).unwrap_or_default(),
        )
    }

    #[inline]
    fn recall(&self, choice: u32, place: u32, visits: u32) -> Option<bool> {
        if visits != Visits::FRESH {
            return self.scratch.visited.get(&(choice, place, visits)).copied();
        }
        if !self.scratch.memory_used {
            return None;
        }
        let (word, shift) = self.memory_index(choice, place);
        match (self.scratch.memory.get(word)? >> shift) & 3 {
            1 => Some(false),
            2 => Some(true),
            _ => None,
        }
    }

    fn remember(&mut self, choice: u32, place: u32, visits: u32, outcome: bool) {
        if visits != Visits::FRESH {
            self.scratch
                .visited
                .insert((choice, place, visits), outcome);
            return;
        }
        if !self.scratch.memory_used {
            self.scratch.memory_used = true;
            let entries = self.program.choices.len() * (self.end as usize + 1);
            self.scratch.memory = vec![0; entries / 32 + 1];
        }
        let (word, shift) = self.memory_index(choice, place);
        if let Some(word) = self.scratch.memory.get_mut(word) {
            *word = *word & !(3 << shift) | ((if outcome { 2 } else { 1 }) << shift);
        }
    }

    /// Later searches of the same subject begin at the end of this match or behind it: what leads
    /// nowhere from there stays true, what led to this match does not.
    fn forget(&mut self, place: u32) {
        if !self.scratch.memory_used || !self.program.compares {
            return;
        }
        for choice in (0..).take(self.program.choices.len()) {
            let (word, shift) = self.memory_index(choice, place);
            if let Some(word) = self.scratch.memory.get_mut(word)
                && (*word >> shift) & 3 == 2
            {
                *word &= !(3 << shift);
            }
        }
    }
}

/// How often loops were entered at the current place, as numbers for sets of such counts.
#[derive(Debug, Default)]
struct Visits {
    counts: Vec<Vec<(u32, u8)>>,
    numbers: HashMap<Vec<(u32, u8)>, u32>,
}

impl Visits {
    /// No loop was entered since the last byte was read.
    const FRESH: u32 = 0;
    /// The same at the beginning of a search for a match that must not be empty.
    const NOT_EMPTY: u32 = 1;

    fn clear(&mut self) {
        self.counts.clear();
        self.numbers.clear();
    }

    /// Whether there were more sets than are kept: what a search comes to then is nothing.
    fn is_full(&self) -> bool {
        self.counts.len() > VISITED
    }

    /// The counts after the loop was entered once more; `None` if that was often enough, or there is no room.
    fn enter(&mut self, visits: u32, choice: u32) -> Option<u32> {
        if self.counts.is_empty() {
            self.counts.extend([Vec::new(), vec![(u32::MAX, 1)]]);
        }
        let mut counts = self
            .counts
            .get(visits as usize)
            .cloned()
            .unwrap_or_default();
        match counts.binary_search_by_key(&choice, |(choice, _)| *choice) {
            Ok(index) => {
                let (_, count) = counts.get_mut(index)?;
                if *count == 2 {
                    return None;
                }
                *count += 1;
            }
            Err(index) => counts.insert(index, (choice, 1)),
        }
        if let Some(number) = self.numbers.get(&counts) {
            return Some(*number);
        }
        if self.is_full() {
            return None;
        }
        let number = u32::try_from(self.counts.len()).ok()?;
        self.counts.push(counts.clone());
        self.numbers.insert(counts, number);
        Some(number)
    }
}
