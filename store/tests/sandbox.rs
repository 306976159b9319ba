//! Programs in namespaces: what they see, how they end, and that nothing of them stays.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail as tests do"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};

use cairn_store::{Access, Sandbox, Store};

/// A store with one object that has the host's busybox-like tools: a static shell is all we need.
struct Fixture {
    _folder: tempfile::TempDir,
    store: Store,
    shell: String,
    shared: PathBuf,
}

fn fixture() -> Fixture {
    let busybox = Path::new("/bin/busybox");
    assert!(
        busybox.exists(),
        "/bin/busybox is missing: apt-get install busybox-static"
    );
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("root")).unwrap();
    let tree = folder.path().join("busybox");
    fs::create_dir_all(tree.join("bin")).unwrap();
    fs::copy(busybox, tree.join("bin/busybox")).unwrap();
    let object = store.add_tree("busybox", &tree).unwrap();
    let shared = folder.path().join("shared");
    fs::create_dir(&shared).unwrap();
    Fixture {
        store,
        shell: format!("{object}/bin/busybox"),
        shared,
        _folder: folder,
    }
}

impl Fixture {
    fn sh(&self, script: &str) -> Sandbox<'_> {
        Sandbox::new(&self.store, &self.shell).args(["sh", "-c", script])
    }

    fn says(&self, script: &str) -> String {
        let busybox = &self.shell;
        let script = script.replace('@', &format!("{busybox} "));
        let output = self.sh(&script).run().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn the_root_has_the_store_and_nothing_of_the_host() {
    let fixture = fixture();
    assert_eq!(fixture.says("@ls /"), "dev\nnix\nproc\ntmp\n");
    assert_eq!(fixture.says("@ls /nix"), "store\n");
    assert_eq!(fixture.says("@ls /nix/store | @wc -l"), "1\n");
    assert_eq!(
        fixture.says("@id -u; @pwd; @hostname"),
        "0\n/tmp\nlocalhost\n"
    );
    assert!(
        !fixture.says("@env").contains("HOME="),
        "the environment is the guest's own"
    );
    let devices = fixture.says("@ls /dev");
    for device in [
        "null", "zero", "full", "random", "urandom", "pts", "ptmx", "fd",
    ] {
        assert!(devices.lines().any(|line| line == device), "{devices}");
    }
    assert_eq!(
        fixture.says("@echo x > /dev/null; @head -c3 /dev/zero | @wc -c"),
        "3\n"
    );
}

#[test]
fn devices_can_be_used_but_not_changed() {
    let fixture = fixture();
    let script = "echo x > /dev/null && @head -c 3 /dev/zero | @wc -c; \
        @chmod 700 /dev/null 2> /tmp/refused || @grep -o 'Read-only' /tmp/refused";
    assert_eq!(fixture.says(script), "3\nRead-only\n");
}

#[test]
fn it_has_its_own_processes_and_network() {
    let fixture = fixture();
    assert_eq!(fixture.says("echo $$"), "1\n");
    let processes = fixture.says("@ls /proc | @grep -c '^[0-9]'");
    // The shell and the two ends of the pipe, of which one may not have begun.
    assert!(["2", "3"].contains(&processes.trim()), "{processes}");
    assert_eq!(
        fixture.says("@ip -o link | @grep -c ."),
        "1\n",
        "only the loopback interface"
    );
    assert!(fixture.says("@ip -o addr").contains("127.0.0.1"));
}

#[test]
fn the_store_is_read_only_and_binds_are_as_asked() {
    let fixture = fixture();
    let output = fixture.sh("echo x > /nix/store/x").run().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("Read-only file system"));
    fs::write(fixture.shared.join("in"), "hello").unwrap();
    let script = "cat=$1; $cat cat /a/b/in; echo made > /a/b/out; echo no > /c/in; echo $?";
    let script = script.replace("$cat", &fixture.shell);
    let output = fixture
        .sh(&script)
        .bind(&fixture.shared, "/a/b", Access::ReadWrite)
        .bind(&fixture.shared, "/c", Access::ReadOnly)
        .bind(fixture.shared.join("in"), "/etc/one", Access::ReadOnly)
        .link(&fixture.shell, "/bin/sh")
        .run()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "hello1\n");
    assert_eq!(
        fs::read_to_string(fixture.shared.join("out")).unwrap(),
        "made\n"
    );
    assert_eq!(
        fs::read_to_string(fixture.shared.join("in")).unwrap(),
        "hello"
    );
}

