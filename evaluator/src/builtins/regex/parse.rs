//! The text of an extended regular expression as a program.
//!
//! The parser keeps its own stack of open groups, so that no nesting overflows the thread's. It
//! accepts what libstdc++ accepts in strict mode: a repetition needs something to repeat (`*a`
//! and `^*` are errors), alternatives and groups may be empty, `a**` is allowed, only the special
//! characters can be escaped (`\]` and `\d` are errors), there are no back-references.

use super::bracket;
use super::bytes::ByteSet;
use super::program::{Code, Program};

/// What is wrong with an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Invalid(pub(super) &'static str);

const SPECIAL: &[u8] = br".[\()*+?{|^$";

pub(super) fn parse(pattern: &[u8]) -> Result<Program, Invalid> {
    let mut parser = Parser {
        rest: pattern,
        open: vec![Level::new(None)],
        groups: 0,
    };
    while let Some((&byte, rest)) = parser.rest.split_first() {
        parser.rest = rest;
        parser.step(byte)?;
    }
    let Some(level) = parser.open.pop() else {
        return Err(UNBALANCED);
    };
    if !parser.open.is_empty() {
        return Err(UNBALANCED);
    }
    Ok(Program::link(&level.close()?, parser.groups))
}

const UNBALANCED: Invalid = Invalid("a parenthesis has no partner");

/// Joining pieces of code copies them, level by level.
const DEPTH: usize = 2_000;

/// A group that is not closed yet.
struct Level {
    group: Option<u32>,
    /// The alternatives before the last bar.
    before: Option<Code>,
    /// What the current alternative begins with.
    sequence: Code,
    /// Its last atom, which a repetition applies to.
    atom: Option<Code>,
}

impl Level {
    fn new(group: Option<u32>) -> Self {
        Self {
            group,
            before: None,
            sequence: Code::empty(),
            atom: None,
        }
    }

    fn flush(&mut self) -> Result<(), Invalid> {
        if let Some(atom) = self.atom.take() {
            self.sequence.append(&atom)?;
        }
        Ok(())
    }

    fn bar(&mut self) -> Result<(), Invalid> {
        self.flush()?;
        let alternative = std::mem::replace(&mut self.sequence, Code::empty());
        self.before = Some(match self.before.take() {
            Some(before) => before.or(&alternative)?,
            None => alternative,
        });
        Ok(())
    }

    fn close(mut self) -> Result<Code, Invalid> {
        self.flush()?;
        match self.before {
            Some(before) => before.or(&self.sequence),
            None => Ok(self.sequence),
        }
    }
}

struct Parser<'p> {
    rest: &'p [u8],
    open: Vec<Level>,
    groups: u32,
}

impl Parser<'_> {
    fn step(&mut self, byte: u8) -> Result<(), Invalid> {
        match byte {
            b'(' => {
                if self.open.len() > DEPTH {
                    return Err(Invalid("the parentheses nest too deeply"));
                }
                self.open.push(Level::new(Some(self.groups)));
                self.groups += 1;
                Ok(())
            }
            b')' => {
                let closed = self.open.pop().ok_or(UNBALANCED)?;
                let group = closed.group.ok_or(UNBALANCED)?;
                let code = closed.close()?.group(group)?;
                self.atom(code)
            }
            b'|' => self.level()?.bar(),
            b'^' => self.assertion(&Code::line_begin()),
            b'$' => self.assertion(&Code::line_end()),
            b'.' => self.atom(Code::set(ByteSet::ANY)),
            b'[' => {
                let (set, rest) = bracket::parse(self.rest)?;
                self.rest = rest;
                self.atom(Code::set(set))
            }
            b'\\' => {
                let (&escaped, rest) = self
                    .rest
                    .split_first()
                    .ok_or(Invalid("a backslash ends the expression"))?;
                if !SPECIAL.contains(&escaped) {
                    return Err(Invalid("a backslash stands before an ordinary character"));
                }
                self.rest = rest;
                self.atom(Code::byte(escaped))
            }
            b'*' => self.repeat(Code::star),
            b'+' => self.repeat(Code::plus),
            b'?' => self.repeat(Code::optional),
            b'{' => {
                let interval = self.interval()?;
                self.repeat(|code| code.interval(interval.0, interval.1))
            }
            0 => Err(Invalid("a NUL byte stands in the expression")),
            _ => self.atom(Code::byte(byte)),
        }
    }

    fn level(&mut self) -> Result<&mut Level, Invalid> {
        self.open.last_mut().ok_or(UNBALANCED)
    }

    fn atom(&mut self, code: Code) -> Result<(), Invalid> {
        let level = self.level()?;
        level.flush()?;
        level.atom = Some(code);
        Ok(())
    }

    fn assertion(&mut self, code: &Code) -> Result<(), Invalid> {
        let level = self.level()?;
        level.flush()?;
        level.sequence.append(code)
    }

    fn repeat(
        &mut self,
        repeated: impl FnOnce(Code) -> Result<Code, Invalid>,
    ) -> Result<(), Invalid> {
        let level = self.level()?;
        let atom = level
            .atom
            .take()
            .ok_or(Invalid("a repetition has nothing to repeat"))?;
        level.atom = Some(repeated(atom)?);
        Ok(())
    }

    /// `2}`, `2,}` or `2,5}`: the least and, unless there is none, the greatest number.
    fn interval(&mut self) -> Result<(u32, Option<u32>), Invalid> {
        let least = self
            .number()?
            .ok_or(Invalid("an interval has no least number"))?;
        let greatest = match self.rest {
            [b',', rest @ ..] => {
                self.rest = rest;
                self.number()?
            }
            _ => Some(least),
        };
        self.rest = self
            .rest
            .strip_prefix(b"}")
            .ok_or(Invalid("an interval is not closed"))?;
        if greatest.is_some_and(|greatest| greatest < least) {
            return Err(Invalid("an interval runs backwards"));
        }
        Ok((least, greatest))
    }

    fn number(&mut self) -> Result<Option<u32>, Invalid> {
        let length = self
            .rest
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let Some((digits, rest)) = self.rest.split_at_checked(length).filter(|_| length > 0) else {
            return Ok(None);
        };
        self.rest = rest;
        digits
            .iter()
            .try_fold(0_u32, |number, digit| {
                number.checked_mul(10)?.checked_add(u32::from(digit - b'0'))
            })
            .map(Some)
            .ok_or(Invalid("the number of an interval is too large"))
    }
}
