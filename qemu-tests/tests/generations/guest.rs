//! The machine, and its operator.

pub use cairn_qemu_tests::guest::*;
