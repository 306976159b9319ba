# sudo, with Debian's program: its parts are named in sudo.conf, since it would look in /usr.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) literalExpression mkOption types;
  cfg = config.security.sudo;

  command = types.either types.str (
    types.submodule {
      options = {
        command = mkOption {
          type = types.str;
          example = "/run/current-system/sw/bin/poweroff";
          description = "A command with its whole path, and arguments if they matter; or `ALL`.";
        };
        options = mkOption {
          type = types.listOf (
            types.enum [
              "NOPASSWD"
              "PASSWD"
              "NOEXEC"
              "EXEC"
              "SETENV"
              "NOSETENV"
              "LOG_INPUT"
              "NOLOG_INPUT"
              "LOG_OUTPUT"
              "NOLOG_OUTPUT"
              "MAIL"
              "NOMAIL"
              "FOLLOW"
              "NOFOLLOW"
              "INTERCEPT"
              "NOINTERCEPT"
            ]
          );
          default = [ ];
          example = [ "NOPASSWD" ];
          description = "What holds for the command, as {manpage}`sudoers(5)` names it.";
        };
      };
    }
  );

  ruleType = types.submodule {
    options = {
      users = mkOption {
        type = types.listOf (types.either types.str types.int);
        default = [ ];
        description = "Who may: names of users, or numbers.";
      };
      groups = mkOption {
        type = types.listOf (types.either types.str types.int);
        default = [ ];
        description = "Members of which groups may.";
      };
      host = mkOption {
        type = types.str;
        default = "ALL";
        description = "On which hosts.";
      };
      runAs = mkOption {
        type = types.str;
        default = "ALL:ALL";
        example = "postgres";
        description = "As which user and group.";
      };
      commands = mkOption {
        type = types.listOf command;
        description = "Which commands.";
      };
    };
  };

  who =
    rule:
    map (user: if builtins.isInt user then "#${toString user}" else user) rule.users
    ++ map (group: if builtins.isInt group then "%#${toString group}" else "%${group}") rule.groups;
  what =
    command:
    if builtins.isString command then
      command
    else
      lib.concatMapStrings (option: "${option}:") command.options
      + lib.optionalString (command.options != [ ]) " "
      + command.command;
  ruleLine =
    rule:
    lib.optionalString (who rule != [ ] && rule.commands != [ ])
      "${lib.concatStringsSep "," (who rule)} ${rule.host}=(${rule.runAs}) ${
        lib.concatMapStringsSep ", " what rule.commands
      }\n";

  sudoers = ''
    # Who may run what as whom; see sudoers(5).
    Defaults env_reset
    Defaults secure_path="/run/wrappers/bin:/run/current-system/sw/bin"
    Defaults !lecture
    Defaults editor="/run/current-system/sw/bin/nano:/run/current-system/sw/bin/vi"
    Defaults env_keep+="LOCPATH TERMINFO_DIRS SSL_CERT_FILE"

    root ALL=(ALL:ALL) SETENV: ALL
    ${lib.concatMapStrings ruleLine cfg.extraRules}
    ${cfg.extraConfig}
  '';

  plugins = "${cfg.package}/libexec/sudo";
in
{
  options.security.sudo = {
    enable = mkOption {
      type = types.bool;
      default = true;
      description = "Whether `sudo` is there.";
    };
    package = mkOption {
      type = types.package;
      default = pkgs.sudo;
      defaultText = literalExpression "pkgs.sudo";
      description = "The package.";
    };
    wheelNeedsPassword = mkOption {
      type = types.bool;
      default = true;
      description = "Whether members of the group `wheel` are asked for their password.";
    };
    execWheelOnly = mkOption {
      type = types.bool;
      default = false;
      description = "Whether only members of the group `wheel` can start `sudo` at all.";
    };
    extraRules = mkOption {
      type = types.listOf ruleType;
      default = [ ];
      example = literalExpression ''
        [
          {
            users = [ "backup" ];
            commands = [ { command = "/run/current-system/sw/bin/tar"; options = [ "NOPASSWD" ]; } ];
          }
        ]
      '';
      description = "Who may run what; where several rules fit, the last one counts.";
    };
    extraConfig = mkOption {
      type = types.lines;
      default = "";
      example = "Defaults timestamp_timeout=30";
      description = "Further lines of {file}`/etc/sudoers`, after the rules.";
    };
    configFile = mkOption {
      type = types.lines;
      default = sudoers;
      defaultText = literalExpression "what the other options say";
      description = "The whole of {file}`/etc/sudoers`.";
    };
    keepTerminfo = mkOption {
      type = types.bool;
      default = true;
      description = "Whether commands know the terminal's description of who starts them.";
    };
  };

  config = lib.mkIf cfg.enable {
    security.sudo.extraRules = lib.mkBefore [
      {
        groups = [ "wheel" ];
        commands = [
          {
            command = "ALL";
            options = lib.optional (!cfg.wheelNeedsPassword) "NOPASSWD" ++ [ "SETENV" ];
          }
        ];
      }
    ];

    security.wrappers.sudo = {
      source = "${cfg.package}/bin/sudo";
      setuid = true;
      owner = "root";
      group = if cfg.execWheelOnly then "wheel" else "root";
      permissions = if cfg.execWheelOnly then "u+rx,g+x" else "755";
    };

    security.pam.services.sudo = { };
    # `sudo -i` and `sudo --login`.
    security.pam.services.sudo-i = { };

    environment.systemPackages = [ cfg.package ];

    environment.etc."sudo.conf".text = ''
      Plugin sudoers_policy ${plugins}/sudoers.so
      Plugin sudoers_io ${plugins}/sudoers.so
      Plugin sudoers_audit ${plugins}/sudoers.so
      Path noexec ${plugins}/sudo_noexec.so
      Path sesh ${plugins}/sesh
      Path intercept ${plugins}/sudo_intercept.so
      Path plugin_dir ${plugins}/
    '';

    # sudo refuses a file that others may write, and one that is a link is judged by its target.
    environment.etc.sudoers = {
      text = cfg.configFile;
      mode = "0440";
    };
  };
}