#[test]
fn status_input_and_much_output_come_through() {
    let fixture = fixture();
    let status = |script: &str| fixture.sh(script).run().unwrap().status;
    assert_eq!(status("exit 7").code(), Some(7));
    // As PID 1, only a child can be killed by default signals.
    assert_eq!(
        fixture
            .sh("sh -c 'kill -9 $$'; exit 3")
            .run()
            .unwrap()
            .status
            .signal(),
        None
    );
    let input = vec![b'x'; 3_000_000];
    let output = Sandbox::new(&fixture.store, &fixture.shell)
        .arg("cat")
        .stdio(cairn_store::Stdio::Capture(input.clone()))
        .run()
        .unwrap();
    assert_eq!(output.stdout.len(), input.len());
    let output = Sandbox::new(&fixture.store, &fixture.shell)
        .arg("true")
        .stdio(cairn_store::Stdio::Capture(input))
        .run()
        .unwrap();
    assert!(output.status.success());
}

#[test]
fn what_it_started_does_not_outlive_it() {
    let fixture = fixture();
    let script = "@sleep 1000 & echo $$; exit 0".replace('@', &format!("{} ", fixture.shell));
    let begin = std::time::Instant::now();
    let output = fixture.sh(&script).run().unwrap();
    assert!(output.status.success());
    // The sleeper has our pipe open: reading ends only because it is killed.
    assert!(begin.elapsed().as_secs() < 60);
}

#[test]
fn errors_say_what_is_missing() {
    let fixture = fixture();
    let error = Sandbox::new(&fixture.store, "/nix/store/none/bin/x")
        .run()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("cannot run /nix/store/none/bin/x: No such file"),
        "{error}"
    );
    let error = fixture
        .sh("true")
        .bind("/does/not/exist", "/x", Access::ReadOnly)
        .run()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("cannot bind /does/not/exist: No such file"),
        "{error}"
    );
    let error = fixture
        .sh("true")
        .working_directory("/a/../b")
        .run()
        .unwrap_err()
        .to_string();
    assert!(error.contains("not an absolute path"), "{error}");
}

#[test]
fn the_mount_point_stays_empty_and_tools_are_executable() {
    let fixture = fixture();
    fixture.says("echo x > /tmp/y; echo x > /y");
    let point = fixture.store.state_dir().join("sandbox");
    assert_eq!(fs::read_dir(&point).unwrap().count(), 0);
    let real = fixture.store.real_path_of(&fixture.shell).unwrap();
    assert_eq!(
        fs::metadata(real).unwrap().permissions().mode() & 0o7777,
        0o555
    );
}

/// Runs the ignored test `name` where no further user namespaces are allowed.
fn without_user_namespaces(name: &str, prefix: &str) -> String {
    let script = format!(
        "echo 0 > /proc/sys/user/max_user_namespaces && exec {prefix} \"$0\" \
                          --exact {name} --ignored --nocapture"
    );
    let output = std::process::Command::new("unshare")
        .args(["--user", "--map-root-user", "sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && stdout.contains("1 passed"),
        "{output:?}"
    );
    stdout
}

#[test]
fn refused_namespaces_say_what_to_enable() {
    without_user_namespaces("is_refused", "setpriv --bounding-set=-all --inh-caps=-all");
}

#[test]
#[ignore = "needs a place without user namespaces; the test above makes it"]
fn is_refused() {
    let fixture = fixture();
    let error = fixture.sh("true").run().unwrap_err().to_string();
    assert!(
        error.contains("the kernel refuses user namespaces"),
        "{error}"
    );
    assert!(
        error.contains("'sysctl user.max_user_namespaces=10000'"),
        "{error}"
    );
}

#[test]
fn root_does_not_need_user_namespaces() {
    without_user_namespaces("runs_as_root", "");
}

#[test]
#[ignore = "needs a place without user namespaces; the test above makes it"]
fn runs_as_root() {
    assert_eq!(fixture().says("@id -u; echo $$"), "0\n1\n");
}
