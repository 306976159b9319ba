//! Objects from one store into another.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail as tests do"
)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use cairn_store::{Store, Text};
use cairn_store_path::StorePath;
use cairn_store_path::derivation::{Instantiated, ModuloHashes};
use common::{new, nix_says, out, realise, uses};

/// A store with `top`, which needs `middle`, which needs `low`; and one without anything.
struct Fixture {
    _folder: tempfile::TempDir,
    source: Store,
    target: Store,
    low: Instantiated,
    middle: Instantiated,
    top: Instantiated,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = Store::open(&folder.path().join("source")).unwrap();
        let target = Store::open(&folder.path().join("target")).unwrap();
        let mut known = ModuloHashes::new();
        let mut write = |builder: cairn_store_path::derivation::DerivationBuilder| {
            let made = builder.build(&mut known).unwrap();
            source.write_derivation(&made.derivation).unwrap();
            made
        };
        let low = write(new("low", "builtin:tree"));
        let middle = write(uses(new("middle", "builtin:tree"), &low, "out"));
        let top = write(uses(new("top", "builtin:tree"), &middle, "out"));
        Self {
            _folder: folder,
            source,
            target,
            low,
            middle,
            top,
        }
    }

    fn copy(&self, paths: &[StorePath]) -> Result<u64, cairn_store::StoreError> {
        let offer = self.source.offer(paths, Some(&self.target))?;
        let mut told = 0;
        self.target
            .take(&self.source, &offer, &mut |bytes| told += bytes)?;
        assert_eq!(told, offer.bytes());
        Ok(told)
    }
}

fn root(store: &Store) -> &Path {
    store.root()
}

#[test]
fn a_closure_is_copied_once_and_real_nix_finds_it_whole() {
    let fixture = Fixture::new();
    let Fixture {
        source,
        target,
        top,
        ..
    } = &fixture;
    realise(source, &[top]).unwrap();
    let wanted = [out(top), top.path.clone()];
    assert!(fixture.copy(&wanted).unwrap() > 0);
    let closure = source.closure(&wanted).unwrap();
    assert_eq!(target.closure(&wanted).unwrap(), closure);
    for path in &closure {
        let (mut here, there) = (target.info(path).unwrap(), source.info(path).unwrap());
        assert!(!here.ultimate);
        here.ultimate = there.ultimate;
        assert_eq!(here, there);
    }
    assert_eq!(target.verify_closure(&out(top)).unwrap(), []);
    nix_says(root(target), "nix-store", &["--verify", "--check-contents"]);
    // What a derivation makes is known there, too.
    let deriver = nix_says(
        root(target),
        "nix-store",
        &["--query", "--outputs", &top.path.to_string()],
    );
    assert_eq!(deriver.trim(), out(top).to_string());
    assert_eq!(fixture.copy(&wanted).unwrap(), 0);
}

#[test]
fn what_is_damaged_does_not_come_along_and_what_was_copied_before_stays() {
    let fixture = Fixture::new();
    let Fixture {
        source,
        target,
        low,
        middle,
        top,
        ..
    } = &fixture;
    realise(source, &[top]).unwrap();
    fixture.copy(&[out(low)]).unwrap();
    let file = source.real_path(&out(middle)).join("empty");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&file, "not any more").unwrap();
    let error = fixture.copy(&[out(top)]).unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "cannot copy {} from the store at {}: its files are damaged there",
            out(middle),
            root(source).display()
        )
    );
    assert!(target.is_valid(&out(low)).unwrap());
    for path in [out(middle), out(top)] {
        assert!(!target.is_valid(&path).unwrap());
        assert!(!target.real_path(&path).exists());
    }
    // The same again, with the damage repaired, goes on there.
    fs::write(&file, "").unwrap();
    fixture.copy(&[out(top)]).unwrap();
    assert_eq!(target.verify_closure(&out(top)).unwrap(), []);
}

#[test]
fn the_usable_outputs_are_those_on_the_way_to_what_is_missing() {
    let fixture = Fixture::new();
    let Fixture {
        source,
        low,
        middle,
        top,
        ..
    } = &fixture;
    let usable = || {
        source
            .usable_outputs(std::slice::from_ref(&top.path))
            .unwrap()
    };
    assert_eq!(usable(), []);
    realise(source, &[low]).unwrap();
    assert_eq!(usable(), [out(low)]);
    realise(source, &[middle]).unwrap();
    assert_eq!(usable(), [out(middle)]);
    realise(source, &[top]).unwrap();
    assert_eq!(usable(), [out(top)]);
}

#[test]
fn a_long_chain_is_copied_in_several_batches() {
    let fixture = Fixture::new();
    let Fixture { source, target, .. } = &fixture;
    let mut texts: Vec<Text> = Vec::new();
    for number in 0..1100 {
        let before = texts.last().map(|text| text.path().clone());
        let words = before.as_ref().map_or(String::new(), ToString::to_string);
        let text = format!("{number} {words}").into_bytes();
        texts.push(Text::new("link", text, before.into_iter().collect()).unwrap());
    }
    let last = texts.last().unwrap().path().clone();
    for batch in texts.chunks(400) {
        source.add_texts(batch.to_vec()).unwrap();
    }
    fixture.copy(std::slice::from_ref(&last)).unwrap();
    assert_eq!(target.closure(&[last]).unwrap().len(), 1100);
}
