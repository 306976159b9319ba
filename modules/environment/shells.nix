# What a login and a shell begin with: variables, aliases, shells.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    literalExpression
    mkDefault
    mkOption
    types
    ;
  cfg = config.environment;

  scalar = types.oneOf [
    types.str
    types.path
    types.int
    types.float
  ];
  variables = types.attrsOf (types.nullOr (types.either (types.listOf scalar) scalar));
  # A list is a search path.
  joined =
    value: if builtins.isList value then lib.concatMapStringsSep ":" toString value else toString value;
  withoutNull = lib.filterAttrs (_: value: value != null);
  joinAll = set: lib.mapAttrs (_: joined) (withoutNull set);

  inProfiles =
    profiles: suffixes: lib.concatMap (profile: map (suffix: "${profile}${suffix}") suffixes) profiles;

  # PATH and its kin, for shells: $USER is known there.
  relative = lib.mapAttrs (_: inProfiles cfg.profiles) cfg.profileRelativeEnvVars;
  relativeOfSession = lib.mapAttrs (_: inProfiles cfg.profiles) cfg.profileRelativeSessionVariables;

  withWrappers = set: set // { PATH = [ config.security.wrapperDir ] ++ (set.PATH or [ ]); };

  # The variables of PAM come first, so that a shell's own may build on them.
  all = joinAll (cfg.sessionVariables // cfg.variables);
  searchPaths = lib.mapAttrs (_: joined) (
    withWrappers (
      builtins.zipAttrsWith (_: lib.concatLists) [
        relative
        relativeOfSession
      ]
    )
  );

  # Double quotes, so that a value may name other variables, as `$HOME/bin` does.
  export =
    name: value:
    ''export ${name}="${lib.replaceStrings [ "\\" "\"" "`" ] [ "\\\\" "\\\"" "\\`" ] value}"'';
  setEnvironment = ''
    # The environment of every shell.
    export __CAIRN_ENVIRONMENT_SET=1
    ${lib.concatStringsSep "\n" (lib.mapAttrsToList export searchPaths)}
    ${lib.concatStringsSep "\n" (
      lib.mapAttrsToList export (removeAttrs all (lib.attrNames searchPaths))
    )}
    ${lib.optionalString cfg.homeBinInPath ''export PATH="$HOME/bin:$PATH"''}
    ${lib.optionalString cfg.localBinInPath ''export PATH="$HOME/.local/bin:$PATH"''}
    ${cfg.extraInit}
  '';

  # pam_env.conf(5) has names of its own for the two variables that a value may begin with.
  pamValue =
    value:
    lib.replaceStrings
      [ "\${HOME}" "$HOME" "\${USER}" "$USER" ]
      [
        "@{HOME}"
        "@{HOME}"
        "@{PAM_USER}"
        "@{PAM_USER}"
      ]
      value;
  pamLine = name: value: "${name} DEFAULT=\"${pamValue value}\"\n";
  pamEnvironment = lib.concatStrings (
    lib.mapAttrsToList pamLine (
      (lib.mapAttrs (_: joined) (withWrappers relativeOfSession)) // joinAll cfg.sessionVariables
    )
  );

  shellPath =
    shell:
    if !(lib.isDerivation shell) then
      toString shell
    else
      "/run/current-system/sw${shell.shellPath or "/bin/${shell.meta.mainProgram or shell.pname}"}";
