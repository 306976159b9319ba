# Where the machine itself gets packages from: its apt configuration, which `cairn` reads as it does
# on any host.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.system.archive;

  # Written as apt wants it: with the keys that may sign.
  entry = uri: suite: "deb [signed-by=${cfg.keyring}] ${uri} ${suite} main\n";
in
{
  options.system.archive = {
    enable = mkOption {
      type = types.bool;
      default = true;
      description = ''
        Whether the machine knows where packages come from, so that `cairn switch` can take in new
        ones and `cairn switch --upgrade` newer ones. Without it, a machine changes itself with the
        packages that it has.
      '';
    };

    mirror = mkOption {
      type = types.str;
      default = "http://deb.debian.org/debian";
      example = "http://ftp.de.debian.org/debian";
      description = "The mirror of Debian's archive. What comes from it is verified.";
    };

    securityMirror = mkOption {
      type = types.str;
      default = "http://deb.debian.org/debian-security";
      description = "The mirror of Debian's security updates.";
    };

    codename = mkOption {
      type = types.str;
      default = pkgs.cairnFacts.codename;
      defaultText = lib.literalMD "the release that the lock file is of";
      example = "bookworm";
      description = "Debian's release.";
    };

    keyring = mkOption {
      type = types.str;
      default = "${pkgs.debian-archive-keyring}/share/keyrings/debian-archive-keyring.gpg";
      defaultText = lib.literalExpression ''"''${pkgs.debian-archive-keyring}/share/keyrings/debian-archive-keyring.gpg"'';
      description = "The keys that may sign the archive.";
    };
  };

  config = lib.mkIf cfg.enable {
    # Verifies signatures.
    environment.systemPackages = [ pkgs.gpgv ];

    environment.etc."apt/sources.list".text =
      entry cfg.mirror cfg.codename
      + entry cfg.mirror "${cfg.codename}-updates"
      + entry cfg.securityMirror "${cfg.codename}-security";
  };
}
