//! What the rules of `modules/services/udev/rules` decide about devices as machines show them.

#![forbid(unsafe_code)]
#![cfg(test)]

mod line;
mod machine;
mod seat;
mod storage;

use expect_test::expect;

use machine::default_rules;

#[test]
fn every_rule_is_understood() {
    let (rules, problems) = default_rules();
    assert_eq!(problems, "");
    assert!(rules.len() > 100);
}

#[test]
fn nodes_that_are_there_before_their_driver() {
    let (rules, _) = default_rules();
    let nodes = rules.static_nodes();
    let nodes = nodes.iter().map(|node| {
        let group = node.group.as_deref().unwrap_or("-");
        format!("{} {group} {:04o}\n", node.name, node.mode.unwrap())
    });
    expect![[r#"
        fuse - 0666
        net/tun - 0666
        snd/seq audio 0660
        snd/timer audio 0660
        loop-control disk 0660
        btrfs-control disk 0660
        kvm kvm 0660
        vhost-net kvm 0660
        vhost-vsock kvm 0660
    "#]]
    .assert_eq(&nodes.collect::<Vec<_>>().concat());
}
