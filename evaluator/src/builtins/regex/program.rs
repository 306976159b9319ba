//! A regular expression as a program for [`super::search`].
//!
//! While an expression is parsed, a piece of code refers to places by their distance, so that
//! pieces can be joined and copied (`a{3}`). [`Program::link`] turns distances into places and
//! notes for each choice which bytes can follow on either side.

use super::bytes::ByteSet;
use super::parse::Invalid;

/// Longer programs are refused; libstdc++ has the same limit of states.
const LIMIT: usize = 100_000;

#[derive(Debug, Clone, Copy)]
enum Step {
    Byte(u8),
    Set(ByteSet),
    Open(u32),
    Close(u32),
    LineBegin,
    LineEnd,
    Jump(isize),
    Choose {
        kind: Kind,
        first: isize,
        second: isize,
    },
    Span(ByteSet),
}

/// How two ways compete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Both are tried; the longer match wins, the first at a draw.
    Longer,
    /// The second (to leave the loop) is tried only when the first (once more) fails.
    Greedy,
}

/// A piece of an expression.
#[derive(Debug, Clone)]
pub(super) struct Code {
    steps: Vec<Step>,
    /// Whether it can match the empty string.
    nullable: bool,
    /// Whether a loop in it repeats something that can match the empty string.
    nullable_loop: bool,
}

impl Code {
    pub(super) fn empty() -> Self {
        Self {
            steps: Vec::new(),
            nullable: true,
            nullable_loop: false,
        }
    }

    fn one(step: Step, nullable: bool) -> Self {
        Self {
            steps: vec![step],
            nullable,
            nullable_loop: false,
        }
    }

    pub(super) fn byte(byte: u8) -> Self {
        Self::one(Step::Byte(byte), false)
    }

    pub(super) fn set(set: ByteSet) -> Self {
        Self::one(set.single().map_or(Step::Set(set), Step::Byte), false)
    }

    pub(super) fn line_begin() -> Self {
        Self::one(Step::LineBegin, true)
    }

    pub(super) fn line_end() -> Self {
        Self::one(Step::LineEnd, true)
    }

    pub(super) fn append(&mut self, other: &Self) -> Result<(), Invalid> {
        self.steps.extend_from_slice(&other.steps);
        self.nullable &= other.nullable;
        self.nullable_loop |= other.nullable_loop;
        self.checked()
    }

    fn checked(&self) -> Result<(), Invalid> {
        if self.steps.len() > LIMIT {
            return Err(Invalid("the expression is too large"));
        }
        Ok(())
    }

    fn len(&self) -> isize {
        // LIMIT keeps it far below.
        isize::try_from(self.steps.len()).unwrap_or(isize::MAX)
    }

    pub(super) fn group(mut self, group: u32) -> Result<Self, Invalid> {
        self.steps.insert(0, Step::Open(group));
        self.steps.push(Step::Close(group));
        self.checked()?;
        Ok(self)
    }

    pub(super) fn or(mut self, other: &Self) -> Result<Self, Invalid> {
        let second = self.len() + 2;
        self.steps.insert(
            0,
            Step::Choose {
                kind: Kind::Longer,
                first: 1,
                second,
            },
        );
        self.steps.push(Step::Jump(other.len() + 1));
        let nullable = self.nullable || other.nullable;
        self.append(other)?;
        self.nullable = nullable;
        Ok(self)
    }

    /// The set of a piece that matches one byte and captures nothing.
    fn single(&self) -> Option<ByteSet> {
        match self.steps.as_slice() {
            [Step::Byte(byte)] => Some(ByteSet::of(*byte)),
            [Step::Set(set)] => Some(*set),
            _ => None,
        }
    }

    pub(super) fn star(mut self) -> Result<Self, Invalid> {
        if let Some(set) = self.single() {
            return Ok(Self::one(Step::Span(set), true));
        }
        let length = self.len();
        self.steps.insert(
            0,
            Step::Choose {
                kind: Kind::Greedy,
                first: 1,
                second: length + 2,
            },
        );
        self.steps.push(Step::Jump(-(length + 1)));
        self.nullable_loop |= self.nullable;
        self.nullable = true;
        self.checked()?;
        Ok(self)
    }

