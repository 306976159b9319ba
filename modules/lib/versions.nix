# Version numbers.
{ lib }:

rec {
  splitVersion = builtins.splitVersion;
  major = v: builtins.elemAt (splitVersion v) 0;
  minor = v: builtins.elemAt (splitVersion v) 1;
  patch = v: builtins.elemAt (splitVersion v) 2;
  majorMinor = v: lib.concatStringsSep "." (lib.take 2 (splitVersion v));
  # "1.2" for `pad 3` is "1.2.0"; what follows a dash stays.
  pad =
    n: version:
    let
      number = builtins.head (lib.splitString "-" version);
      suffix = lib.removePrefix number version;
      parts = lib.splitString "." number;
    in
    lib.concatStringsSep "." (lib.take n (parts ++ lib.genList (_: "0") n)) + suffix;
}
