//! Characters that a device's own words may have where they become names.
//!
//! Letters, digits, `#+-.:=@_`, sequences such as `\x20`, and characters beyond ASCII; others become `_`.

/// Which others stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowed {
    /// None.
    Nothing,
    /// Slashes, as in a link's path.
    Paths,
    /// Slashes and spaces, as between several paths.
    Lists,
    /// What is usual in a device's text: `/ $%?,`.
    Text,
}

impl Allowed {
    fn characters(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Paths => "/",
            Self::Lists => "/ ",
            Self::Text => "/ $%?,",
        }
    }
}

/// `text` with `_` for what is not allowed; where spaces are, other white space becomes one.
pub(super) fn replaced(text: &str, allowed: Allowed) -> String {
    let allowed = allowed.characters();
    let mut safe = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let is_sequence = c == '\\' && is_hexadecimal(chars.as_str());
        if is_sequence || is_plain(c) || allowed.contains(c) {
            safe.push(c);
        } else if c.is_whitespace() && allowed.contains(' ') {
            safe.push(' ');
        } else {
            safe.push('_');
        }
    }
    safe
}

fn is_plain(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || "#+-.:=@_".contains(c);
    }
    // What stands for bytes that are no text is not kept either.
    !c.is_control() && !c.is_whitespace() && c != char::REPLACEMENT_CHARACTER
}

/// Whether `x` and two digits come first.
fn is_hexadecimal(text: &str) -> bool {
    let mut digits = text.strip_prefix('x').unwrap_or_default().chars();
    let mut next = || digits.next().is_some_and(|c| c.is_ascii_hexdigit());
    next() && next()
}

/// `text` without white space at its ends, and with one `_` for each other piece of it.
pub(super) fn joined(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    words.join("_")
}

/// Whether a name for an interface is one that the kernel takes.
pub(super) fn is_interface_name(name: &str) -> bool {
    let is_bad = |c: char| c.is_whitespace() || c.is_control() || "/:%".contains(c);
    (1..=15).contains(&name.len()) && !name.contains(is_bad) && name != "." && name != ".."
}

/// A link's name below `/dev`, without doubled slashes; none if it leads out of it or to nothing.
pub(super) fn link_name(name: &str) -> Option<String> {
    let name = name.strip_prefix("/dev/").unwrap_or(name);
    if name.starts_with('/') || name.contains(char::is_control) || name.len() > 1024 {
        return None;
    }
    let parts: Vec<_> = name.split('/').filter(|part| !part.is_empty()).collect();
    let is_name = |part: &&str| *part != "." && *part != ".." && part.len() <= 255;
    (!parts.is_empty() && parts.iter().all(is_name)).then(|| parts.join("/"))
}
