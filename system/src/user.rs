//! Users and groups.

use serde::{Deserialize, Serialize};

use crate::calendar::Civil;
use crate::name::UserName;

/// One user, as `users.users.<name>` of NixOS describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct User {
    /// Login name.
    pub name: UserName,
    /// Fixed id; otherwise one is taken from the range of its kind and kept for ever.
    #[serde(default)]
    pub uid: Option<u32>,
    /// System users take ids downwards from 999, normal ones upwards from 1000.
    pub is_system_user: bool,
    /// Primary group.
    pub group: UserName,
    /// Further groups.
    #[serde(default)]
    pub extra_groups: Vec<UserName>,
    /// The GECOS field; no `:` and no newline.
    #[serde(default)]
    pub description: String,
    /// Home directory, absolute.
    pub home: String,
    /// Make the home directory, mode 0700, if it does not exist.
    #[serde(default)]
    pub create_home: bool,
    /// The home directory's permission bits, written in octal; `0700` if absent.
    #[serde(default, with = "crate::octal::option")]
    pub home_mode: Option<u32>,
    /// Login shell, absolute.
    pub shell: String,
    /// A crypt(3) hash that activation enforces; `!` locks the password.
    #[serde(default)]
    pub hashed_password: Option<String>,
    /// A file that has the hash in its first line, read at each activation; it goes before
    /// `hashed_password`.
    #[serde(default)]
    pub hashed_password_file: Option<String>,
    /// A crypt(3) hash for a user that does not exist yet.
    #[serde(default)]
    pub initial_hashed_password: Option<String>,
    /// A file that has such a hash in its first line; it goes before `initial_hashed_password`.
    #[serde(default)]
    pub initial_hashed_password_file: Option<String>,
    /// The first day on which the account is closed.
    #[serde(default)]
    pub expires: Option<Day>,
    /// Numbers of users that this one may use in user namespaces.
    #[serde(default)]
    pub sub_uid_ranges: Vec<IdRange>,
    /// The same of groups.
    #[serde(default)]
    pub sub_gid_ranges: Vec<IdRange>,
    /// A range of 65536 of both is chosen when the user is made, and is never given to another.
    #[serde(default)]
    pub auto_sub_ids: bool,
}

/// Numbers that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IdRange {
    /// The first.
    pub start: u32,
    /// How many.
    pub count: u32,
}

/// A day of the calendar from 1970 on, written `2030-12-31`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(u32);

impl Day {
    /// Days since 1970-01-01, as shadow(5) counts.
    #[must_use]
    pub fn since_epoch(self) -> u32 {
        self.0
    }
}

impl TryFrom<String> for Day {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        day(&text)
            .map(Self)
            .ok_or_else(|| format!("'{text}' is not a day of the calendar; write it as 2030-12-31"))
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        let date = Civil::from_days(day.0.into());
        format!("{:04}-{:02}-{:02}", date.year, date.month, date.day)
    }
}

fn day(text: &str) -> Option<u32> {
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts.as_slice() else {
        return None;
    };
    if year.len() != 4
        || month.len() != 2
        || day.len() != 2
        || !parts.iter().all(|part| digits(part))
    {
        return None;
    }
    let date = Civil {
        year: year.parse().ok().filter(|year| *year >= 1970)?,
        month: month
            .parse()
            .ok()
            .filter(|month| (1..=12).contains(month))?,
        day: day.parse().ok().filter(|day| (1..=31).contains(day))?,
        ..Civil::from_days(0)
    };
    // The thirtieth of February is another day.
    let days = date.days();
    let same = Civil::from_days(days);
    let is_real = (same.year, same.month, same.day) == (date.year, date.month, date.day);
    is_real.then(|| u32::try_from(days).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::Day;

    #[test]
    fn days() {
        let table = [
            ("1970-01-01", Some(0)),
            ("2030-12-31", Some(22_279)),
            ("2024-02-29", Some(19_782)),
            ("2023-02-29", None),
            ("2030-13-01", None),
            ("2030-00-01", None),
            ("2030-03-00", None),
            ("1969-12-31", None),
            ("30-12-31", None),
            ("2030-12-31 ", None),
            ("+203-12-31", None),
        ];
        for (text, expected) in table {
            let day = Day::try_from(text.to_owned()).ok();
            assert_eq!(day.map(Day::since_epoch), expected, "{text}");
            if let Some(day) = day {
                assert_eq!(String::from(day), text);
            }
        }
    }
}

/// One group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Group {
    /// Its name.
    pub name: UserName,
    /// Fixed id; otherwise one is taken, and kept for ever.
    #[serde(default)]
    pub gid: Option<u32>,
    /// Members, beside those who name it in `extra_groups`.
    #[serde(default)]
    pub members: Vec<UserName>,
}
