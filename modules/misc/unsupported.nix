# Options of NixOS that configurations commonly switch, for things that Cairn does not have. Off is
# accepted, since that is how it is; on is refused with the reason, which says more than that there is
# no such option.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;

  unit = "install its package, and run it as one of systemd.services";

  switches = {
    boot.enableContainers = "run containers as services of your own";
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
    programs.gnupg.agent.enableSSHSupport = "use programs.ssh.startAgent";
    programs.gnupg.agent.enable = "gpg starts its agent by itself; put gnupg into environment.systemPackages";
    programs.firefox.enable = "there is no graphical desktop";
    programs.light.enable = "install the package brightnessctl";
    programs.nix-ld.enable = "use pkgs.fhs for programs that look for libraries in /lib";
    security.apparmor.enable = null;
    security.auditd.enable = null;
    security.doas.enable = "use security.sudo";
    security.polkit.enable = "there is no D-Bus";
    security.rtkit.enable = "there is no D-Bus";
    security.sudo-rs.enable = "use security.sudo";
    security.tpm2.enable = null;
    services.acpid.enable = "the power button switches the machine off without it";
    services.avahi.enable = "there is no D-Bus";
    services.avahi.nssmdns4 = "there is no D-Bus";
    services.blueman.enable = "there is no D-Bus";
    services.dbus.enable = "there is no D-Bus";
    services.earlyoom.enable = unit;
    services.fail2ban.enable = unit;
    services.flatpak.enable = "there is no graphical desktop";
    services.fwupd.enable = "there is no D-Bus";
    services.gnome.gnome-keyring.enable = "there is no D-Bus";
    services.gvfs.enable = "there is no D-Bus";
    services.logrotate.enable = "logs of services are kept small without it";
    services.nscd.enable = "names are looked up by the C library alone";
    services.pipewire.enable = "there is no graphical desktop";
    services.postgresql.enable = unit;
    services.power-profiles-daemon.enable = "there is no D-Bus";
    services.printing.enable = unit;
    services.resolved.enable = "resolv.conf is made of networking.nameservers and of what DHCP says";
    services.smartd.enable = unit;
    services.tailscale.enable = unit;
    services.thermald.enable = unit;
    services.tlp.enable = unit;
    services.udisks2.enable = "there is no D-Bus";
    services.upower.enable = "there is no D-Bus";
    services.xserver.enable = "there is no graphical desktop";
    sound.enable = null;
    system.autoUpgrade.enable = "build the next generation with cairn";
    system.copySystemConfiguration = null;
    systemd.coredump.enable = "there is no systemd";
    systemd.oomd.enable = "set MemoryMax of services";
    virtualisation.docker.enable = null;
    virtualisation.libvirtd.enable = null;
    virtualisation.podman.enable = null;
    xdg.portal.enable = "there is no graphical desktop";
  };

  # Options with options below them, whatever these are.
  groups = {
    security.acme = "get certificates in a service of your own, with a timer, by the package certbot or lego";
    services.desktopManager = "there is no graphical desktop";
    services.displayManager = "there is no graphical desktop";
    services.logind = "there are no seats; the power button switches the machine off";
    systemd.sleep = "there is no systemd";
    virtualisation.oci-containers = "there is no container engine";
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
  allGroups = collect [ ] groups;

  option = mkOption {
    type = types.bool;
    default = false;
    visible = false;
    description = "Not supported.";
  };
  group = mkOption {
    type = types.attrsOf types.raw;
    default = { };
    visible = false;
    description = "Not supported.";
  };
in
{
  options = lib.foldl' lib.recursiveUpdate {
    boot.readOnlyNixStore = mkOption {
      type = types.bool;
      default = true;
      visible = false;
      description = "Without effect: nobody but `cairn` writes to the store.";
    };
    networking.hostId = mkOption {
      type = types.nullOr types.str;
      default = null;
      visible = false;
      description = "Without effect: it is for ZFS.";
    };
    boot.initrd.secrets = mkOption {
      type = types.attrsOf types.raw;
      default = { };
      visible = false;
      description = "Secrets in the initrd. They are not supported yet.";
    };
    # Installers write it for systems without X, too.
    services.xserver.xkb = lib.genAttrs [ "layout" "variant" "options" "model" ] (
      _:
      mkOption {
        type = types.str;
        default = "";
        visible = false;
        description = "Without effect: there is no X.";
      }
    );
  } (
    map ({ path, ... }: lib.setAttrByPath path option) all
    ++ map ({ path, ... }: lib.setAttrByPath path group) allGroups
  );

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
    ++ map (
      { path, reason }:
      {
        assertion = lib.getAttrFromPath path config == { };
        message = "${lib.concatStringsSep "." path} is not supported: ${reason}.";
      }
    ) allGroups
    ++ [
      {
        assertion = config.boot.initrd.secrets == { };
        message = "boot.initrd.secrets is not supported yet.";
      }
    ];
}
