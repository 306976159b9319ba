# Options of NixOS that configurations commonly switch, for things that Cairn does not have. Off is
# accepted, since that is how it is; on is refused with the reason, which says more than that there is
# no such option.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;

  switches = {
    boot.initrd.network.enable = "the initrd has no network";
    boot.initrd.systemd.enable = "the initrd has an init of its own, which needs no systemd";
    boot.loader.grub.enableCryptodisk = "GRUB reads no encrypted disk yet";
    boot.loader.grub.zfsSupport = null;
    boot.plymouth.enable = "there is no splash screen";
    environment.enableAllTerminfo = "install the package ncurses-term";
    environment.stub-ld.enable = null;
    hardware.alsa.enable = null;
    hardware.bluetooth.enable = null;
    hardware.graphics.enable = "there is no graphical desktop";
    hardware.opengl.enable = "there is no graphical desktop";
    hardware.pulseaudio.enable = null;
    programs.dconf.enable = "there is no graphical desktop";
    programs.gnupg.agent.enable = "there are no services of users; start gpg-agent from the shell";
    programs.nix-ld.enable = "use pkgs.fhs for programs that look for libraries in /lib";
    programs.ssh.startAgent = "there are no services of users; start ssh-agent from the shell";
    security.apparmor.enable = null;
    security.auditd.enable = null;
    security.doas.enable = "use security.sudo";
    security.polkit.enable = "there is no D-Bus";
    security.rtkit.enable = "there is no D-Bus";
    security.sudo-rs.enable = "use security.sudo";
    security.tpm2.enable = null;
    sound.enable = null;
    system.autoUpgrade.enable = "build the next generation with cairn";
    system.copySystemConfiguration = null;
    systemd.coredump.enable = "there is no systemd";
    virtualisation.docker.enable = null;
    virtualisation.libvirtd.enable = null;
    virtualisation.podman.enable = null;
    xdg.portal.enable = "there is no graphical desktop";
    zramSwap.enable = null;
  };

  isReason = value: value == null || builtins.isString value;

  # `{ path, reason }` of each.
  collect =
    path: value:
    if isReason value then
      [
        {
          inherit path;
          reason = value;
        }
      ]
    else
      lib.concatLists (lib.mapAttrsToList (name: collect (path ++ [ name ])) value);
  all = collect [ ] switches;

  option = mkOption {
    type = types.bool;
    default = false;
    visible = false;
    description = "Not supported.";
  };
in
{
  options = lib.foldl' lib.recursiveUpdate {
    boot.initrd.secrets = mkOption {
      type = types.attrsOf types.raw;
      default = { };
      visible = false;
      description = "Secrets in the initrd. They are not supported yet.";
    };
  } (map ({ path, ... }: lib.setAttrByPath path option) all);

  config.assertions =
    map (
      { path, reason }:
      {
        assertion = !(lib.getAttrFromPath path config);
        message =
          "${lib.concatStringsSep "." path} is not supported"
          + lib.optionalString (reason != null) ": ${reason}"
          + ".";
      }
    ) all
    ++ [
      {
        assertion = config.boot.initrd.secrets == { };
        message = "boot.initrd.secrets is not supported yet.";
      }
    ];
}
