use super::*;
use expect_test::{Expect, expect};
use proptest::prelude::*;

fn id(text: &str) -> EntryId {
    text.parse().unwrap()
}

fn block(text: &str) -> Vec<u8> {
    let mut bytes = [SIGNATURE, text.as_bytes()].concat();
    bytes.resize(SIZE, b'#');
    bytes
}

fn on_trial() -> BootState {
    BootState {
        good: Some(id("12")),
        trial: Some(Trial {
            entry: id("13-debug"),
            tries: 2,
        }),
        once: Some(id("9")),
        saved: Some("all>x".to_owned()),
        others: vec![(b"lang".to_vec(), b"a\\b\nc".to_vec())],
    }
}

#[test]
fn bytes_of_a_state() {
    let bytes = on_trial().to_bytes().unwrap();
    let text = std::str::from_utf8(&bytes).unwrap();
    expect![[r"
        # GRUB Environment Block
        cairn_good=12
        cairn_trial=13-debug
        cairn_tries=2
        cairn_once=9
        cairn_saved=all>x
        lang=a\\b\
        c
    "]]
    .assert_eq(text.trim_end_matches('#'));
    assert_eq!(BootState::parse(&bytes).unwrap(), on_trial());
}

#[test]
fn all_variables_are_always_there() {
    let bytes = BootState::default().to_bytes().unwrap();
    let text = std::str::from_utf8(&bytes).unwrap();
    expect![[r"
        # GRUB Environment Block
        cairn_good=
        cairn_trial=
        cairn_tries=
        cairn_once=
        cairn_saved=
    "]]
    .assert_eq(text.trim_end_matches('#'));
}

#[test]
fn what_grub_wrote_is_read() {
    // The second one counts; a comment and a line without end do not; a trial without a count has
    // no boots left.
    let text = "# WARNING: no\ncairn_good=1\nx=y=z\ncairn_good=2\ncairn_trial=3\ncairn_once=4";
    let state = BootState::parse(&block(text)).unwrap();
    let wanted = BootState {
        good: Some(id("2")),
        trial: Some(Trial {
            entry: id("3"),
            tries: 0,
        }),
        others: vec![(b"x".to_vec(), b"y=z".to_vec())],
        ..BootState::default()
    };
    assert_eq!(state, wanted);
}

fn check_damage(bytes: &[u8], wanted: &Expect) {
    wanted.assert_eq(&BootState::parse(bytes).unwrap_err().to_string());
}

#[test]
fn damage() {
    check_damage(b"", &expect!["it has 0 bytes and not 1024"]);
    check_damage(
        &[0; SIZE],
        &expect!["it does not begin as an environment block of GRUB does"],
    );
    check_damage(&block("cairn_good=x\n"), &expect![[r#"cairn_good is "x""#]]);
    check_damage(
        &block("cairn_trial=1\ncairn_tries=10\n"),
        &expect![[r#"cairn_tries is "10""#]],
    );
}

#[test]
fn what_does_not_fit() {
    let long = EntryId::new(1, Some(&"x".repeat(94))).unwrap();
    let mut state = BootState {
        good: Some(long.clone()),
        trial: Some(Trial {
            entry: long.clone(),
            tries: 9,
        }),
        once: Some(long.clone()),
        saved: Some(long.to_string()),
        others: Vec::new(),
    };
    let bytes = state.to_bytes().unwrap();
    assert!(bytes[SECTOR - 16..].iter().all(|&byte| byte == b'#'));
    state.saved = Some("x".repeat(200));
    expect!["what boots next and the saved choice need 577 bytes, and GRUB's environment has room for 512"]
        .assert_eq(&state.to_bytes().unwrap_err().to_string());
    state.saved = None;
    state.others = vec![(b"x".to_vec(), b"\\".repeat(400))];
    expect!["all variables together need 1180 bytes, and GRUB's environment has room for 1024"]
        .assert_eq(&state.to_bytes().unwrap_err().to_string());
    state.trial = Some(Trial {
        entry: long,
        tries: 10,
    });
    expect!["10 tries are more than 9"].assert_eq(&state.to_bytes().unwrap_err().to_string());
}

#[test]
fn written_in_place() {
    use std::os::unix::fs::MetadataExt;
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    assert_eq!(BootState::read(directory).unwrap(), BootState::default());
    on_trial().write(directory).unwrap();
    assert_eq!(BootState::read(directory).unwrap(), on_trial());
    let path = directory.join(NAME);
    let inode = || fs::metadata(&path).unwrap().ino();
    let before = inode();
    let good = BootState {
        good: Some(id("13")),
        ..BootState::default()
    };
    good.write(directory).unwrap();
    assert_eq!(BootState::read(directory).unwrap(), good);
    assert_eq!(inode(), before);
    assert_eq!(fs::read_dir(directory).unwrap().count(), 1);
    // One of another size has the wrong blocks.
    fs::write(&path, "short").unwrap();
    let error = BootState::read(directory).unwrap_err().to_string();
    let shown = error.replace(directory.to_str().unwrap(), "…");
    expect!["cannot read the boot state '…/grubenv': it has 5 bytes and not 1024; GRUB boots what its menu calls good"].assert_eq(&shown);
    good.write(directory).unwrap();
    assert_eq!(BootState::read(directory).unwrap(), good);
    expect![
        "cannot write the boot state '/nonexistent/grubenv': No such file or directory (os error 2)"
    ]
    .assert_eq(
        &good
            .write(Path::new("/nonexistent"))
            .unwrap_err()
            .to_string(),
    );
}

fn any_id() -> impl Strategy<Value = EntryId> {
    (any::<u64>(), proptest::option::of(".{1,5}"))
        .prop_map(|(number, name)| EntryId::new(number, name.as_deref()).unwrap())
}

fn any_state() -> impl Strategy<Value = BootState> {
    let option = proptest::option::of::<BoxedStrategy<EntryId>>;
    let trial = (any_id(), 0..=9u8).prop_map(|(entry, tries)| Trial { entry, tries });
    let name = "[a-z]{1,8}".prop_map(String::into_bytes);
    let others = proptest::collection::vec((name, any::<[u8; 8]>().prop_map(Vec::from)), 0..4);
    let saved = proptest::option::of(".{1,15}");
    (
        option(any_id().boxed()),
        proptest::option::of(trial),
        option(any_id().boxed()),
        saved,
        others,
    )
        .prop_map(|(good, trial, once, saved, others)| BootState {
            good,
            trial,
            once,
            saved,
            others,
        })
}

proptest! {
    #[test]
    fn any_state_comes_back(state in any_state()) {
        let bytes = state.to_bytes().unwrap();
        prop_assert_eq!(BootState::parse(&bytes).unwrap(), state);
    }

    #[test]
    fn any_bytes_are_read_or_refused(text in proptest::collection::vec(
        prop_oneof![Just(b'\n'), Just(b'='), Just(b'\\'), Just(b'#'), any::<u8>()], 0..999)
    ) {
        let mut bytes = [SIGNATURE, &text].concat();
        bytes.resize(SIZE, b'#');
        if let Ok(state) = BootState::parse(&bytes) && let Ok(again) = state.to_bytes() {
            prop_assert_eq!(BootState::parse(&again).unwrap(), state);
        }
    }
}