in
{
  imports = [
    (lib.mkRenamedOptionModule [ "environment" "promptInit" ] [ "programs" "bash" "promptInit" ])
  ];

  options = {
    environment.variables = mkOption {
      type = variables;
      default = { };
      example = {
        EDITOR = "vim";
        VISUAL = "vim";
      };
      description = ''
        Environment variables of every shell. A list is joined with colons; `null` unsets nothing and
        sets nothing. A value may name others, such as `$HOME`.
      '';
    };

    environment.sessionVariables = mkOption {
      type = variables;
      default = { };
      example = {
        LANG = "C.UTF-8";
      };
      description = ''
        Environment variables that PAM gives to every session, whatever program it begins with, and that
        shells have too. Of other variables, only `$HOME` and `$USER` are known in them.
      '';
    };

    environment.profiles = mkOption {
      type = types.listOf types.str;
      default = [ ];
      internal = true;
      description = "Trees of packages in which programs are looked for.";
    };

    environment.profileRelativeEnvVars = mkOption {
      type = types.attrsOf (types.listOf types.str);
      default = { };
      example = {
        MANPATH = [
          "/man"
          "/share/man"
        ];
      };
      description = ''
        Search paths of every shell: for each variable, folders in each of the trees of packages.
      '';
    };

    environment.profileRelativeSessionVariables = mkOption {
      type = types.attrsOf (types.listOf types.str);
      default = { };
      example = {
        PATH = [ "/bin" ];
      };
      description = ''
        Search paths of every session: for each variable, folders in each of the trees of packages.
      '';
    };

    environment.shellInit = mkOption {
      type = types.lines;
      default = "";
      description = "Commands of every shell, before those of a login or an interactive one.";
    };

    environment.loginShellInit = mkOption {
      type = types.lines;
      default = "";
      description = "Commands of every login shell.";
    };

    environment.interactiveShellInit = mkOption {
      type = types.lines;
      default = "";
      description = "Commands of every interactive shell.";
    };

    environment.extraInit = mkOption {
      type = types.lines;
      default = "";
      internal = true;
      description = "Commands after the environment variables are set.";
    };

    environment.shellAliases = mkOption {
      type = types.attrsOf (types.nullOr types.str);
      default = { };
      example = {
        ll = "ls -l";
        ls = null;
      };
      description = ''
        Aliases of every interactive shell. `null` takes away one that a module has made.
      '';
    };

    environment.shells = mkOption {
      type = types.listOf (types.either types.path types.package);
      default = [ ];
      example = literalExpression "[ pkgs.zsh ]";
      description = ''
        Shells that users may choose with `chsh`, {file}`/etc/shells`.
      '';
    };

    environment.homeBinInPath = mkOption {
      type = types.bool;
      default = false;
      description = "Whether {file}`~/bin` is the first place where programs are looked for.";
    };

    environment.localBinInPath = mkOption {
      type = types.bool;
      default = false;
      description = "Whether {file}`~/.local/bin` is the first place where programs are looked for.";
    };

    system.build.setEnvironment = mkOption {
      type = types.raw;
      internal = true;
      readOnly = true;
      description = "The script that sets the environment of shells.";
    };

    system.build.pamEnvironment = mkOption {
      type = types.str;
      internal = true;
      readOnly = true;
      description = "What {file}`/etc/security/pam_env.conf` holds.";
    };
  };

  config = {
    environment.profiles = lib.mkAfter [
      "/etc/profiles/per-user/$USER"
      "/run/current-system/sw"
    ];

    environment.profileRelativeSessionVariables = {
      PATH = [ "/bin" ];
      TERMINFO_DIRS = [
        "/lib/terminfo"
        "/share/terminfo"
      ];
      XDG_DATA_DIRS = [ "/share" ];
    };

    environment.sessionVariables = {
      LANG = mkDefault "C.UTF-8";
      LOCPATH = mkDefault "/run/current-system/sw/lib/locale";
      SSL_CERT_FILE = mkDefault "/etc/ssl/certs/ca-certificates.crt";
    };

    environment.shells = [
      "/bin/sh"
      "/run/current-system/sw/bin/bash"
    ];

    environment.shellAliases = lib.mapAttrs (_: mkDefault) {
      ls = "ls --color=tty";
      ll = "ls -l";
      l = "ls -alh";
    };

    environment.etc = {
      set-environment.source = config.system.build.setEnvironment;
      "security/pam_env.conf".text = config.system.build.pamEnvironment;
      shells.text = lib.concatMapStrings (shell: "${shell}\n") (lib.unique (map shellPath cfg.shells));
    };

    system.build.setEnvironment = pkgs.writeText "set-environment" setEnvironment;
    system.build.pamEnvironment = pamEnvironment;
  };
}
