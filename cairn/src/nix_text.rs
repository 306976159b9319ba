//! Text as an expression of the Nix language.

/// A string of the Nix language whose value is `text`, on one line whatever `text` is.
#[must_use]
pub fn string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '$' if characters.peek() == Some(&'{') => quoted.push_str("\\$"),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// The last part of a comment: what could end the line is not in it.
#[must_use]
pub fn comment(text: &str) -> String {
    text.chars()
        .map(|character| {
            if character.is_control() {
                '?'
            } else {
                character
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use bumpalo::Bump;
    use cairn_evaluator::builtins::TABLES;
    use cairn_evaluator::io::MemoryIo;
    use cairn_evaluator::load::Text;
    use cairn_evaluator::value::Value;
    use cairn_evaluator::{Evaluator, Options, Origin};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_gets_out_of_a_string() {
        for (text, quoted) in [
            ("", r#""""#),
            ("a b", r#""a b""#),
            ("\"; x = \"", r#""\"; x = \"""#),
            ("${builtins.abort \"x\"}", r#""\${builtins.abort \"x\"}""#),
            ("$${x} \\${x} $", r#""$\${x} \\\${x} $""#),
            ("a\nb\rc\td", r#""a\nb\rc\td""#),
            ("Größe", r#""Größe""#),
        ] {
            assert_eq!(string(text), quoted, "{text}");
        }
        assert_eq!(comment("a\nb = 1;"), "a?b = 1;");
    }

    /// What the language makes of an expression that is a string.
    fn value_of(expression: &str) -> String {
        let arena = Bump::new();
        let io = MemoryIo::new();
        let mut evaluator = Evaluator::new(&arena, &io, Options::default(), TABLES);
        let text = Text {
            origin: Origin::String,
            bytes: expression.as_bytes(),
            base: b"/",
            library: false,
        };
        let value = evaluator.evaluate_text(text, None).unwrap();
        match evaluator.force(value).unwrap() {
            Value::String(string) => String::from_utf8(string.bytes().to_vec()).unwrap(),
            _ => panic!("no string: {expression}"),
        }
    }

    proptest! {
        #[test]
        fn the_value_is_the_text(text in "([$\\\\{}\"'a\r\n\t]|[^\\x00]){0,24}") {
            prop_assert_eq!(value_of(&string(&text)), text);
        }
    }
}
