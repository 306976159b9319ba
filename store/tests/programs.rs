//! Builders that are programs of the store: what they see, what becomes of it, and how they fail.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail as tests do"
)]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use cairn_store::{Builders, Limits, Quiet, RealiseError, Store, log_file};
use cairn_store_path::derivation::{DerivationBuilder, Instantiated, ModuloHashes};
use cairn_store_path::{Method, Sha256, StorePath};

/// A store with one source, which has a shell with everything in it.
struct Fixture {
    _folder: tempfile::TempDir,
    store: Store,
    known: ModuloHashes,
    object: StorePath,
    limits: Limits,
}

impl Fixture {
    fn new() -> Self {
        let busybox = Path::new("/bin/busybox");
        assert!(
            busybox.exists(),
            "/bin/busybox is missing: apt-get install busybox-static"
        );
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("root")).unwrap();
        let tree = folder.path().join("tree");
        fs::create_dir_all(tree.join("bin")).unwrap();
        fs::copy(busybox, tree.join("bin/busybox")).unwrap();
        let object = store.add_tree("busybox", &tree).unwrap();
        // Not an input of anything.
        store.add_tree("stranger", &tree).unwrap();
        Self {
            store,
            known: ModuloHashes::new(),
            object,
            limits: Limits::default(),
            _folder: folder,
        }
    }

    /// A derivation that runs `script`, in which `@` is the shell.
    fn script(&self, name: &str, script: &str) -> DerivationBuilder {
        let shell = format!("{}/bin/busybox", self.object);
        let script = script.replace('@', &format!("{shell} "));
        DerivationBuilder::new(name, "x86_64-linux", &shell)
            .arg("sh")
            .arg("-ec")
            .arg(script)
            .input_src(self.object.clone())
    }

    fn instantiate(&mut self, builder: DerivationBuilder) -> Instantiated {
        let made = builder.build(&mut self.known).unwrap();
        self.store.write_derivation(&made.derivation).unwrap();
        made
    }

    fn try_build(
        &mut self,
        builder: DerivationBuilder,
    ) -> (Instantiated, Result<(), RealiseError>) {
        let made = self.instantiate(builder);
        let mut builders = Builders::new();
        builders.limit_programs(self.limits);
        let wanted = [made.path.clone()];
        let result = self.store.realise(&wanted, &builders, &Quiet).map(drop);
        let unfinished = fs::read_dir(self.store.state_dir().join("builds")).unwrap();
        let folders: Vec<_> = unfinished
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir())
            .flat_map(|path| {
                fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path())
            })
            .collect();
        assert!(folders.is_empty(), "{folders:?}");
        (made, result)
    }

    fn build(&mut self, builder: DerivationBuilder) -> StorePath {
        let (made, result) = self.try_build(builder);
        result.unwrap();
        made.derivation.output("out").unwrap().clone()
    }

    fn text(&mut self, script: &str) -> String {
        let builder = self.script("text", script);
        let path = self.build(builder);
        fs::read_to_string(self.store.real_path(&path)).unwrap()
    }

    fn failure(&mut self, script: &str) -> String {
        let builder = self.script("failing", script);
        let (made, result) = self.try_build(builder);
        let out = made.derivation.output("out").unwrap();
        assert!(!self.store.is_valid(out).unwrap());
        assert!(!self.store.real_path(out).exists());
        result.unwrap_err().to_string()
    }
}

#[test]
fn a_builder_sees_its_inputs_and_nothing_else() {
    let mut fixture = Fixture::new();
    let text = fixture
        .text("{ @ls /; @ls /nix/store; @ls /etc; @id -u; @id -g; @pwd; @ls -a /build; } > $out");
    let object = fixture.object.base_name().to_owned();
    // The output is there because it is being written.
    let expected = format!(
        "bin\nbuild\ndev\netc\nnix\nproc\ntmp\n{}group\nhosts\npasswd\n1000\n100\n/build\n.\n..\n",
        {
            let made: Vec<&str> = text
                .lines()
                .filter(|line| line.ends_with("-text"))
                .collect();
            let mut names = [object, made[0].to_owned()];
            names.sort();
            names.join("\n") + "\n"
        }
    );
    assert_eq!(text, expected);
}

#[test]
fn variables_are_those_of_nix() {
    let mut fixture = Fixture::new();
    let text =
        fixture.text("@env | @grep -v -e ^NIX_BUILD_CORES -e '^out=' -e ^builder -e ^SHLVL > $out");
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "HOME=/homeless-shelter",
            "NIX_BUILD_TOP=/build",
            "NIX_LOG_FD=2",
            "NIX_STORE=/nix/store",
            "PATH=/path-not-set",
            "PWD=/build",
            "TEMP=/build",
            "TEMPDIR=/build",
            "TERM=xterm-256color",
            "TMP=/build",
            "TMPDIR=/build",
            "name=text",
            "system=x86_64-linux",
        ]
    );
}

