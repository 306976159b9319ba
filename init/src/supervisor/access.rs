//! What somebody may ask the supervisor for, by who it is.

use std::path::Path;

use cairn_sys::peer::Peer;
use cairn_system::control::Role;
use cairn_system::{Control, UserName};

use super::accounts;

/// Whether `peer` has `role`, by the groups that `control` names and the files below `etc` define now.
///
/// # Errors
/// It has not; the text says what would help.
pub fn check(control: &Control, etc: &Path, peer: &Peer, role: Role) -> Result<(), String> {
    let is_in = |groups: &[UserName]| {
        !groups.is_empty()
            && accounts::group_numbers(etc, groups)
                .map_err(|error| log::error!("cannot tell who may do what: {error}"))
                .is_ok_and(|numbers| numbers.iter().any(|number| peer.groups.contains(number)))
    };
    let is_allowed = peer.uid == 0
        || role == Role::Read
        || is_in(&control.administrators)
        || role == Role::Operate && is_in(&control.operators);
    if is_allowed {
        return Ok(());
    }
    let also = match role {
        Role::Operate => control.operators.iter().chain(&control.administrators),
        _ => [].iter().chain(&control.administrators),
    };
    let also: Vec<&str> = also.map(UserName::as_str).collect();
    Err(match also.as_slice() {
        [] => "only root may do this; use sudo or doas".to_owned(),
        groups => format!(
            "only root and members of {} may do this; use sudo or doas",
            groups.join(", ")
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_has_what_the_one_before_it_has() {
        let etc = tempfile::tempdir().unwrap();
        let groups = "root:x:0:\nwheel:x:1:\noperator:x:37:\nbroken\n";
        std::fs::write(etc.path().join("group"), groups).unwrap();
        let names = |name: &str| vec![UserName::try_from(name).unwrap()];
        let none = Control::default();
        let some = Control {
            operators: names("operator"),
            administrators: names("wheel"),
        };
        let gone = Control {
            operators: names("gone"),
            ..Control::default()
        };
        let mut table = Vec::new();
        for (what, control) in [("none", &none), ("some", &some), ("gone", &gone)] {
            for (uid, group) in [(0, 0), (1000, 1), (1000, 37), (1000, 100)] {
                let groups = vec![100, group];
                let peer = Peer { uid, groups };
                let roles = [Role::Read, Role::Operate, Role::Administer];
                let may = roles.map(|role| match check(control, etc.path(), &peer, role) {
                    Ok(()) => "yes".to_owned(),
                    Err(reason) => reason,
                });
                table.push(format!("{what} {uid}:{group} {}", may.join(" | ")));
            }
        }
        expect_test::expect![[r#"
            none 0:0 yes | yes | yes
            none 1000:1 yes | only root may do this; use sudo or doas | only root may do this; use sudo or doas
            none 1000:37 yes | only root may do this; use sudo or doas | only root may do this; use sudo or doas
            none 1000:100 yes | only root may do this; use sudo or doas | only root may do this; use sudo or doas
            some 0:0 yes | yes | yes
            some 1000:1 yes | yes | yes
            some 1000:37 yes | yes | only root and members of wheel may do this; use sudo or doas
            some 1000:100 yes | only root and members of operator, wheel may do this; use sudo or doas | only root and members of wheel may do this; use sudo or doas
            gone 0:0 yes | yes | yes
            gone 1000:1 yes | only root and members of gone may do this; use sudo or doas | only root may do this; use sudo or doas
            gone 1000:37 yes | only root and members of gone may do this; use sudo or doas | only root may do this; use sudo or doas
            gone 1000:100 yes | only root and members of gone may do this; use sudo or doas | only root may do this; use sudo or doas"#]].assert_eq(&table.join("\n"));
    }
}
