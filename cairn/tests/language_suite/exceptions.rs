//! The cases that are known to differ, a line each: the case's name, and why.

pub struct Exceptions(Vec<(String, String)>);

impl Exceptions {
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with('#')
        });
        let pair = |line: &str| {
            let (name, reason) = line
                .split_once(char::is_whitespace)
                .unwrap_or_else(|| panic!("exceptions.txt: no reason for {line}"));
            (name.to_owned(), reason.trim().to_owned())
        };
        Self(lines.map(pair).collect())
    }

    pub fn reason(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, reason)| reason.as_str())
    }
}
