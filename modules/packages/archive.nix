# Debian's packages by their names: those of the lock as derivations that import them.
{ facts }:
final: _:
let
  inherit (builtins)
    concatStringsSep
    elemAt
    genList
    length
    mapAttrs
    ;
  inherit (facts) system formats;

  fetch =
    name:
    let
      package = facts.packages.${name};
    in
    derivation {
      inherit system;
      name = package.file;
      builder = "builtin:fetch-deb";
      package = name;
      outputHash = package.sha256;
      outputHashAlgo = "sha256";
      outputHashMode = "flat";
    };

  # One object for each group; an object's inputs are at lower places.
  objects = genList (index: import_ (elemAt facts.groups index)) (length facts.groups);

  import_ =
    group:
    derivation {
      inherit system;
      inherit (group) name;
      builder = "builtin:debian-import";
      formatVersion = formats."builtin:debian-import";
      debs = concatStringsSep " " (map (name: (fetch name).outPath) group.debs);
      inputs = concatStringsSep " " (map (index: (elemAt objects index).outPath) group.inputs);
    };

  # Several packages may lie in the same object; each is a value of its own.
  locked =
    name: package:
    let
      object = elemAt objects package.group;
      self = object // {
        pname = name;
        inherit (package) version;
        out = self;
        all = [ self ];
        meta = {
          name = "${name}-${package.version}";
          description = package.description or "";
          homepage = package.homepage or "";
          platforms = [ system ];
          outputsToInstall = [ "out" ];
          available = true;
          broken = false;
        };
        passthru = {
          # The Debian packages that this one depends on directly, by name.
          inherit (package) dependencies;
        };
      };
    in
    self;
in
mapAttrs locked facts.packages
