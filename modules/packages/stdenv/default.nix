# The standard environment: what `mkDerivation` builds with.
final: below:
let
  makeDerivation = import ./make-derivation.nix final;

  platform = {
    inherit (final) system;
    config = "x86_64-unknown-linux-gnu";
    isLinux = true;
    isDarwin = false;
    isUnix = true;
    isx86_64 = true;
    isx86 = true;
    isAarch64 = false;
    is64bit = true;
    isGnu = true;
    isMusl = false;
    isStatic = false;
    isLittleEndian = true;
    linuxArch = "x86_64";
    extensions = {
      sharedLibrary = ".so";
      staticLibrary = ".a";
      executable = "";
    };
    parsed = {
      cpu = {
        name = "x86_64";
        bits = 64;
      };
      kernel.name = "linux";
      vendor.name = "unknown";
      abi.name = "gnu";
    };
    canExecute = other: other.system == final.system;
    emulatorAvailable = _: true;
  };

  commonPath = [
    final.bash
    final.coreutils
    final.findutils
    final.diffutils
    final.grep
    final.sed
    final.gawk
    final.tar
    final.gzip
    final.bzip2
    final.xz-utils
    final.patch
  ];

  # `stdenv` is an object with a script `setup`, and the functions that use it.
  environment =
    name: initialPath: cc:
    let
      object = final.writeTextDir "setup" (
        "initialPath='${toString initialPath}'\n"
        + "shell=${final.runtimeShell}\n"
        + builtins.readFile ./setup.sh
      );
      self = object // {
        inherit name initialPath;
        shell = final.runtimeShell;
        shellPackage = final.bash;
        hostPlatform = platform;
        buildPlatform = platform;
        targetPlatform = platform;
        inherit (final) system;
        isLinux = true;
        isDarwin = false;
        mkDerivation = makeDerivation self;
        override = _: self;
      }
      // (if cc == null then { } else { inherit cc; });
    in
    self;

  stdenvNoCC = environment "stdenv-no-cc" commonPath null;
  cc = import ./cc.nix final stdenvNoCC;
  stdenv = environment "stdenv" ([ cc ] ++ commonPath ++ [ final.make ]) cc;
in
{
  inherit stdenv stdenvNoCC;
  inherit (stdenv) mkDerivation;
  # Debian's packages of that name.
  gcc-unwrapped = below.gcc;
  gcc = cc;
  hostPlatform = platform;
  stdenvAdapters = { };

  # Functions that scripts get by naming these among their nativeBuildInputs.
  makeWrapper = final.writeTextFile {
    name = "make-wrapper";
    destination = "/nix-support/setup-hook";
    text = builtins.replaceStrings [ "@shell@" ] [ final.runtimeShell ] (
      builtins.readFile ./make-wrapper.sh
    );
  };
  makeBinaryWrapper = final.makeWrapper;
}
