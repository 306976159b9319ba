//! The text of derivations: round trips, and bytes that nobody vouches for.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail as tests do"
)]

use std::collections::{BTreeMap, BTreeSet};

use cairn_store_path::derivation::{
    DerivationBuilder, DerivationError, ModuloError, ModuloHashes, Output,
};
use cairn_store_path::{Derivation, FixedOutput, Method, Sha256, StorePath};
use expect_test::{Expect, expect};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

fn store_path() -> impl Strategy<Value = StorePath> {
    (any::<[u8; 20]>(), "[a-z][a-z0-9.-]{0,8}")
        .prop_map(|(digest, name)| StorePath::new(digest, &name).unwrap())
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(
        prop_oneof![
            any::<u8>(),
            Just(b'"'),
            Just(b'\\'),
            Just(b'\n'),
            Just(b'n')
        ],
        0..12,
    )
}

fn output() -> impl Strategy<Value = Output> {
    let fixed = (any::<bool>(), any::<[u8; 32]>()).prop_map(|(flat, digest)| {
        let method = if flat {
            Method::Flat
        } else {
            Method::Recursive
        };
        FixedOutput::sha256(method, Sha256::from_bytes(digest))
    });
    (store_path(), proptest::option::of(fixed)).prop_map(|(path, fixed)| Output { path, fixed })
}

fn derivation() -> impl Strategy<Value = Derivation> {
    let name = || "[a-z][a-z0-9]{0,5}";
    let parts = (
        btree_map(name(), output(), 0..4),
        btree_map(store_path(), btree_set(name(), 0..3), 0..4),
        btree_set(store_path(), 0..4),
        bytes(),
        bytes(),
        vec(bytes(), 0..4),
        btree_map(bytes(), bytes(), 0..5),
    );
    parts.prop_map(
        |(outputs, input_drvs, input_srcs, system, builder, args, env)| Derivation {
            name: "x".to_owned(),
            outputs,
            input_drvs,
            input_srcs,
            system: system.into(),
            builder: builder.into(),
            args: args.into_iter().map(Into::into).collect(),
            env: env
                .into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        },
    )
}

proptest! {
    #[test]
    fn what_is_printed_is_read(derivation in derivation()) {
        prop_assert_eq!(Derivation::parse("x", &derivation.to_aterm()), Ok(derivation));
    }

    #[test]
    fn damaged_texts_are_read_or_refused(
        derivation in derivation(),
        position: prop::sample::Index,
        byte: u8,
        cut: prop::sample::Index,
    ) {
        let mut text = derivation.to_aterm();
        let position = position.index(text.len());
        text[position] = byte;
        if let Ok(read) = Derivation::parse("x", &text) {
            prop_assert_eq!(Derivation::parse("x", &read.to_aterm()), Ok(read));
        }
        let text = derivation.to_aterm();
        let cut = cut.index(text.len());
        prop_assert!(Derivation::parse("x", &text[..cut]).is_err());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(Derivation::parse("x", &bytes).is_err());
    }
}

fn refused(text: &str, expected: &Expect) {
    let error = Derivation::parse("x", text.as_bytes()).unwrap_err();
    expected.assert_eq(&error.to_string());
}

#[test]
fn errors_say_where() {
    let path = "/nix/store/00000000000000000000000000000000-x";
    refused(
        "",
        &expect!["cannot parse derivation: expected Derive( at byte 0"],
    );
    refused(
        "Derive([],[],[],\"s\",\"b\",[],[])x",
        &expect!["cannot parse derivation: expected the end at byte 30"],
    );
    refused(
        "Derive([],[],[\"/etc/passwd\"],\"s\",\"b\",[],[])",
        &expect![
            "cannot parse derivation: bad store path before byte 27: '/etc/passwd' is not in /nix/store"
        ],
    );
    refused(
        &format!("Derive([(\"../x\",\"{path}\",\"\",\"\")],[],[],\"s\",\"b\",[],[])"),
        &expect!["cannot parse derivation: expected the name of an output at byte 9"],
    );
    refused(
        &format!("Derive([(\"out\",\"{path}\",\"r:sha256\",\"00\")],[],[],\"s\",\"b\",[],[])"),
        &expect![
            "cannot parse derivation: output 'out' has an unknown kind of content address 'r:sha256'"
        ],
    );
    refused(
        "Derive([],[],[],\"s\",\"b\",[],[(\"a\",\"1\"),(\"a\",\"2\")])",
        &expect!["cannot parse derivation: 'a' occurs twice before byte 47"],
    );
    refused(
        "Derive([],[],[],\"s\",\"b\",[],[(\"a\",\"1\\",
        &expect!["cannot parse derivation: expected the end of a string at byte 35"],
    );
}

#[test]
fn impossible_derivations_are_refused() {
    let new = |name: &str| DerivationBuilder::new(name, "builtin", "builtin:x");
    let hash = Sha256::of(b"");
    let missing = StorePath::new([1; 20], "missing.drv").unwrap();
    let cases = [
        new("a b"),
        new("a.drv"),
        new("a").outputs(Vec::<String>::new()),
        new("a").outputs(["out", "out"]),
        new("a").outputs(["../../etc"]),
        new("a").outputs(["drv"]),
        new("a")
            .outputs(["out", "doc"])
            .fixed_sha256(Method::Flat, hash),
        new("a").input_drv(missing, "out"),
    ];
    for case in cases {
        let text = format!("{case:?}");
        let made: Result<_, DerivationError> = case.build(&mut ModuloHashes::new());
        assert!(made.is_err(), "{text}");
    }
}

#[test]
fn deep_chains_and_cycles_end() {
    let path = |number: u32| {
        let mut digest = [0; 20];
        digest[..4].copy_from_slice(&number.to_le_bytes());
        StorePath::new(digest, "x.drv").unwrap()
    };
    let node = |inputs: Vec<StorePath>| Derivation {
        name: "x".to_owned(),
        outputs: BTreeMap::new(),
        input_drvs: inputs
            .into_iter()
            .map(|input| (input, BTreeSet::from(["out".to_owned()])))
            .collect(),
        input_srcs: BTreeSet::new(),
        system: "s".into(),
        builder: "b".into(),
        args: Vec::new(),
        env: BTreeMap::new(),
    };
    let chain: BTreeMap<StorePath, Derivation> = (0..50_000)
        .map(|number| {
            (
                path(number),
                node((0..number).rev().take(1).map(path).collect()),
            )
        })
        .collect();
    let read = |path: &StorePath| chain.get(path).cloned().ok_or("missing");
    assert!(ModuloHashes::new().hash(&path(49_999), read).is_ok());
    let cycle = |wanted: &StorePath| {
        let next = u32::from(*wanted == path(0));
        Ok::<_, &str>(node(vec![path(next)]))
    };
    let error = ModuloHashes::new().hash(&path(0), cycle);
    assert!(matches!(error, Err(ModuloError::Cycle(_))), "{error:?}");
    let error = ModuloHashes::new().hash(&path(0), |_| Err("missing"));
    assert!(
        matches!(error, Err(ModuloError::Lookup { .. })),
        "{error:?}"
    );
}
