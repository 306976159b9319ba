# A machine whose store is verified, started by a program that its owner has signed. Its root is in memory, or
# on the disk with `state`.
{
  agent,
  key ? "",
  privateKey,
  certificate,
  ballast,
  state ? "",
}:
{ lib, modulesPath, ... }:
{
  imports = [
    (import ./agent.nix agent)
    ./emulated.nix
    "${modulesPath}/profiles/minimal.nix"
  ];

  networking.hostName = if state == "" then "strict" else "strict-state";
  networking.useDHCP = false;
  image.verityStore.enable = true;
  boot.secureBoot = {
    privateKeyFile = privateKey;
    publicKeyFile = certificate;
  };
  fileSystems."/" =
    if state == "" then
      {
        device = "tmpfs";
        fsType = "tmpfs";
        options = [ "mode=0755" ];
      }
    else
      {
        device = "LABEL=strict-root";
        fsType = "ext4";
        autoResize = true;
      };
  boot.growPartition = state != "";
  image.freeSpace = 64;
  users.users.root.openssh.authorizedKeys.keys = lib.optional (key != "") key;
  # Something that nothing reads by itself, and that does not compress.
  environment.etc.ballast.source = builtins.path {
    name = "ballast";
    path = ballast;
  };
}
