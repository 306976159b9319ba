# zsh. Debian's reads its files in /etc/zsh, and looks for its modules and functions below /usr unless
# the first of them says otherwise.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    literalExpression
    mkIf
    mkOption
    optionalString
    types
    ;
  cfg = config.programs.zsh;
  environment = config.environment;

  lines =
    description:
    mkOption {
      type = types.lines;
      default = "";
      inherit description;
    };
  flag =
    default: description:
    mkOption {
      type = types.bool;
      inherit default description;
    };

  release = builtins.head (builtins.match "([0-9.]+).*" cfg.package.version);
  aliases = lib.concatStrings (
    lib.mapAttrsToList (name: value: "alias -- ${name}=${lib.escapeShellArg value}\n") (
      lib.filterAttrs (_: value: value != null) (environment.shellAliases // cfg.shellAliases)
    )
  );
in
{
  options.programs.zsh = {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether zsh is there, and set up for logins.";
    };
    package = mkOption {
      type = types.package;
      default = pkgs.zsh;
      defaultText = literalExpression "pkgs.zsh";
      description = "The package with zsh.";
    };
    shellAliases = mkOption {
      type = types.attrsOf (types.nullOr types.str);
      default = { };
      example = {
        gs = "git status";
      };
      description = "Aliases of zsh alone, beside {option}`environment.shellAliases`.";
    };
    shellInit = lines "Commands of every zsh.";
    loginShellInit = lines "Commands of every zsh that is a login shell.";
    interactiveShellInit = lines "Commands of every interactive zsh.";
    promptInit = mkOption {
      type = types.lines;
      default = "PROMPT='%B%F{green}[%n@%m:%~]%(!.#.$)%f%b '";
      description = "Commands that set the prompt.";
    };
    histSize = mkOption {
      type = types.ints.unsigned;
      default = 2000;
      description = "How many commands are remembered.";
    };
    histFile = mkOption {
      type = types.str;
      default = "$HOME/.zsh_history";
      description = "Where they are remembered.";
    };
    setOptions = mkOption {
      type = types.listOf types.str;
      default = [
        "HIST_IGNORE_DUPS"
        "SHARE_HISTORY"
        "HIST_FCNTL_LOCK"
      ];
      example = [ "NO_BEEP" ];
      description = "Options of {manpage}`zshoptions(1)`.";
    };
    enableCompletion = flag true "Whether the tab key completes arguments of commands.";
    autosuggestions.enable = flag false "Whether what was typed before is suggested.";
    syntaxHighlighting.enable = flag false "Whether what is typed is coloured by what it means.";
  };

  config = mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];
    environment.shells = [ "/run/current-system/sw/bin/zsh" ];

    # zsh reads it before anything else, for every shell.
    environment.etc."zsh/zshenv".text = ''
      module_path=(${cfg.package}/lib/x86_64-linux-gnu/zsh/${release})
      fpath=(
        /run/current-system/sw/share/zsh/{site-functions,vendor-functions,vendor-completions}(N-/)
        ${cfg.package}/share/zsh/functions/**/*(N-/)
        $fpath
      )
      if [ -z "''${__CAIRN_ENVIRONMENT_SET-}" ]; then . /etc/set-environment; fi
      ${environment.shellInit}
      ${cfg.shellInit}
    '';
    environment.etc."zsh/zprofile".text = ''
      ${environment.loginShellInit}
      ${cfg.loginShellInit}
    '';
    environment.etc."zsh/zshrc".text = ''
      HISTSIZE=${toString cfg.histSize}
      SAVEHIST=${toString cfg.histSize}
      HISTFILE=${cfg.histFile}
      ${optionalString (cfg.setOptions != [ ]) "setopt ${lib.concatStringsSep " " cfg.setOptions}"}
      bindkey -e
      ${optionalString cfg.enableCompletion "autoload -U compinit && compinit"}
      ${environment.interactiveShellInit}
      ${cfg.interactiveShellInit}
      ${cfg.promptInit}
      ${aliases}
      ${optionalString cfg.autosuggestions.enable ". ${pkgs.zsh-autosuggestions}/share/zsh-autosuggestions/zsh-autosuggestions.zsh"}
      ${optionalString cfg.syntaxHighlighting.enable ". ${pkgs.zsh-syntax-highlighting}/share/zsh-syntax-highlighting/zsh-syntax-highlighting.zsh"}
    '';
  };
}
