# Bash, the shell of logins.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.programs.bash;
  environment = config.environment;

  aliases = lib.concatStrings (
    lib.mapAttrsToList (name: value: "alias -- ${name}=${lib.escapeShellArg value}\n") (
      lib.filterAttrs (_: value: value != null) (environment.shellAliases // cfg.shellAliases)
    )
  );

  lines =
    description:
    mkOption {
      type = types.lines;
      default = "";
      inherit description;
    };
in
{
  options.programs.bash = {
    enable = mkOption {
      type = types.bool;
      default = true;
      description = "Whether {file}`/etc/profile` and {file}`/etc/bashrc` are there for bash.";
    };
    shellAliases = mkOption {
      type = types.attrsOf (types.nullOr types.str);
      default = { };
      example = {
        gs = "git status";
      };
      description = "Aliases of bash alone, beside {option}`environment.shellAliases`.";
    };
    shellInit = lines "Commands of every bash.";
    loginShellInit = lines "Commands of every bash that is a login shell.";
    interactiveShellInit = lines "Commands of every interactive bash.";
    logout = lines "Commands of every login bash that ends, {file}`/etc/bash_logout`.";
    promptInit = mkOption {
      type = types.lines;
      default = ''
        if [ "$TERM" != dumb ]; then
          PS1='\[\e[1;32m\][\u@\h:\w]\$\[\e[0m\] '
        fi
      '';
      description = "Commands that set the prompt.";
    };
    completion.enable = mkOption {
      type = types.bool;
      default = false;
      description = "Whether the tab key completes arguments of commands, with `bash-completion`.";
    };
  };

  imports = [
    (lib.mkRenamedOptionModule
      [ "programs" "bash" "enableCompletion" ]
      [ "programs" "bash" "completion" "enable" ]
    )
  ];

  config = lib.mkIf cfg.enable {
    environment.systemPackages = lib.mkIf cfg.completion.enable [ config.nixpkgs.pkgs.bash-completion ];

    environment.etc.profile.text = ''
      # What a login shell starts with.
      if [ -n "''${__CAIRN_PROFILE_SOURCED-}" ]; then return; fi
      __CAIRN_PROFILE_SOURCED=1
      if [ -z "''${__CAIRN_ENVIRONMENT_SET-}" ]; then . /etc/set-environment; fi
      ${environment.shellInit}
      ${cfg.shellInit}
      ${environment.loginShellInit}
      ${cfg.loginShellInit}
      if [ -r /etc/profile.local ]; then . /etc/profile.local; fi
      if [ -n "''${BASH_VERSION-}" ] && [ -r /etc/bashrc ]; then . /etc/bashrc; fi
    '';

    environment.etc.bashrc.text = ''
      # What an interactive bash starts with.
      if [ -n "''${__CAIRN_BASHRC_SOURCED-}" ]; then return; fi
      __CAIRN_BASHRC_SOURCED=1
      if [ -z "''${__CAIRN_ENVIRONMENT_SET-}" ]; then . /etc/set-environment; fi
      if [ -z "''${__CAIRN_PROFILE_SOURCED-}" ]; then
        :
        ${environment.shellInit}
        ${cfg.shellInit}
      fi
      case $- in
        *i*)
          shopt -s checkwinsize
          ${cfg.promptInit}
          ${aliases}
          ${lib.optionalString cfg.completion.enable ''
            if [ -r /run/current-system/sw/share/bash-completion/bash_completion ]; then
              . /run/current-system/sw/share/bash-completion/bash_completion
            fi
          ''}
          ${environment.interactiveShellInit}
          ${cfg.interactiveShellInit}
          ;;
      esac
      if [ -r /etc/bashrc.local ]; then . /etc/bashrc.local; fi
    '';

    # Where Debian's bash looks when it is interactive, but no login shell.
    environment.etc."bash.bashrc".source = config.environment.etc.bashrc.source;

    environment.etc.bash_logout = lib.mkIf (cfg.logout != "") { text = cfg.logout; };
  };
}
