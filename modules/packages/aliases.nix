# NixOS's names for Debian's packages, and packages that belong together.
final: below:
let
  names = import ./names.nix;

  # An alias follows what overlays do to the package; an alias of the same name must not.
  target = name: if names ? ${name} then below.${name} else final.${name};

  alias =
    name: meaning:
    if builtins.isList meaning then together name (map target meaning) else target meaning;

  # Packages of one source are one object already.
  together =
    name: packages:
    let
      first = builtins.head packages;
      paths = map (package: package.outPath) packages;
      object =
        if builtins.all (path: path == first.outPath) paths then
          first
        else
          final.build "link-tree" {
            name = "${name}-${first.version}";
            inherit paths;
          };
      # The paths of all are asked for, so that all of them are locked.
      whole = value: builtins.seq (builtins.deepSeq paths object) value;
      self = first // {
        pname = name;
        name = whole object.name;
        outPath = whole object.outPath;
        drvPath = whole object.drvPath;
        out = self;
        all = [ self ];
      };
    in
    self;
in
builtins.mapAttrs alias names
