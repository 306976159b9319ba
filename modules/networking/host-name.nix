# The host's name.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.networking;
in
{
  options.networking = {
    hostName = mkOption {
      type = types.strMatching "[[:alnum:]]([[:alnum:]-]{0,61}[[:alnum:]])?";
      default = config.system.nixos.distroId;
      defaultText = lib.literalExpression "config.system.nixos.distroId";
      example = "web";
      description = ''
        The host's name, of one label: 1 to 63 letters, digits and hyphens.
      '';
    };
    domain = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "example.org";
      description = "The domain that the host's name is in.";
    };
    fqdn = mkOption {
      type = types.str;
      default = if cfg.domain == null then cfg.hostName else "${cfg.hostName}.${cfg.domain}";
      defaultText = lib.literalExpression ''"''${networking.hostName}.''${networking.domain}"'';
      description = "The host's name with its domain.";
    };
  };

  config = {
    system.description.hostName = cfg.hostName;
    environment.etc.hostname.text = "${cfg.hostName}\n";
  };
}
