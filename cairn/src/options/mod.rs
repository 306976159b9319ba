//! The option reference: what a `configuration.nix` may say.
//!
//! The modules themselves are the only source. `modules/reference.nix` evaluates them to data, and
//! from that come the listing in a terminal, the man page and the web page; nothing of it is
//! committed, so that nothing can go stale.

use std::fmt::{self, Write as _};

mod answer;
mod evaluate;
mod man_page;
mod markdown;
mod reference;
mod search;
mod terminal;
mod web_page;

pub use answer::{Answer, answer};
pub use evaluate::{Question, evaluate};
pub use man_page::man_page;
pub use reference::{Declaration, Entry, Reference, ReferenceError, Text};
pub use search::{Found, search};
pub use terminal::{details, listing};
pub use web_page::web_page;

/// Adds to a text.
fn push(out: &mut String, text: fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    out.write_fmt(text).unwrap_or_default();
}
