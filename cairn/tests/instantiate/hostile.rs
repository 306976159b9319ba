//! Files, names and stores that mean no good: one clear error each, in no time.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use super::ours;

/// What a run gave: its status, its output, its messages.
fn outcome(mut command: Command) -> (Option<i32>, String, String) {
    // Nothing here may wait for anything.
    let mut bounded = Command::new("timeout");
    bounded.arg("60").arg(command.get_program());
    bounded.args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        bounded.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => bounded.env(name, value),
            None => bounded.env_remove(name),
        };
    }
    command = bounded;
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn eval(home: &Path, words: &[&str]) -> (Option<i32>, String, String) {
    let mut command = ours(home);
    command.args(["--eval", "--strict"]).args(words);
    outcome(command)
}

/// The evaluation fails with one error, which begins so; `~` stands for the home folder.
fn fails(home: &Path, words: &[&str], message: &str) {
    let (status, out, errors) = eval(home, words);
    let errors = errors.replace(home.to_str().unwrap(), "~");
    assert_eq!(status, Some(1), "{words:?}: {errors}");
    assert_eq!(out, "", "{words:?}");
    assert_eq!(errors.matches("error:").count(), 1, "{words:?}: {errors}");
    let first = errors.lines().next().unwrap();
    assert_eq!(first, format!("error: {message}"), "{words:?}: {errors}");
}

fn gives(home: &Path, words: &[&str], expected: &str) {
    let (status, out, errors) = eval(home, words);
    assert_eq!(status, Some(0), "{words:?}: {errors}");
    assert_eq!(out.trim_end(), expected, "{words:?}");
}

#[test]
fn files_that_import_each_other() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("a.nix"), "import ./b.nix").unwrap();
    fs::write(home.path().join("b.nix"), "{ x = 1; } // import ./a.nix").unwrap();
    fails(home.path(), &["a.nix"], "infinite recursion encountered");
    fs::write(
        home.path().join("lazy.nix"),
        "{ x = 1; me = import ./lazy.nix; }",
    )
    .unwrap();
    gives(home.path(), &["lazy.nix", "-A", "me.me.me.x"], "1");
    fs::write(
        home.path().join("again.nix"),
        "scopedImport { } ./again.nix",
    )
    .unwrap();
    let (status, _, errors) = eval(home.path(), &["again.nix"]);
    assert_eq!(status, Some(1), "{errors}");
    assert!(errors.starts_with("error: stack overflow"), "{errors}");
}

#[test]
fn things_that_are_no_files() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("folder");
    fs::create_dir(&folder).unwrap();
    let status = Command::new("mkfifo")
        .arg(home.path().join("pipe"))
        .status();
    assert!(status.unwrap().success());
    for (expression, message) in [
        (
            "builtins.readFile ./folder",
            "cannot read '~/folder': it is a directory, not a file",
        ),
        (
            "builtins.readFile ./pipe",
            "cannot read '~/pipe': it is a named pipe, not a file",
        ),
        (
            "import ./pipe",
            "cannot read '~/pipe': it is a named pipe, not a file",
        ),
        (
            "import ./folder",
            "cannot read '~/folder/default.nix': no such file or directory",
        ),
        (
            "import ./absent",
            "cannot read '~/absent': no such file or directory",
        ),
        (
            "builtins.readDir ./pipe",
            "cannot list '~/pipe': not a directory",
        ),
        (
            "builtins.readFile /dev/zero",
            "cannot read '/dev/zero': it is a device that gives no end of bytes",
        ),
        (
            "\"${./pipe}\"",
            "cannot archive ~/pipe: it is a named pipe; only files, folders and symbolic links can be",
        ),
        (
            "builtins.readFile ./folder/x/y",
            "cannot read '~/folder/x/y': no such file or directory",
        ),
    ] {
        fails(home.path(), &["-E", expression], message);
    }
    gives(home.path(), &["-E", "builtins.readDir ./folder"], "{ }");
    gives(
        home.path(),
        &["-E", "builtins.readFileType ./pipe"],
        "\"unknown\"",
    );
    gives(home.path(), &["-E", "builtins.readFile /dev/null"], "\"\"");
}

#[test]
fn links_in_circles() {
    let home = tempfile::tempdir().unwrap();
    symlink("two", home.path().join("one")).unwrap();
    symlink("one", home.path().join("two")).unwrap();
    symlink("itself", home.path().join("itself")).unwrap();
    let loops = "cannot follow '~/one': more than 40 symbolic links lead to it";
    fails(home.path(), &["-E", "import ./one"], loops);
    fails(
        home.path(),
        &["-E", "builtins.readFile ./itself"],
        "cannot follow '~/itself': more than 40 symbolic links lead to it",
    );
    gives(home.path(), &["-E", "builtins.pathExists ./one"], "true");
    fails(home.path(), &["-E", "builtins.pathExists ./one/x"], loops);
}

