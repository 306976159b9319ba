//! What builtins that look at files, strings' contexts and derivations give is what real Nix gives,
//! or both fail.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use super::{ours, run, theirs};

fn prepare(folder: &Path) {
    fs::create_dir_all(folder.join("d/e")).unwrap();
    for (name, text) in [
        ("f", "hi\n"),
        ("d/default.nix", "{ a = 1; }\n"),
        ("crlf", "a\r\nb"),
        ("sc.nix", "x: scopedImport { y = x; } ./sc2.nix\n"),
        ("sc2.nix", "y\n"),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
    for (target, link) in [
        ("f", "lf"),
        ("d", "ld"),
        ("nowhere", "broken"),
        ("../f", "d/up"),
    ] {
        symlink(target, folder.join(link)).unwrap();
    }
}

#[test]
fn the_same_values() {
    let home = tempfile::tempdir().unwrap();
    prepare(home.path());
    let outcome = |mut command: Command, expression: &str| {
        command.env("NIX_REMOTE", "dummy://");
        command.args(["--eval", "--strict", "-E", expression]);
        let output = run(command);
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let result = (output.status.code(), text(output.stdout));
        (result, text(output.stderr))
    };
    let mut differences = String::new();
    for expression in EXPRESSIONS.lines().filter(|line| !line.is_empty()) {
        let (mine, my_errors) = outcome(ours(home.path()), expression);
        let (other, their_errors) = outcome(theirs(home.path()), expression);
        if mine != other {
            writeln!(
                differences,
                "{expression}\nours {mine:?}\n{my_errors}theirs {other:?}\n{their_errors}"
            )
            .unwrap();
        }
    }
    assert!(differences.is_empty(), "\n{differences}");
}

const EXPRESSIONS: &str = r##"
builtins.toPath "/a/../b//c/."
builtins.toPath "a"
builtins.toPath ./f
builtins.pathExists ./f
builtins.pathExists ./broken
builtins.pathExists "/etc/."
builtins.pathExists "${toString ./f}/"
builtins.pathExists ./f/x
builtins.pathExists (toString ./ld + "/e")
builtins.pathExists "rel"
builtins.readDir ./.
builtins.readDir ./ld
builtins.readDir ./f
builtins.readFile ./lf
builtins.readFile ./d/up
builtins.readFile ./ld/up
builtins.readFile ./crlf
import ./d
import ./ld
(import ./ld).a
import ./sc.nix 5
builtins.toFile "a" "b"
builtins.toFile "a b" "b"
"${builtins.toFile "a" "b"}${./f}"
builtins.getContext "${./f}"
builtins.getContext "${builtins.toFile "a" "b"}"
builtins.attrNames (builtins.getContext (derivation { name = "x"; system = "s"; builder = "b"; }).drvPath)
builtins.getContext "${derivation { name = "x"; system = "s"; builder = "b"; }}"
builtins.hasContext "${./f}"
builtins.hasContext (builtins.unsafeDiscardStringContext "${./f}")
builtins.unsafeDiscardStringContext ./f
builtins.path { path = ./d; }
builtins.path { path = ./d; name = "x"; recursive = true; filter = p: t: builtins.baseNameOf p != "up"; }
builtins.path { path = ./f; recursive = false; }
builtins.path { path = ./d; recursive = false; }
builtins.path { path = ./f; sha256 = "0000000000000000000000000000000000000000000000000000"; }
builtins.path { path = "rel"; }
builtins.path { name = "x"; }
builtins.path { path = ./f; odd = 1; }
builtins.filterSource (p: t: t == "regular") ./d
builtins.filterSource (p: t: throw "x") ./d
builtins.filterSource (p: t: 1) ./d
builtins.filterSource (p: t: true) ./f
builtins.filterSource (p: t: true) (toString ./d)
builtins.storePath "/nix/store/0clg19dliwxbqg0ryi4mv71pz3p5kh0m-a"
builtins.storePath /etc
builtins.getEnv "NOT_SET_AT_ALL"
builtins.getEnv ""
builtins.getEnv "HOME="
builtins.currentSystem
builtins.isInt builtins.currentTime
placeholder "out"
builtins.placeholder ""
placeholder 1
builtins.findFile [ { path = ./.; prefix = "p"; } ] "p/f"
builtins.findFile [ { path = ./.; prefix = "p"; } ] "p"
builtins.findFile [ { path = ./.; prefix = "p"; } ] "pf"
builtins.findFile [ { path = ./.; prefix = ""; } ] "f"
builtins.findFile [ { path = ./.; } ] "d/e"
builtins.findFile [ { prefix = ""; } ] "f"
builtins.findFile [ ] "f"
builtins.findFile [ { path = "rel"; prefix = ""; } { path = ./.; prefix = ""; } ] "f"
(builtins.tryEval (builtins.findFile [ ] "f")).success
(builtins.tryEval (import ./absent)).success
(builtins.tryEval (builtins.readFile ./absent)).success
builtins.nixPath
__nixPath
<nope>
builtins.storeDir
toString ./.
./. + "/f"
./. + "f"
"${toString ./.}/f"
"${./nowhere}"
"${./broken}"
"${./lf}"
"${./ld}"
"${./d}"
"${/.}"
builtins.appendContext "a" { "/nix/store/0clg19dliwxbqg0ryi4mv71pz3p5kh0m-a" = { path = true; }; }
builtins.appendContext "a" { "x" = { path = true; }; }
builtins.appendContext "a" { "/nix/store/0clg19dliwxbqg0ryi4mv71pz3p5kh0m-a" = { outputs = [ "out" ]; }; }
builtins.getContext (builtins.appendContext "a" { "/nix/store/0clg19dliwxbqg0ryi4mv71pz3p5kh0m-a.drv" = { outputs = [ "out" "dev" ]; allOutputs = true; path = true; }; })
builtins.getContext (builtins.unsafeDiscardOutputDependency (builtins.appendContext "a" { "/nix/store/0clg19dliwxbqg0ryi4mv71pz3p5kh0m-a.drv" = { allOutputs = true; }; }))
builtins.functionArgs derivation
builtins.isFunction derivation
builtins.derivation
derivation
(derivation { name = "x"; system = "s"; builder = "b"; }).type
builtins.attrNames (derivation { name = "x"; system = "s"; builder = "b"; outputs = [ "a" "b" ]; })
(derivation { name = "x"; system = "s"; builder = "b"; outputs = [ "a" "b" ]; }).outputName
(derivation { name = "x"; system = "s"; builder = "b"; outputs = [ "a" "b" ]; }).b.outPath
(derivation { name = throw "late"; system = "s"; builder = "b"; }).type
derivation { system = "s"; builder = "b"; }
derivation { name = 1; system = "s"; builder = "b"; }
derivation { name = "x"; builder = "b"; }
derivation { name = "x"; system = "s"; builder = [ ]; }
derivation { name = ""; system = "s"; builder = "b"; }
derivationStrict { name = "x"; system = "s"; builder = "b"; }
builtins.hashFile "sha256" ./f
builtins.hashFile "sha256" ./d
builtins.hashFile "odd" ./f
__currentSystem
__getEnv "X"
__readFile ./f
import ./f
import ./.
import "${./d}"
builtins.import ./d
builtins.fetchurl { url = "http://localhost:1/x"; odd = 1; }
fetchTarball 1
builtins.fetchurl { }
import <nix/fetchurl.nix> { url = "u/x"; sha256 = "0000000000000000000000000000000000000000000000000000"; }
"##;
