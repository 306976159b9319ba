//! Any bytes as JSON, as TOML, as a regular expression with a subject: a value that can be shown,
//! or an error. All inputs are one evaluation's: what one has taken is given back when its process ends.

#![no_main]

use std::cell::RefCell;

use bumpalo::Bump;
use cairn_evaluator::builtins::TABLES;
use cairn_evaluator::io::MemoryIo;
use cairn_evaluator::print::{Paths, Style};
use cairn_evaluator::string::ContextBuilder;
use cairn_evaluator::value::Value;
use cairn_evaluator::{Evaluator, Options};
use libfuzzer_sys::fuzz_target;

thread_local! {
    static EVALUATOR: RefCell<Evaluator<'static>> = RefCell::new(Evaluator::new(
        Box::leak(Box::new(Bump::new())),
        Box::leak(Box::new(MemoryIo::new())),
        Options::default(),
        TABLES,
    ));
}

fuzz_target!(|input: (u8, &[u8], &[u8])| {
    EVALUATOR.with_borrow_mut(|evaluator| look(evaluator, input));
});

fn look(evaluator: &mut Evaluator<'static>, input: (u8, &[u8], &[u8])) {
    let (kind, first, second) = input;
    // The language has no strings with zero bytes.
    if first.contains(&0) || second.contains(&0) {
        return;
    }
    let (first, second) = (evaluator.string(first), evaluator.string(second));
    let value = match kind % 4 {
        0 => call(evaluator, "fromJSON", &[first]),
        1 => call(evaluator, "fromTOML", &[first]),
        2 => call(evaluator, "match", &[first, second]),
        _ => call(evaluator, "split", &[first, second]),
    };
    let Some(value) = value else { return };
    assert!(evaluator.print(value, Style::PLAIN).is_ok());
    if kind % 4 != 0 {
        return;
    }
    let mut json = Vec::new();
    let context = &mut ContextBuilder::new();
    assert!(evaluator.print_json(value, Paths::Kept, &mut json, context).is_ok());
    let text = evaluator.string(json);
    let again = call(evaluator, "fromJSON", &[text]);
    assert!(again.is_some_and(|again| evaluator.equal(value, again).unwrap_or(false)));
}

fn call<'e>(e: &mut Evaluator<'e>, name: &str, arguments: &[Value<'e>]) -> Option<Value<'e>> {
    let Value::Attrs(builtins) = e.builtins() else { return None };
    let function = builtins.get(e.intern(name.as_bytes()))?;
    e.call(function, arguments).ok()
}
