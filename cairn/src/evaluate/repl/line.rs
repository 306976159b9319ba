//! What a line says: a command, a binding, or an expression.

/// A line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    /// Nothing, or a comment.
    Empty,
    /// `:word rest`
    Command(&'a str, &'a str),
    /// `name = expression`
    Binding(&'a str, &'a str),
    /// Anything else.
    Expression(&'a str),
}

/// Takes a line apart.
#[must_use]
pub fn parse(text: &str) -> Line<'_> {
    let text = text.trim();
    if text.is_empty() || (text.starts_with('#') && !text.contains('\n')) {
        return Line::Empty;
    }
    if let Some(command) = text.strip_prefix(':') {
        let end = command.find(char::is_whitespace).unwrap_or(command.len());
        let (word, rest) = command.split_at(end);
        return Line::Command(word, rest.trim());
    }
    binding(text).unwrap_or(Line::Expression(text))
}

fn binding(text: &str) -> Option<Line<'_>> {
    let inner = |c: char| c.is_ascii_alphanumeric() || "_'-".contains(c);
    let end = text.find(|c| !inner(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let first = name.chars().next()?;
    let value = rest.trim_start().strip_prefix('=')?;
    let is_name = first.is_ascii_alphabetic() || first == '_';
    if !is_name || value.starts_with('=') {
        return None;
    }
    let value = value.trim();
    Some(Line::Binding(
        name,
        value.strip_suffix(';').unwrap_or(value),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_apart() {
        for (text, line) in [
            ("", Line::Empty),
            ("  # nothing", Line::Empty),
            (":q", Line::Command("q", "")),
            (" :t  x + 1 ", Line::Command("t", "x + 1")),
            ("x = 1", Line::Binding("x", "1")),
            ("x-y'=[ 1 ];", Line::Binding("x-y'", "[ 1 ]")),
            ("x == 1", Line::Expression("x == 1")),
            ("x: x", Line::Expression("x: x")),
            ("1 = 2", Line::Expression("1 = 2")),
            ("{ a = 1; }", Line::Expression("{ a = 1; }")),
        ] {
            assert_eq!(parse(text), line, "{text}");
        }
    }
}
