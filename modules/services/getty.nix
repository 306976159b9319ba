# Logins on the machine's terminals.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    literalExpression
    mkOption
    optionals
    types
    ;
  cfg = config.services.getty;

  # `ttyS0,115200n8` is a serial port; `tty0` is whatever virtual terminal is shown, and getty takes
  # the first.
  terminal =
    console:
    let
      name = lib.head (lib.splitString "," console);
    in
    if name == "tty0" then "tty1" else name;

  isVirtual = name: builtins.match "tty[0-9]+" name != null;
  terminals = lib.unique (map terminal config.boot.consoles ++ cfg.extraTerminals);

  speed =
    name:
    let
      own = lib.findFirst (
        console: terminal console == name && lib.hasInfix "," console
      ) null config.boot.consoles;
      digits = if own == null then null else builtins.match "[^,]*,([0-9]+).*" own;
      first = if digits == null then [ ] else digits;
    in
    lib.concatStringsSep "," (lib.unique (first ++ map toString cfg.serialSpeed));

  type = name: if isVirtual name then "linux" else "vt220";

  argv =
    name:
    [
      "${pkgs.util-linux}/bin/agetty"
      "--login-program"
      cfg.loginProgram
    ]
    ++ optionals (cfg.loginOptions != null) [
      "--login-options"
      cfg.loginOptions
    ]
    ++ optionals (cfg.autologinUser != null && (!cfg.autologinOnce || name == lib.head terminals)) [
      "--autologin"
      cfg.autologinUser
    ]
    ++ cfg.extraArgs
    ++ optionals (isVirtual name) [ "--noclear" ]
    ++ optionals (!(isVirtual name)) [ "--keep-baud" ]
    ++ [ "-" ]
    ++ optionals (!(isVirtual name)) [ (speed name) ]
    ++ [ (type name) ];
in
{
  options.services.getty = {
    enable = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = "Whether people can log in on the machine's terminals.";
    };
    autologinUser = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "alice";
      description = "Who is logged in without being asked.";
    };
    autologinOnce = mkOption {
      type = types.bool;
      default = false;
      description = "Whether that is so on the first terminal alone.";
    };
    loginProgram = mkOption {
      type = types.path;
      default = "${pkgs.login}/bin/login";
      defaultText = literalExpression ''"''${pkgs.login}/bin/login"'';
      description = "The program that asks for the password.";
    };
    loginOptions = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "-p -- \\u";
      description = "Its arguments; `\\u` stands for the name that was given.";
    };
    extraArgs = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "--nohostname" ];
      description = "Further arguments of {manpage}`agetty(8)`.";
    };
    extraTerminals = mkOption {
      type = types.listOf (types.strMatching "[[:alnum:]/]+");
      default = [ ];
      example = [ "tty2" ];
      description = "Terminals beside those that the kernel writes to ({option}`boot.consoles`).";
    };
    greetingLine = mkOption {
      type = types.str;
      default = "\\e{bold}${config.system.nixos.distroName or "Cairn"}\\e{reset} on \\n (\\l)";
      defaultText = literalExpression ''"\\e{bold}Cairn\\e{reset} on \\n (\\l)"'';
      description = "What is shown before a login, in agetty's language.";
    };
    helpLine = mkOption {
      type = types.lines;
      default = "";
      example = "Log in as 'guest', without a password.";
      description = "What is shown below that.";
    };
    serialSpeed = mkOption {
      type = types.listOf types.ints.positive;
      default = [
        115200
        57600
        38400
        9600
      ];
      description = "Speeds of serial ports that are tried, in bits a second.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = lib.optional (cfg.autologinUser != null) {
      assertion = config.users.users ? ${cfg.autologinUser};
      message = "services.getty.autologinUser: there is no user '${cfg.autologinUser}' in users.users.";
    };

    environment.etc.issue.text = ''

      ${cfg.greetingLine}
      ${cfg.helpLine}
    '';

    system.services = lib.listToAttrs (
      map (
        name:
        lib.nameValuePair "getty@${lib.replaceStrings [ "/" ] [ "-" ] name}" {
          description = "Login on ${name}";
          process.argv = argv name;
          process.environment.TERM = type name;
          process.tty = "/dev/${name}";
          process.heedsSigpipe = true;
          stop.timeoutMs = 2000;
          # Whoever is logged in goes on.
          restartIfChanged = false;
          # A console that the machine does not have needs no login.
          conditions = [
            {
              kind = "path-exists";
              value = "/dev/${name}";
            }
          ];
        }
      ) terminals
    );
  };
}
