//! Any bytes as a source text: an error that can be shown, or a tree that can.

#![no_main]

use bumpalo::Bump;
use cairn_evaluator::diagnostic::{NamedSource, Style};
use cairn_evaluator::{ParseOptions, SymbolTable, parse, show};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let arena = Bump::new();
    let symbols = SymbolTable::new(&arena);
    let options = ParseOptions {
        pipe_operators: true,
        ..ParseOptions::default()
    };
    match parse(text, &options, &symbols, &arena) {
        Ok(expr) => assert!(!show(expr, &symbols).is_empty()),
        Err(error) => {
            let source = NamedSource { name: "input", text };
            assert!(error.span.end as usize <= text.len());
            assert!(error.render(source, Style::Plain).lines().count() >= 4);
        }
    }
});
