//! Reading the JSON documents, with errors that name the field.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::by_name::ByName;

/// The version field of a document: the number 1, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct V1;

impl TryFrom<u32> for V1 {
    type Error = String;

    fn try_from(version: u32) -> Result<Self, Self::Error> {
        if version == 1 {
            Ok(Self)
        } else {
            Err(format!(
                "version {version} is not supported; this program reads version 1"
            ))
        }
    }
}

impl From<V1> for u32 {
    fn from(_: V1) -> Self {
        1
    }
}

/// Why a document is refused.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// The text is no JSON, or a field is unknown, missing or of the wrong type.
    #[error("cannot read {document}: at '{field}': {source}")]
    Field {
        /// `system.json`, `boot.json` or `stage-1.json`.
        document: &'static str,
        /// Path of the field, such as `services[2].process.argv`.
        field: String,
        /// What is wrong, with line and column.
        source: serde_json::Error,
    },
    /// Each field is well-formed, but they contradict each other.
    #[error("cannot use {document}: {problem}")]
    Contradiction {
        /// The document.
        document: &'static str,
        /// What contradicts what, and the way out.
        problem: String,
    },
}

/// Reads `text` as a `T`; `document` is its name in errors.
pub(crate) fn parse<T: DeserializeOwned>(
    document: &'static str,
    text: &str,
) -> Result<T, ParseError> {
    read(text).map_err(|source| ParseError::Field {
        document,
        field: field(read_until(text, &source)),
        source,
    })
}

/// Reads `bytes` as a `T`. As text, since serde would have another reader for bytes.
///
/// # Errors
/// They are no JSON, or none of a `T`.
pub fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    read(std::str::from_utf8(bytes).map_err(serde::de::Error::custom)?)
}

/// Reads `text`, all of it, as a `T`.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = T::deserialize(ByName(&mut deserializer))?;
    deserializer.end()?;
    Ok(value)
}

/// A place in the values around a byte: in an object, or in an array.
enum Inside<'a> {
    /// After the key, if one was read.
    Object(Option<&'a str>),
    Array(usize),
}

/// What of `text` was read before an error.
///
/// That of the last value in an object or array is told behind its end, which is taken away; that of a
/// field that an object lacks belongs there.
fn read_until<'a>(text: &'a str, error: &serde_json::Error) -> &'a str {
    let lines = text.split_inclusive('\n');
    let lines = lines.take(error.line().saturating_sub(1)).map(str::len);
    let end = lines.sum::<usize>().saturating_add(error.column());
    let read = text.get(..text.floor_char_boundary(end)).unwrap_or(text);
    if error.to_string().starts_with("missing field") {
        return read;
    }
    read.strip_suffix(['}', ']']).unwrap_or(read)
}

/// The path of the value at the end of `rest`, which is the beginning of a document.
///
/// To follow the path while reading would make the reader of each type larger, and PID 1 holds them all.
fn field(mut rest: &str) -> String {
    let mut path = Vec::new();
    while let Some(next) = rest.find(['{', '[', '}', ']', ',', '"']) {
        let (_, from) = rest.split_at(next);
        let mut characters = from.chars();
        let character = characters.next();
        rest = characters.as_str();
        match (character, path.last_mut()) {
            (Some('{'), _) => path.push(Inside::Object(None)),
            (Some('['), _) => path.push(Inside::Array(0)),
            (Some('}' | ']'), _) => drop(path.pop()),
            (Some(','), Some(Inside::Object(key))) => *key = None,
            (Some(','), Some(Inside::Array(index))) => *index += 1,
            (Some('"'), inside) => {
                let (string, after) = string(rest);
                rest = after;
                if let Some(Inside::Object(key @ None)) = inside {
                    *key = Some(string);
                }
            }
            _ => {}
        }
    }
    let steps = path.iter().map(|inside| match inside {
        Inside::Object(None | Some("")) => String::new(),
        Inside::Object(Some(key)) => format!(".{key}"),
        Inside::Array(index) => format!("[{index}]"),
    });
    let path: String = steps.collect();
    match path.strip_prefix('.').unwrap_or(&path) {
        "" => ".".to_owned(),
        path => path.to_owned(),
    }
}

/// Splits behind the quote that ends a string.
fn string(text: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = text.find(|character| {
        let ends = character == '"' && !escaped;
        escaped = character == '\\' && !escaped;
        ends
    });
    let (string, rest) = end.map_or((text, ""), |end| text.split_at(end));
    (string, rest.strip_prefix('"').unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_bytes() {
        let text = r#"{"a":[1,{"b\"]":"x,}","c":{}}],"d":2}"#;
        let mut paths: Vec<String> = (0..=text.len()).map(|end| field(&text[..end])).collect();
        paths.dedup();
        expect_test::expect![[
            r#". a a[0] a[1] a[1].b a[1].b\ a[1].b\" a[1].b\"] a[1] a[1].c a[1] a . d ."#
        ]]
        .assert_eq(&paths.join(" "));
    }

    #[test]
    fn errors_name_the_field() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Document {
            #[expect(dead_code, reason = "it is read alone")]
            version: V1,
            #[expect(dead_code, reason = "it is read alone")]
            #[serde(default)]
            parts: Vec<Document>,
        }
        let errors = [
            "",
            "{}",
            r#"{"version": 2}"#,
            r#"{"version": 1, "parts": [{"version": 1}, {"version": 3 }]}"#,
            r#"{"version": 1, "parts": [{"version": 1}, {"parts": []}]}"#,
            r#"{"version": 1, "parts": [{"version": 1, "more": 1}]}"#,
            "{\n  \"version\": 1,\n  \"parts\": [7]\n}",
            r#"{"version": 1} {}"#,
        ]
        .map(|text| parse::<Document>("it", text).unwrap_err().to_string());
        expect_test::expect![[r#"
            cannot read it: at '.': EOF while parsing a value at line 1 column 0
            cannot read it: at '.': missing field `version` at line 1 column 2
            cannot read it: at 'version': version 2 is not supported; this program reads version 1 at line 1 column 14
            cannot read it: at 'parts[1].version': version 3 is not supported; this program reads version 1 at line 1 column 56
            cannot read it: at 'parts[1]': missing field `version` at line 1 column 54
            cannot read it: at 'parts[0].more': unknown field `more`, expected `version` or `parts` at line 1 column 46
            cannot read it: at 'parts[0]': invalid type: integer `7`, expected struct Document at line 3 column 13
            cannot read it: at '.': trailing characters at line 1 column 16"#]].assert_eq(&errors.join("\n"));
    }

    proptest::proptest! {
        #[test]
        fn the_beginning_of_any_text_has_a_path(text in ".*") {
            field(&text);
        }
    }
}