    pub(super) fn plus(mut self) -> Result<Self, Invalid> {
        if let Some(set) = self.single() {
            self.append(&Self::one(Step::Span(set), true))?;
            self.nullable = false;
            return Ok(self);
        }
        let first = -self.len();
        self.steps.push(Step::Choose {
            kind: Kind::Greedy,
            first,
            second: 1,
        });
        self.nullable_loop |= self.nullable;
        self.checked()?;
        Ok(self)
    }

    pub(super) fn optional(mut self) -> Result<Self, Invalid> {
        let second = self.len() + 1;
        self.steps.insert(
            0,
            Step::Choose {
                kind: Kind::Greedy,
                first: 1,
                second,
            },
        );
        self.nullable = true;
        self.checked()?;
        Ok(self)
    }

    pub(super) fn interval(self, least: u32, greatest: Option<u32>) -> Result<Self, Invalid> {
        let mut code = Self::empty();
        for _ in 0..least {
            code.append(&self)?;
        }
        let Some(greatest) = greatest else {
            code.append(&self.star()?)?;
            return Ok(code);
        };
        let nullable = code.nullable;
        let each = self.len() + 1;
        for remaining in (1..=greatest - least).rev() {
            let remaining = isize::try_from(remaining)
                .map_err(|_| Invalid("the number of an interval is too large"))?;
            let second = each
                .checked_mul(remaining)
                .ok_or(Invalid("the number of an interval is too large"))?;
            code.steps.push(Step::Choose {
                kind: Kind::Greedy,
                first: 1,
                second,
            });
            code.append(&self)?;
        }
        code.nullable = nullable;
        Ok(code)
    }
}

/// One instruction. Those that do not name a successor go on with the next.
#[derive(Debug, Clone, Copy)]
pub(super) enum Instruction {
    Byte(u8),
    /// A set by its number in [`Program::sets`].
    Set(u32),
    Open(u32),
    Close(u32),
    LineBegin,
    LineEnd,
    Jump(u32),
    /// A choice by its number in [`Program::choices`].
    Choose(u32),
    /// As many bytes of the set as go, fewer if the rest fails; its `second` is the rest.
    Span {
        set: u32,
        choice: u32,
    },
    Accept,
}

/// Two ways to go on, and what must follow on each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice {
    pub(super) kind: Kind,
    pub(super) first: u32,
    pub(super) second: u32,
    pub(super) first_look: Look,
    pub(super) second_look: Look,
}

/// With what the subject can go on from a place; it may promise too much, never too little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) bytes: ByteSet,
    /// Whether the expression can be fulfilled here, or at the end of the subject.
    pub(super) accept: bool,
    pub(super) line_end: bool,
}

impl Look {
    const NOTHING: Self = Self {
        bytes: ByteSet::EMPTY,
        accept: false,
        line_end: false,
    };
    const ANYTHING: Self = Self {
        bytes: ByteSet::ALL,
        accept: true,
        line_end: true,
    };
}

/// A regular expression that can be searched for.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) instructions: Vec<Instruction>,
    pub(super) sets: Vec<ByteSet>,
    pub(super) choices: Vec<Choice>,
    pub(super) groups: u32,
    /// Whether ways are compared by length; if not, the first match is the one.
    pub(super) compares: bool,
    pub(super) nullable_loop: bool,
    pub(super) start: Look,
    /// The bytes of an expression that is nothing but them.
    pub(super) literal: Option<Vec<u8>>,
}

impl Program {
    pub(super) fn link(code: &Code, groups: u32) -> Self {
        let mut program = Self {
            instructions: Vec::with_capacity(code.steps.len() + 1),
            sets: Vec::new(),
            choices: Vec::new(),
            groups,
            compares: false,
            nullable_loop: code.nullable_loop,
            start: Look::NOTHING,
            literal: code
                .steps
                .iter()
                .map(|step| match step {
                    Step::Byte(byte) => Some(*byte),
                    _ => None,
                })
                .collect::<Option<Vec<u8>>>()
                .filter(|_| groups == 0),
        };
        for (place, step) in code.steps.iter().enumerate() {
            let instruction = program.instruction(place, *step);
            program.instructions.push(instruction);
        }
        program.instructions.push(Instruction::Accept);
        program.look_ahead();
        program
    }