#[test]
fn large_texts() {
    let home = tempfile::tempdir().unwrap();
    let ten = 10 << 20;
    fs::write(home.path().join("large"), "x".repeat(ten)).unwrap();
    let length = "builtins.stringLength (builtins.readFile ./large)";
    gives(home.path(), &["-E", length], &ten.to_string());
    fs::write(
        home.path().join("literal.nix"),
        format!("\"{}\"", "y".repeat(ten)),
    )
    .unwrap();
    let length = "builtins.stringLength (import ./literal.nix)";
    gives(home.path(), &["-E", length], &ten.to_string());
    fs::write(
        home.path().join("open.nix"),
        format!("\"{}", "y".repeat(ten)),
    )
    .unwrap();
    fails(
        home.path(),
        &["open.nix"],
        "syntax error, this string is never closed",
    );
    fs::write(home.path().join("deep.nix"), "[".repeat(100_000)).unwrap();
    let (status, _, errors) = eval(home.path(), &["deep.nix"]);
    assert_eq!(status, Some(1), "{errors}");
    assert!(errors.len() < 2000, "{} bytes", errors.len());
}

#[test]
fn odd_names() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("names");
    fs::create_dir(&folder).unwrap();
    for name in [&b"a\nb"[..], b"\xff\xfe", b"\"; rm -rf \"", b"${x}", b"-rf"] {
        fs::write(folder.join(OsStr::from_bytes(name)), "").unwrap();
    }
    let count = "builtins.length (builtins.attrNames (builtins.readDir ./names))";
    gives(home.path(), &["-E", count], "5");
    // All of them are read back, and copied.
    let read = "builtins.concatStringsSep \"\" (map (n: builtins.readFile (./names + \"/${n}\")) \
                (builtins.attrNames (builtins.readDir ./names)))";
    gives(home.path(), &["-E", read], "\"\"");
    let (status, out, errors) = eval(home.path(), &["-E", "\"${./names}\""]);
    assert_eq!(status, Some(0), "{errors}");
    assert!(out.starts_with("\"/nix/store/"), "{out}");
    fs::write(home.path().join("a b"), "").unwrap();
    fails(
        home.path(),
        &["-E", "\"${./. + \"/a b\"}\""],
        "'a b' has an invalid store path name; 1 to 211 of 0-9 a-z A-Z + - . _ ? = are allowed, \
         not '.' or '..' first",
    );
    fails(
        home.path(),
        &["-E", "builtins.toFile \"../x\" \"\""],
        "'../x' cannot be the name of a store object",
    );
    fs::write(
        home.path().join("zero.nix"),
        b"builtins.readFile \"/etc/\0passwd\"",
    )
    .unwrap();
    let (status, _, errors) = eval(home.path(), &["zero.nix"]);
    assert_eq!(status, Some(1), "{errors}");
    fs::write(home.path().join("zero"), b"a\0b").unwrap();
    fails(
        home.path(),
        &["-E", "builtins.readFile ./zero"],
        "the contents of '~/zero' cannot be a string: they have a zero byte",
    );
}

#[test]
fn an_evaluation_that_runs_away() {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
    command
        .current_dir(home.path())
        .args(["eval", "--memory", "64", "--strict", "-E"])
        .arg("let f = n: [ n ] ++ f (n + 1); in builtins.genList (x: [ x x x x ]) 100000000");
    let (status, _, errors) = outcome(command);
    assert_eq!(status, Some(1), "{errors}");
    assert_eq!(errors.matches("error:").count(), 1, "{errors}");
    assert!(
        errors.contains("out of memory: the evaluation needs more than its limit of 64 MiB"),
        "{errors}"
    );
    let recursion = "let f = x: f (x + 1); in f 0";
    let (status, _, errors) = eval(home.path(), &["-E", recursion]);
    assert_eq!(status, Some(1), "{errors}");
    assert!(errors.starts_with("error: stack overflow"), "{errors}");
}

/// On a file system of its own, which is full soon: nothing is registered that is not there.
#[test]
fn a_full_disk() {
    let home = tempfile::tempdir().unwrap();
    let many = "builtins.genList (n: derivation { name = \"d${toString n}\"; system = \"x\"; \
                builder = \"b\"; text = builtins.concatStringsSep \"\" \
                (builtins.genList (x: \"some text ${toString n} \") 500); }) 400";
    let store = home.path().join("store");
    fs::create_dir(&store).unwrap();
    let program = ours(home.path());
    let script = "mount -t tmpfs -o size=2m none \"$1\" && shift 1 && \
                  \"$@\" >/dev/null; echo \"status $?\"; \
                  ls \"$STORE/nix/store\" | grep -c 'drv$'";
    let mut command = Command::new("unshare");
    command
        .args([
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            script,
            "sh",
        ])
        .arg(&store)
        .arg(program.get_program())
        .arg("--store")
        .arg(&store)
        .args(["-E", many])
        .env("HOME", home.path())
        .env("STORE", &store);
    let (_, out, errors) = outcome(command);
    assert_eq!(out, "status 1\n0\n", "{errors}");
    assert_eq!(errors.matches("error:").count(), 1, "{errors}");
    let first = errors.lines().next().unwrap();
    assert!(
        first.contains("cannot write what was evaluated into the store")
            && first
                .ends_with("No space left on device (os error 28); free some space and try again"),
        "{errors}"
    );
}
