//! The option reference's web page in a browser: the search finds, a link opens its option, and
//! nothing is asked of the network.
//!
//! `test = false`: `cargo xtask test` runs it by name.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

use std::fs;
use std::path::Path;
use std::process::Command;

use cairn::options::{self, Question, Reference};

struct Page {
    folder: tempfile::TempDir,
    reference: Reference,
}

impl Page {
    fn new() -> Self {
        let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../modules");
        let question = Question {
            search_path: vec![format!("cairn={}", modules.display()).into()],
            configuration: None,
        };
        let program = Path::new(env!("CARGO_BIN_EXE_cairn"));
        let reference = options::evaluate(program, &question).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(
            folder.path().join("page.html"),
            options::web_page(&reference),
        )
        .unwrap();
        Self { folder, reference }
    }

    /// The page's tree after its script has run; `suffix` is what follows the file in the address.
    fn open(&self, suffix: &str) -> String {
        let address = format!("file://{}/page.html{suffix}", self.folder.path().display());
        let output = Command::new("chromium-headless-shell")
            .args(["--no-sandbox", "--disable-gpu", "--dump-dom"])
            // Whatever it asks of the network fails.
            .arg("--host-resolver-rules=MAP * ~NOTFOUND")
            .arg(format!("--user-data-dir={}", self.folder.path().display()))
            .arg(address)
            .output()
            .unwrap_or_else(|error| {
                panic!("cannot run the browser: {error}; chromium-headless-shell has it")
            });
        String::from_utf8(output.stdout).unwrap()
    }
}

/// The names of the options that are shown, in their order.
fn shown(tree: &str) -> Vec<String> {
    tree.split("<details ")
        .skip(1)
        .filter_map(|entry| entry.split_once('>'))
        .filter(|(attributes, _)| !attributes.contains(" hidden"))
        .filter_map(|(attributes, _)| attributes.strip_prefix("id=\"opt-")?.split_once('"'))
        .map(|(name, _)| name.replace("&lt;", "<").replace("&gt;", ">"))
        .collect()
}

fn count(tree: &str) -> &str {
    let (_, rest) = tree.split_once("<output").unwrap();
    let (_, rest) = rest.split_once('>').unwrap();
    rest.split_once('<').unwrap().0
}

#[test]
fn the_page_in_a_browser() {
    let page = Page::new();
    let all = page.reference.entries.len();

    let tree = page.open("");
    assert_eq!(count(&tree), format!("{all} options"));
    assert_eq!(shown(&tree).len(), all);

    let tree = page.open("?q=openssh%20ports");
    let found = shown(&tree);
    assert_eq!(found.first().unwrap(), "services.openssh.ports");
    assert_eq!(count(&tree), format!("{} of {all} options", found.len()));
    assert!(tree.contains("<mark>ports</mark>"));

    let tree = page.open("?q=no%20such%20thing%20at%20all");
    assert_eq!(shown(&tree), Vec::<String>::new());

    let tree = page.open("#opt-networking.hostName");
    let (_, entry) = tree.split_once("id=\"opt-networking.hostName\"").unwrap();
    let (attributes, _) = entry.split_once('>').unwrap();
    assert!(attributes.contains("open"), "{attributes}");
}
