//! What a UEFI firmware boots, in its own variables: an entry for GRUB, and its place in the order.
//!
//! | noun | what it is |
//! |---|---|
//! | [`Program`] | a file on a partition, as firmware names it |
//! | [`LoadOption`] | an entry: what people see, and the program |
//! | [`BootVariables`] | all entries and their order, and what has to be written |
//!
//! Source: UEFI specification 2.10, 3.1 (boot manager) and 10.3 (device paths).

mod load_option;
mod program;
mod variables;

pub use load_option::{LoadOption, LoadOptionError};
pub use program::{PROGRAM_LIMIT, Program};
pub use variables::{BootVariables, Write};