    fn instruction(&mut self, place: usize, step: Step) -> Instruction {
        let at = |distance: isize| {
            u32::try_from(place.saturating_add_signed(distance)).unwrap_or(u32::MAX)
        };
        match step {
            Step::Byte(byte) => Instruction::Byte(byte),
            Step::Set(set) => Instruction::Set(self.set(set)),
            Step::Open(group) => Instruction::Open(group),
            Step::Close(group) => Instruction::Close(group),
            Step::LineBegin => Instruction::LineBegin,
            Step::LineEnd => Instruction::LineEnd,
            Step::Jump(distance) => Instruction::Jump(at(distance)),
            Step::Choose {
                kind,
                first,
                second,
            } => {
                self.compares |= kind == Kind::Longer;
                Instruction::Choose(self.choice(kind, at(first), at(second)))
            }
            Step::Span(set) => Instruction::Span {
                set: self.set(set),
                choice: self.choice(Kind::Greedy, at(0), at(1)),
            },
        }
    }

    fn set(&mut self, set: ByteSet) -> u32 {
        let number = self
            .sets
            .iter()
            .rev()
            .take(8)
            .position(|known| *known == set);
        let index = if let Some(back) = number {
            self.sets.len() - 1 - back
        } else {
            self.sets.push(set);
            self.sets.len() - 1
        };
        u32::try_from(index).unwrap_or(u32::MAX)
    }

    fn choice(&mut self, kind: Kind, first: u32, second: u32) -> u32 {
        let (first_look, second_look) = (Look::NOTHING, Look::NOTHING);
        self.choices.push(Choice {
            kind,
            first,
            second,
            first_look,
            second_look,
        });
        u32::try_from(self.choices.len() - 1).unwrap_or(u32::MAX)
    }

    fn look_ahead(&mut self) {
        self.start = self.look(0);
        for index in 0..self.choices.len() {
            let Some((first, second)) = self
                .choices
                .get(index)
                .map(|choice| (choice.first, choice.second))
            else {
                continue;
            };
            let (first_look, second_look) = (self.look(first), self.look(second));
            if let Some(choice) = self.choices.get_mut(index) {
                choice.first_look = first_look;
                choice.second_look = second_look;
            }
        }
    }

    /// Walks what can be reached without reading a byte; gives up after some steps, for the sum
    /// over all choices must stay small.
    fn look(&self, start: u32) -> Look {
        const STEPS: usize = 64;
        let mut look = Look::NOTHING;
        let mut seen: Vec<u32> = Vec::new();
        let mut todo = vec![start];
        while let Some(place) = todo.pop() {
            if seen.contains(&place) {
                continue;
            }
            if seen.len() == STEPS {
                return Look::ANYTHING;
            }
            seen.push(place);
            match self.at(place) {
                Instruction::Byte(byte) => look.bytes.insert(byte),
                Instruction::Set(set) => look.bytes = look.bytes.union(self.bytes(set)),
                Instruction::Open(_) | Instruction::Close(_) | Instruction::LineBegin => {
                    todo.push(place + 1);
                }
                Instruction::LineEnd => {
                    look.line_end = true;
                    todo.push(place + 1);
                }
                Instruction::Jump(target) => todo.push(target),
                Instruction::Choose(choice) => {
                    if let Some(choice) = self.choices.get(choice as usize) {
                        todo.extend([choice.first, choice.second]);
                    }
                }
                Instruction::Span { set, .. } => {
                    look.bytes = look.bytes.union(self.bytes(set));
                    todo.push(place + 1);
                }
                Instruction::Accept => look.accept = true,
            }
        }
        look
    }

    #[inline]
    pub(super) fn at(&self, place: u32) -> Instruction {
        self.instructions
            .get(place as usize)
            .copied()
            .unwrap_or(Instruction::Accept)
    }

    #[inline]
    pub(super) fn bytes(&self, set: u32) -> ByteSet {
        self.sets
            .get(set as usize)
            .copied()
            .unwrap_or(ByteSet::EMPTY)
    }
}