#[test]
fn it_cannot_change_its_inputs_and_has_no_network() {
    let mut fixture = Fixture::new();
    let object = fixture.object.to_string();
    let text = fixture.text(&format!(
        "if @touch {object}/x; then echo changed > $out; fi; \
         @ip -o link | @grep -c . >> $out; @wget -T 2 http://127.0.0.1/ || echo refused >> $out"
    ));
    assert_eq!(text, "1\nrefused\n");
}

#[test]
fn several_outputs_refer_to_what_they_name() {
    let mut fixture = Fixture::new();
    let builder = fixture
        .script(
            "several",
            "@mkdir $out; echo $dev > $out/dev; echo '#!x' > $out/run; @chmod 4755 $out/run; \
             @mkdir $dev; @ln -s $builder $dev/tool",
        )
        .outputs(["out", "dev"]);
    let (made, outcome) = fixture.try_build(builder);
    outcome.unwrap();
    let [out, dev] = ["out", "dev"].map(|name| made.derivation.output(name).unwrap().clone());
    let references = |path| fixture.store.references(path).unwrap();
    assert_eq!(references(&out), std::slice::from_ref(&dev));
    assert_eq!(references(&dev), std::slice::from_ref(&fixture.object));
    let run = fs::metadata(fixture.store.real_path(&out).join("run")).unwrap();
    let bits = std::os::unix::fs::PermissionsExt::mode(&run.permissions());
    assert_eq!(bits & 0o7777, 0o555);
}

#[test]
fn failures_show_the_end_of_the_log_and_keep_it() {
    let mut fixture = Fixture::new();
    let message =
        fixture.failure("i=0; while [ $i -lt 100 ]; do echo line $i; i=$((i+1)); done; exit 7");
    assert!(message.contains("failed with exit code 7"), "{message}");
    assert!(message.contains("\n  > line 75\n"), "{message}");
    assert!(!message.contains("line 74"), "{message}");
    let log = message.rsplit(": ").next().unwrap();
    assert_eq!(fs::read_to_string(log).unwrap().lines().count(), 100);

    let message = fixture.failure("true");
    assert!(
        message.contains("did not create the output 'out'"),
        "{message}"
    );
}

#[test]
fn the_log_is_where_nix_has_it() {
    let mut fixture = Fixture::new();
    let builder = fixture.script("logged", "echo to the log; echo x > $out");
    let made = fixture.instantiate(builder.clone());
    fixture.build(builder);
    let file = log_file(&fixture.store, &made.path);
    assert_eq!(fs::read_to_string(&file).unwrap(), "to the log\n");
    let name = made.path.base_name();
    assert!(file.ends_with(format!(
        "nix/var/log/nix/drvs/{}/{}",
        &name[..2],
        &name[2..]
    )));
}

#[test]
fn what_takes_too_long_is_stopped_with_all_its_children() {
    let mut fixture = Fixture::new();
    fixture.limits.time = Some(Duration::from_millis(300));
    let begin = Instant::now();
    let message = fixture.failure("@sleep 987 & while true; do echo x; @sleep 0.1; done");
    assert!(message.contains("was stopped after"), "{message}");
    fixture.limits = Limits {
        time: None,
        silence: Some(Duration::from_millis(300)),
    };
    let message = fixture.failure("@sleep 987");
    assert!(message.contains("without output"), "{message}");
    assert!(begin.elapsed() < Duration::from_mins(1));
}

#[test]
fn a_fixed_output_has_to_be_what_was_promised() {
    let mut fixture = Fixture::new();
    let right = fixture
        .script(
            "fixed",
            "@printf promised > $out; [ $NIX_OUTPUT_CHECKED = 1 ]",
        )
        .fixed_sha256(Method::Flat, Sha256::of(b"promised"));
    fixture.build(right);
    let wrong = fixture
        .script("wrong", "@printf other > $out")
        .fixed_sha256(Method::Flat, Sha256::of(b"promised"));
    let (_, result) = fixture.try_build(wrong);
    assert!(
        matches!(result, Err(RealiseError::Mismatch { .. })),
        "{result:?}"
    );
}

#[test]
fn a_builder_for_another_machine_is_refused() {
    let mut fixture = Fixture::new();
    let builder = DerivationBuilder::new("other", "aarch64-linux", "/nix/store/x/bin/sh");
    let (_, result) = fixture.try_build(builder);
    let message = result.unwrap_err().to_string();
    assert!(
        message.contains("it is for 'aarch64-linux', but this machine is x86_64-linux"),
        "{message}"
    );
}
