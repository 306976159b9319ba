//! Structured attributes: a derivation's attributes as a JSON file, and as a file for bash.
//!
//! For bash, lists of simple values become arrays, sets of them associative arrays; what is nested
//! deeper, or has a name that no variable can have, is in the JSON file alone.

use bstr::{BStr, BString};
use cairn_store_path::Derivation;
use serde_json::{Map, Value};

/// The two files.
pub(super) struct Files {
    pub(super) json: BString,
    pub(super) shell: BString,
}

/// The files for attributes written as `json`, with the outputs of `derivation` added.
///
/// # Errors
/// `json` is no JSON object.
pub(super) fn files(json: &BStr, derivation: &Derivation) -> Result<Files, serde_json::Error> {
    let mut attributes: Map<String, Value> = serde_json::from_slice(json)?;
    let outputs = derivation
        .outputs
        .iter()
        .map(|(name, output)| (name.clone(), Value::from(output.path.to_string())));
    attributes.insert("outputs".to_owned(), Value::Object(outputs.collect()));
    let mut shell = String::new();
    for (name, value) in &attributes {
        if let Some(declaration) = is_variable(name).then(|| declare(name, value)).flatten() {
            shell.push_str(&declaration);
            shell.push('\n');
        }
    }
    Ok(Files {
        json: Value::Object(attributes).to_string().into(),
        shell: shell.into(),
    })
}

fn is_variable(name: &str) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    let rest = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.starts_with(first) && name.chars().all(rest)
}

fn declare(name: &str, value: &Value) -> Option<String> {
    Some(match value {
        Value::Array(items) => {
            let items = items.iter().map(word).collect::<Option<Vec<_>>>()?;
            format!("declare -a {name}=({})", spaced(items))
        }
        Value::Object(entries) => {
            let pair = |(key, value): (&String, &Value)| {
                Some(format!("[{}]={}", quoted(key), word(value)?))
            };
            let entries = entries.iter().map(pair).collect::<Option<Vec<_>>>()?;
            format!("declare -A {name}=({})", spaced(entries))
        }
        simple => format!("declare {name}={}", word(simple)?),
    })
}

fn spaced(words: Vec<String>) -> String {
    words.into_iter().map(|word| word + " ").collect()
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(quoted(text)),
        Value::Null | Value::Bool(false) => Some("''".to_owned()),
        Value::Bool(true) => Some("1".to_owned()),
        Value::Number(number) => Some(match number.as_f64() {
            // Bash knows whole numbers only.
            Some(_) if number.is_f64() => return None,
            _ => number.to_string(),
        }),
        Value::Array(_) | Value::Object(_) => None,
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
