//! A system onto a disk: `cairn install`.
//!
//! | module | noun or step |
//! |---|---|
//! | [`Answers`] | what is wanted: the file of an unattended installation |

mod answers;
mod answers_text;
mod words;

pub use answers::{Account, Answers, Encryption, FileSystemKind, Layout, Root, Secret};
pub use answers_text::AnswersError;
pub use words::{HostName, Line, PasswordHash, WordError};
