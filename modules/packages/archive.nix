# Debian's packages by their names. Those of the lock are derivations that import them; the others
# of the archive's index are known by name and version alone, until cairn locks them.
{ facts }:
final: _:
let
  inherit (builtins)
    concatMap
    concatStringsSep
    elemAt
    filter
    fromJSON
    genList
    genericClosure
    length
    mapAttrs
    match
    readFile
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

  # One object for each group of packages; an object's inputs are at lower places.
  objects = genList (place: import_ (elemAt facts.groups place)) (length facts.groups);

  import_ =
    group:
    derivation {
      inherit system;
      inherit (group) name;
      builder = "builtin:debian-import";
      formatVersion = formats."builtin:debian-import";
      debs = concatStringsSep " " (map (name: (fetch name).outPath) group.debs);
      inputs = concatStringsSep " " (map (place: (elemAt objects place).outPath) group.inputs);
    };

  # That a package's path is asked for is what puts it into the lock: with `record`, cairn reads
  # these lines. Asking for a name or a version alone is not noted.
  note = if facts.record or false then name: builtins.trace "cairn: package ${name}" else _: value: value;

  # Several packages may lie in one object; each is a value of its own.
  package =
    name: version: object: dependencies: meta:
    let
      self = object // {
        pname = name;
        inherit version;
        outPath = note name object.outPath;
        drvPath = note name object.drvPath;
        out = self;
        all = [ self ];
        inherit meta;
        # Debian's packages that this one depends on, by name.
        inherit dependencies;
        # The object itself: naming its path is not noted.
        passthru = { inherit dependencies object; };
        override = _: self;
        overrideAttrs = _: throw "pkgs.${name} is a binary package of Debian: it has no attributes to override";
      };
    in
    self;

  locked =
    name: record:
    package name record.version (elemAt objects record.group) record.dependencies (
      meta name record.version record.description record.homepage
    );

  # Stands for a package until it is locked. Nobody ever builds it.
  unlocked =
    name: version:
    package name version
      (derivation {
        inherit name system;
        builder = "builtin:unlocked";
      })
      [ ]
      (meta name version null null);

  meta =
    name: version: description: homepage:
    {
      name = "${name}-${version}";
      description = if description == null then descriptions.${name} or name else description;
      platforms = [ system ];
      outputsToInstall = [ "out" ];
      available = true;
      broken = false;
      unfree = false;
      insecure = false;
    }
    // (if homepage == null then { } else { inherit homepage; });

  # Both are files of their own: descriptions are large, and seldom asked for.
  index = file: if file == null then { } else fromJSON (readFile (/. + file));
  names = index (facts.names or null);
  descriptions = index (facts.descriptions or null);

  isDevelopment = name: match ".*-dev" name != null;
  isLibrary = name: match "lib.*" name != null && !isDevelopment name;
in
mapAttrs unlocked names
// mapAttrs locked facts.packages
// {
  # The paths of what a compiler needs besides the packages called `names`, as far as they are
  # locked: packages with headers that they depend on, and the libraries of all of them. Not noted:
  # they are in the lock because the others are.
  developmentPathsOf =
    names:
    let
      items = map (key: { inherit key; });
      dependencies = name: facts.packages.${name}.dependencies or [ ];
      development = map (item: item.key) (genericClosure {
        startSet = items names;
        operator = item: items (filter isDevelopment (dependencies item.key));
      });
      libraries = filter isLibrary (concatMap dependencies (filter isDevelopment development));
      lockedOnly = filter (item: facts.packages ? ${item.key}) (genericClosure {
        startSet = items (development ++ libraries);
        operator = _: [ ];
      });
    in
    map (item: (elemAt objects facts.packages.${item.key}.group).outPath) lockedOnly;
}
