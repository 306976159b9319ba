//! `/etc/subuid` and `/etc/subgid`: numbers that a user may use in user namespaces; and
//! `/var/lib/nixos/auto-subuid-map`: who was ever given which range.
//!
//! ```text
//! alice:100000:65536        owner, first number, how many
//! ```
//! Of a user that is declared, the lines are those that the description says. Lines of others stay
//! as long as users are mutable and their owner exists.
//!
//! Source: subuid(5), subgid(5); `update-users-groups.pl` of NixOS for the map: one start for both
//! files, never given to a second name.

use cairn_system::{IdRange, SystemDescription, User};

use super::id_map::IdMap;
use super::update::Updated;

/// How many numbers a chosen range has, and the distance of two.
const COUNT: u32 = 65536;
/// Where the first one starts.
const FIRST: u32 = 100_000;

/// Lines of one of the files.
pub(super) type Lines = Vec<String>;

pub(super) fn parse(text: &str) -> Lines {
    let lines = text.split('\n').filter(|line| !line.is_empty());
    lines.map(str::to_owned).collect()
}

pub(super) fn to_text(lines: &[String]) -> String {
    let mut text = lines.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// Sets the lines of both files, and the map, of `new`, whose users are known by now.
pub(super) fn update(
    old: (&Lines, &Lines, &IdMap),
    description: &SystemDescription,
    new: &mut Updated,
) {
    let (users, groups, map) = old;
    let uids = kept(users, description, new);
    let gids = kept(groups, description, new);
    new.state.sub_map.clone_from(map);
    choose(description, &[&uids, &gids], new);
    let map = &new.state.sub_map;
    let described = |ranges: fn(&User) -> &[IdRange]| {
        description.users.iter().flat_map(move |user| {
            let chosen = map.get(user.name.as_str()).filter(|_| user.auto_sub_ids);
            let chosen = chosen.map(|start| IdRange {
                start: *start,
                count: COUNT,
            });
            let all = ranges(user).iter().copied().chain(chosen);
            all.map(|range| format!("{}:{}:{}", user.name, range.start, range.count))
        })
    };
    new.state.sub_uids = described(|user| &user.sub_uid_ranges).chain(uids).collect();
    new.state.sub_gids = described(|user| &user.sub_gid_ranges).chain(gids).collect();
}

/// Lines that are not the description's to say.
fn kept(old: &Lines, description: &SystemDescription, new: &Updated) -> Lines {
    let stays = |line: &&String| {
        let owner = line.split(':').next().unwrap_or_default();
        let is_declared = description
            .users
            .iter()
            .any(|user| user.name.as_str() == owner);
        let is_record = range_of(line).is_some();
        let exists = !is_record || new.state.passwd.get(owner).is_some();
        description.mutable_users && !is_declared && exists
    };
    old.iter().filter(stays).cloned().collect()
}

fn range_of(line: &str) -> Option<IdRange> {
    let mut fields = line.split(':').skip(1);
    let range = IdRange {
        start: fields.next()?.parse().ok()?,
        count: fields.next()?.parse().ok()?,
    };
    fields.next().is_none().then_some(range)
}

/// Gives a range to each who wants one and has none.
fn choose(description: &SystemDescription, kept: &[&Lines], new: &mut Updated) {
    let explicit = description
        .users
        .iter()
        .flat_map(|user| user.sub_uid_ranges.iter().chain(&user.sub_gid_ranges));
    let by_hand = kept.iter().flat_map(|lines| lines.iter());
    let given = |start: &u32| IdRange {
        start: *start,
        count: COUNT,
    };
    let mut taken: Vec<IdRange> = explicit
        .copied()
        .chain(by_hand.filter_map(|line| range_of(line)))
        .chain(new.state.sub_map.values().map(given))
        .collect();
    for user in description.users.iter().filter(|user| user.auto_sub_ids) {
        let name = user.name.as_str();
        if new.state.sub_map.contains_key(name) {
            continue;
        }
        let Some(start) = free_start(&taken) else {
            new.problems.push(format!(
                "cannot give user '{name}' numbers for user namespaces: none are left"
            ));
            continue;
        };
        taken.push(given(&start));
        new.state.sub_map.insert(name.to_owned(), start);
        new.changes
            .push(format!("give user '{name}' the numbers from {start}"));
    }
}

/// The lowest start whose range meets none that is taken.
fn free_start(taken: &[IdRange]) -> Option<u32> {
    let meets = |start: u32, range: &IdRange| {
        let (one, other) = (u64::from(start), u64::from(range.start));
        one < other + u64::from(range.count) && other < one + u64::from(COUNT)
    };
    // The last number means "no user".
    (FIRST..u32::MAX - COUNT)
        .step_by(65536)
        .find(|start| !taken.iter().any(|range| meets(*start, range)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_do_not_meet() {
        let range = |start, count| IdRange { start, count };
        assert_eq!(free_start(&[]), Some(100_000));
        assert_eq!(free_start(&[range(0, 100_000)]), Some(100_000));
        assert_eq!(free_start(&[range(0, 100_001)]), Some(165_536));
        assert_eq!(free_start(&[range(165_535, 1)]), Some(165_536));
        assert_eq!(
            free_start(&[range(100_000, 65536), range(165_536, 1)]),
            Some(231_072)
        );
        assert_eq!(free_start(&[range(0, u32::MAX)]), None);
    }

    #[test]
    fn lines() {
        assert_eq!(
            range_of("a:1:2").map(|range| (range.start, range.count)),
            Some((1, 2))
        );
        for line in ["", "a", "a:1", "a:1:2:3", "a:x:2", "a:1:4294967296"] {
            assert!(range_of(line).is_none(), "{line}");
        }
    }
}
