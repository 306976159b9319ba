# Names, rights and properties of devices, by rules.
#
# Source: udev(7) for the language of the rules; the device manager is Cairn's own.
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
    types
    ;
  cfg = config.services.udev;

  # The rules that every machine has, in the order of their names among those of packages.
  files = lib.filterAttrs (name: _: lib.hasSuffix ".rules" name) (builtins.readDir ./rules);
  own =
    lib.mapAttrs (name: _: builtins.readFile (./rules + "/${name}")) files
    // lib.optionalAttrs (cfg.extraRules != "") { "99-local.rules" = cfg.extraRules; };

  rules = pkgs.build "udev-rules" {
    name = "udev-rules";
    files = builtins.toJSON own;
    packages = cfg.packages;
  };

  # Rules of others may name interfaces.
  mayRename = cfg.extraRules != "" || cfg.packages != [ ];
in
{
  options.services.udev = {
    enable = mkOption {
      type = types.bool;
      default = !config.boot.isContainer;
      defaultText = literalExpression "!config.boot.isContainer";
      example = false;
      description = ''
        Whether devices get names below {file}`/dev/disk` and its kin, groups that may use them, and
        what {option}`services.udev.extraRules` say. Without it there are the kernel's nodes, for root.
        Drivers are loaded in either case.
      '';
    };
    extraRules = mkOption {
      type = types.lines;
      default = "";
      example = ''
        SUBSYSTEM=="tty", ATTRS{idVendor}=="0403", SYMLINK+="modem", GROUP="dialout"
        SUBSYSTEM=="net", ATTR{address}=="52:54:00:12:34:56", NAME="lan0"
      '';
      description = ''
        Rules ({manpage}`udev(7)`), which come after all others. A fault in them is found when the
        system is built.
      '';
    };
    packages = mkOption {
      type = types.listOf types.package;
      default = [ ];
      example = literalExpression "[ pkgs.libmtp-common ]";
      description = ''
        Packages that bring rules along, in {file}`lib/udev/rules.d` or {file}`etc/udev/rules.d`.
        Programs that these name without {file}`/lib/udev` are looked for in
        {option}`services.udev.path`.
      '';
    };
    path = mkOption {
      type = types.listOf types.package;
      default = [ ];
      example = literalExpression "[ pkgs.hdparm ]";
      description = ''
        Packages whose programs rules may name without a path, beside those of
        {option}`environment.systemPackages`.
      '';
    };
    extraHwdb = mkOption {
      type = types.lines;
      default = "";
      description = "Not supported: there is no hardware database.";
    };
  };

  config = lib.mkMerge [
    {
      assertions = [
        {
          assertion = cfg.extraHwdb == "";
          message = "services.udev.extraHwdb is not supported: there is no hardware database; set properties with services.udev.extraRules (ENV{…}=\"…\").";
        }
      ];
    }
    (mkIf cfg.enable {
      environment.etc."udev/rules.d".source = rules;

      system.services.udev = {
        description = "Names and rights of devices";
        kind = "notify";
        process = {
          argv = [
            "${pkgs.cairn}/bin/cairn"
            "devices"
            "serve"
            "--rules"
            "/run/udev/rules.d"
            "--rules"
            "${rules}"
          ];
          environment.PATH = lib.concatStringsSep ":" (
            map (package: "${lib.getBin package}/bin") cfg.path
            ++ [
              "/run/wrappers/bin"
              "/run/current-system/sw/bin"
            ]
          );
        };
        # Whoever configures interfaces uses the names that they have in the end.
        before = lib.optional mayRename "network-pre.target";
      };
    })
  ];
}
