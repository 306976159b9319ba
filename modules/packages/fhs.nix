# Programs that know nothing of a store: they are run where packages lie below /usr.
final: _:
let
  # `fhs { name = "tool"; packages = [ … ]; runScript = "…"; }` gives bin/tool, which runs the
  # command in a mount namespace of its own; its arguments are appended. No privilege is needed.
  fhs =
    {
      name,
      packages ? [ ],
      runScript ? "bash",
      # Shell commands before it: variables to export.
      profile ? "",
      extraInstallCommands ? "",
      meta ? { },
      passthru ? { },
    }:
    let
      # What no program can be started without.
      base = [
        final.bash
        final.coreutils
        final.libc6
        final.findutils
        final.grep
        final.sed
      ];
      list = if builtins.isFunction packages then packages final else packages;
      view = final.symlinkJoin {
        name = "${name}-usr";
        paths = list ++ base;
      };
      # For services: `RootDirectory` of what runs where the packages are /usr.
      root = final.linkFarm "${name}-root" {
        usr = view;
        bin = "usr/bin";
        sbin = "usr/sbin";
        lib = "usr/lib";
        lib64 = "usr/lib64";
      };
      init = final.writeShellScript "${name}-init" ''
        ${profile}
        exec ${runScript} "$@"
      '';
      start = final.writeShellScriptBin name ''
        exec ${final.cairn}/bin/cairn fhs ${view} ${init} "$@"
      '';
      program =
        if extraInstallCommands == "" then
          start
        else
          final.runCommand name { } ''
            mkdir -p $out/bin
            ln -s ${start}/bin/${name} $out/bin/${name}
            ${extraInstallCommands}
          '';
    in
    program
    // passthru
    // {
      inherit meta;
      passthru = passthru // { inherit view init root; };
      inherit view init root;
    };
in
{
  inherit fhs;

  # NixOS's name, with its arguments.
  buildFHSEnv =
    {
      name ? null,
      pname ? name,
      targetPkgs ? _: [ ],
      multiPkgs ? _: [ ],
      runScript ? "bash",
      profile ? "",
      extraInstallCommands ? "",
      meta ? { },
      passthru ? { },
      ...
    }:
    fhs {
      name = pname;
      packages = pkgs: targetPkgs pkgs ++ (if multiPkgs == null then [ ] else multiPkgs pkgs);
      inherit
        runScript
        profile
        extraInstallCommands
        meta
        passthru
        ;
    };
  buildFHSUserEnv = final.buildFHSEnv;
}
