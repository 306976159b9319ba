//! `/etc/gshadow`: `name:password:administrators:members`.

use super::database::{Record, fields, names};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gshadow {
    pub(super) name: String,
    /// `!`: nobody joins by password.
    pub(super) password: String,
    pub(super) administrators: Vec<String>,
    pub(super) members: Vec<String>,
}

impl Record for Gshadow {
    fn parse(line: &str) -> Option<Self> {
        let [name, password, administrators, members] = fields(line)?;
        Some(Self {
            name: name.to_owned(),
            password: password.to_owned(),
            administrators: names(administrators),
            members: names(members),
        })
    }

    fn line(&self) -> String {
        format!(
            "{}:{}:{}:{}",
            self.name,
            self.password,
            self.administrators.join(","),
            self.members.join(",")
        )
    }

    fn name(&self) -> &str {
        &self.name
    }
}
