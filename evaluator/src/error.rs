//! Why an evaluation failed, and through what.

use std::fmt;

use crate::source::Place;

/// What evaluating gives.
pub type Result<T, E = EvalError> = std::result::Result<T, E>;

/// What kind of failure it is: what `tryEval` may catch, and what a caller may treat differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// `throw`, and a file that the search path does not have.
    Throw,
    /// `assert`.
    Assert,
    /// `abort`.
    Abort,
    /// A value of another type than wanted.
    Type,
    /// A variable that nothing defines.
    UndefinedVariable,
    /// An attribute, or a list element, that is not there.
    Missing,
    /// A value that needs itself.
    InfiniteRecursion,
    /// Too many calls or values in one another.
    StackOverflow,
    /// The memory limit.
    Memory,
    /// The text is not in the language.
    Parse,
    /// An effect failed: a file that cannot be read, a store that refuses.
    Io,
    /// Something that this evaluator does not do.
    Unsupported,
    /// Anything else.
    Eval,
}

impl ErrorKind {
    /// Whether `tryEval` catches it.
    #[must_use]
    pub fn catchable(self) -> bool {
        matches!(self, Self::Throw | Self::Assert)
    }
}

/// A step on the way from what was asked for to where it failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// `while evaluating the attribute 'a'`
    pub message: String,
    /// Where.
    pub place: Place,
    /// Whether the user's own code (or a library on the user's behalf) asked for this line with
    /// `addErrorContext`; such lines are never left out.
    pub from_user: bool,
}

/// How many frames are kept at either end of a chain.
const KEPT_FRAMES: usize = 100;

/// A failure with the chain of what was being evaluated.
pub struct EvalError(Box<Failure>);

#[derive(Clone)]
struct Failure {
    kind: ErrorKind,
    message: String,
    place: Place,
    labels: Vec<(Place, String)>,
    notes: Vec<String>,
    /// Innermost first.
    frames: Vec<Frame>,
    /// The outermost ones once there are more than `KEPT_FRAMES`, as a ring.
    outer: std::collections::VecDeque<Frame>,
    left_out: usize,
}

impl EvalError {
    /// A failure at no place yet.
    #[cold]
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Failure {
            kind,
            message: message.into(),
            place: Place::NONE,
            labels: Vec::new(),
            notes: Vec::new(),
            frames: Vec::new(),
            outer: std::collections::VecDeque::new(),
            left_out: 0,
        }))
    }

    /// Of the kind [`ErrorKind::Type`].
    #[cold]
    #[must_use]
    pub fn type_error(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Type, message)
    }

    /// Of the kind [`ErrorKind::Eval`].
    #[cold]
    #[must_use]
    pub fn eval(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Eval, message)
    }

    /// Sets the place unless there is one already.
    #[cold]
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        if !self.0.place.is_some() {
            self.0.place = place;
        }
        self
    }

    /// Adds a line below the message: a hint, a suggestion, where something was defined.
    #[cold]
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.0.notes.push(note.into());
        self
    }

    /// Adds a remark about another place that has to do with it.
    #[cold]
    #[must_use]
    pub fn label(mut self, text: impl Into<String>, place: Place) -> Self {
        self.0.labels.push((place, text.into()));
        self
    }

    /// Adds a step of the chain, outside of all that are there.
    #[cold]
    #[must_use]
    pub fn frame(self, message: impl Into<String>, place: Place) -> Self {
        self.push(Frame {
            message: message.into(),
            place,
            from_user: false,
        })
    }

    /// Adds a line that `addErrorContext` asked for.
    #[cold]
    #[must_use]
    pub fn user_frame(self, message: impl Into<String>, place: Place) -> Self {
        self.push(Frame {
            message: message.into(),
            place,
            from_user: true,
        })
    }

    fn push(mut self, frame: Frame) -> Self {
        if self.0.frames.len() < KEPT_FRAMES || frame.from_user && self.0.frames.len() < 1000 {
            self.0.frames.push(frame);
            return self;
        }
        self.0.outer.push_back(frame);
        if self.0.outer.len() > KEPT_FRAMES {
            self.0.outer.pop_front();
            self.0.left_out += 1;
        }
        self
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What went wrong, without place and chain.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Where; `Place::NONE` if nowhere.
    #[must_use]
    pub fn place(&self) -> Place {
        self.0.place
    }

    /// Remarks about other places.
    #[must_use]
    pub fn labels(&self) -> &[(Place, String)] {
        &self.0.labels
    }

    /// Lines to be shown below the message.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.0.notes
    }

    /// The chain, innermost first; where [`EvalError::left_out`] frames are missing, they are so
    /// behind the first [`EvalError::inner_frames`].
    #[must_use]
    pub fn frames(&self) -> impl DoubleEndedIterator<Item = &Frame> {
        self.0.frames.iter().chain(&self.0.outer)
    }

    /// How many frames stand before the gap.
    #[must_use]
    pub fn inner_frames(&self) -> usize {
        self.0.frames.len()
    }

    /// How many frames in the middle were not kept.
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.0.left_out
    }
}

/// Adds to a failure in place. Results go through many hands and most are no failures: taking them
/// apart and putting them together again at each would cost more than all else.
#[inline]
pub(crate) fn on_failure<T>(
    mut result: Result<T>,
    change: impl FnOnce(EvalError) -> EvalError,
) -> Result<T> {
    if result.is_err() {
        result = result.map_err(change);
    }
    result
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, self.0.message)
    }
}

impl std::error::Error for EvalError {}

/// Adds frames and places to results.
pub trait Traced<T>: Sized {
    /// Sets the place of a failure that has none.
    ///
    /// # Errors
    /// Those of the result itself.
    fn at(self, place: Place) -> Result<T>;

    /// Adds a step to the chain of a failure.
    ///
    /// # Errors
    /// Those of the result itself.
    fn while_(self, message: impl FnOnce() -> String, place: Place) -> Result<T>;
}

impl<T> Traced<T> for Result<T> {
    #[inline]
    fn at(self, place: Place) -> Result<T> {
        on_failure(self, |error| error.at(place))
    }

    #[inline]
    fn while_(self, message: impl FnOnce() -> String, place: Place) -> Result<T> {
        on_failure(self, |error| error.frame(message(), place))
    }
}
