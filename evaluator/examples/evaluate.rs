//! Evaluates a file deeply and prints what it cost, for profiles:
//! `cargo run --release --example evaluate -- FILE [FOLDER…]`; files below the folders are there
//! for `import`.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use bumpalo::Bump;
use cairn_evaluator::builtins::TABLES;
use cairn_evaluator::io::MemoryIo;
use cairn_evaluator::load::Text;
use cairn_evaluator::report::Trace;
use cairn_evaluator::value::Value;
use cairn_evaluator::{Evaluator, Options, Origin, with_stack};

fn main() -> ExitCode {
    match with_stack(8 << 30, run) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("usage: evaluate FILE [FOLDER…]")?;
    let file = std::path::absolute(&file).map_err(|error| format!("{file}: {error}"))?;
    let mut io = MemoryIo::new();
    for folder in arguments {
        io = with_folder(io, Path::new(&folder))?;
    }
    let bytes = std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let base = file.parent().ok_or("a file has a folder")?;
    let start = Instant::now();
    let arena = Bump::new();
    let mut evaluator = Evaluator::new(&arena, &io, Options::default(), TABLES);
    let text = Text {
        origin: Origin::File(file.as_os_str().as_encoded_bytes().to_vec()),
        bytes: &bytes,
        base: base.as_os_str().as_encoded_bytes(),
        library: false,
    };
    let value = evaluator.evaluate_text(text, None);
    let value = value.and_then(|value| evaluator.force_deep(value));
    let value = value.map_err(|error| evaluator.report(&error, Trace::Full))?;
    match value {
        Value::Int(number) => println!("{number}"),
        Value::Bool(truth) => println!("{}", bool::from(truth)),
        Value::String(string) => println!("{} bytes", string.bytes().len()),
        other => println!("{}", other.describe()),
    }
    eprintln!("{:?} {:?}", start.elapsed(), evaluator.statistics());
    Ok(())
}

fn with_folder(mut io: MemoryIo, folder: &Path) -> Result<MemoryIo, String> {
    let failed = |error| format!("{}: {error}", folder.display());
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            io = with_folder(io, &path)?;
            continue;
        }
        let content = std::fs::read(&path).map_err(failed)?;
        let path = std::path::absolute(&path).map_err(failed)?;
        io = io.with_file(path.to_str().ok_or("a path that is no text")?, content);
    }
    Ok(io)
}
