//! `/etc/passwd`: `name:password:uid:gid:gecos:home:shell`.

use super::database::{Record, fields};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Passwd {
    pub(super) name: String,
    /// `x`: it is in shadow.
    pub(super) password: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) gecos: String,
    pub(super) home: String,
    pub(super) shell: String,
}

impl Record for Passwd {
    fn parse(line: &str) -> Option<Self> {
        let [name, password, uid, gid, gecos, home, shell] = fields(line)?;
        Some(Self {
            name: name.to_owned(),
            password: password.to_owned(),
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
            gecos: gecos.to_owned(),
            home: home.to_owned(),
            shell: shell.to_owned(),
        })
    }

    fn line(&self) -> String {
        let Self {
            name,
            password,
            uid,
            gid,
            gecos,
            home,
            shell,
        } = self;
        format!("{name}:{password}:{uid}:{gid}:{gecos}:{home}:{shell}")
    }

    fn name(&self) -> &str {
        &self.name
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Passwd;
    use crate::accounts::database::Database;

    const FIELD: &str = "[^:\n]{0,12}";

    proptest! {
        #[test]
        fn what_is_written_is_read(
            name in "[a-z_][a-z0-9-]{0,8}", uid: u32, gid: u32,
            gecos in FIELD, home in FIELD, shell in FIELD,
        ) {
            let line = format!("{name}:x:{uid}:{gid}:{gecos}:{home}:{shell}\n");
            let database = Database::<Passwd>::parse(&line);
            prop_assert_eq!(database.records.len(), 1);
            prop_assert_eq!(database.to_text(), line);
        }

        #[test]
        fn no_line_is_lost(text in "([a-z+:0-9 ]{0,20}\n){0,8}") {
            let mut before: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
            let after = Database::<Passwd>::parse(&text).to_text();
            let mut after: Vec<&str> = after.lines().collect();
            // `007` is read as 7: no other change is allowed.
            before.retain(|line| !line.contains(":0"));
            after.retain(|line| !line.contains(":0"));
            before.sort_unstable();
            after.sort_unstable();
            for line in &before {
                prop_assert!(after.contains(line) || line.contains('+'), "{line} is lost");
            }
        }
    }

    #[test]
    fn strange_lines_are_foreign() {
        let text = "root:x:0:0::/root:/bin/sh\n+::::::\nbroken\nroot:x:1:1::/:/no\nbig:x:4294967296:1:::\n";
        let database = Database::<Passwd>::parse(text);
        assert_eq!(database.records.len(), 1);
        assert_eq!(database.foreign.len(), 4);
        assert_eq!(database.to_text(), text);
    }
}
