//! Activates a toplevel in a tree that is not the running system's, and says what it did:
//! `cargo run -p cairn-activate --example activate-tree -- [--dry-run] ROOT TOPLEVEL`.
//!
//! For a look at plans, and for measurements.

#![forbid(unsafe_code)]

use std::path::Path;
use std::process::ExitCode;

use cairn_activate::{EXIT_FAILED, Mode, NoKernel, run};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (mode, root, toplevel) = match words.as_slice() {
        ["--dry-run", root, toplevel] => (Mode::DryRun, root, toplevel),
        [root, toplevel] => (Mode::Apply, root, toplevel),
        _ => {
            eprintln!("usage: activate-tree [--dry-run] ROOT TOPLEVEL");
            return ExitCode::from(64);
        }
    };
    match run(Path::new(root), Path::new(toplevel), mode, &NoKernel) {
        Ok(outcome) => {
            if mode == Mode::DryRun {
                print!("{}", outcome.plan);
            } else {
                println!("{} steps", outcome.plan.steps().len());
            }
            for failure in &outcome.failures {
                eprintln!("activate-tree: {failure}");
            }
            outcome.exit_code()
        }
        Err(error) => {
            eprintln!("activate-tree: {error}");
            ExitCode::from(EXIT_FAILED)
        }
    }
}
