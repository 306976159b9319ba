//! The words of a command.
//!
//! Single and double quotes keep spaces in a word; backslashes are themselves. A rule's text is divided before devices'
//! words come into it, so that none of them can become another argument.

/// A command's words, and whether a quote is left open.
pub(super) fn words(text: &str) -> (Vec<String>, bool) {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    for c in text.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_ascii_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    (words, quote.is_some())
}
