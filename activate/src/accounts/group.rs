//! `/etc/group`: `name:password:gid:member,member`.

use super::database::{Record, fields, names};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) name: String,
    /// `x`: it is in gshadow.
    pub(super) password: String,
    pub(super) gid: u32,
    pub(super) members: Vec<String>,
}

impl Record for Group {
    fn parse(line: &str) -> Option<Self> {
        let [name, password, gid, members] = fields(line)?;
        Some(Self {
            name: name.to_owned(),
            password: password.to_owned(),
            gid: gid.parse().ok()?,
            members: names(members),
        })
    }

    fn line(&self) -> String {
        let Self {
            name,
            password,
            gid,
            members,
        } = self;
        format!("{name}:{password}:{gid}:{}", members.join(","))
    }

    fn name(&self) -> &str {
        &self.name
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Group;
    use crate::accounts::database::Database;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            name in "[a-z_][a-z0-9-]{0,8}", gid: u32,
            members in proptest::collection::vec("[a-z]{1,5}", 0..4),
        ) {
            let line = format!("{name}:x:{gid}:{}\n", members.join(","));
            let database = Database::<Group>::parse(&line);
            prop_assert_eq!(&database.records[0].members, &members);
            prop_assert_eq!(database.to_text(), line);
        }
    }
}
