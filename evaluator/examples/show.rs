//! Parses standard input and shows its tree, as `nix-instantiate --parse -` does.

use std::io::{Read, Write};
use std::process::ExitCode;

use bumpalo::Bump;
use cairn_evaluator::{ParseOptions, SymbolTable, parse, show};

fn main() -> ExitCode {
    let mut source = Vec::new();
    if let Err(error) = std::io::stdin().read_to_end(&mut source) {
        eprintln!("error: cannot read standard input: {error}");
        return ExitCode::FAILURE;
    }
    let arena = Bump::new();
    let symbols = SymbolTable::new(&arena);
    match parse(
        &source,
        &ParseOptions {
            base: b"/tmp",
            home: Some(b"/root"),
            pipe_operators: false,
        },
        &symbols,
        &arena,
    ) {
        Ok(expr) => {
            let mut text = show(expr, &symbols);
            text.push(b'\n');
            match std::io::stdout().write_all(&text) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            }
        }
        Err(error) => {
            eprintln!(
                "error: {error} at {:?} {:?} {:?}",
                error.span, error.labels, error.hint
            );
            ExitCode::FAILURE
        }
    }
}
