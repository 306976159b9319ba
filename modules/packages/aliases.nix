# NixOS's names for Debian's packages.
final: below: { }
