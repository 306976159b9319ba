# Parts of the evaluation's files as sources of builds.
{ lib }:

let
  inherit (builtins) elem match;
in
rec {
  inherit (lib.filesystem) pathType pathIsDirectory pathIsRegularFile;

  cleanSourceFilter =
    name: type:
    let
      base = baseNameOf (toString name);
    in
    !(
      (
        type == "directory"
        && elem base [
          ".git"
          ".svn"
          "CVS"
          ".hg"
          ".jj"
          ".pijul"
          "_darcs"
        ]
      )
      || lib.hasSuffix "~" base
      || match "\\.sw[a-z]" base != null
      || match "\\..*\\.sw[a-z]" base != null
      || (lib.hasSuffix ".o" base || lib.hasSuffix ".so" base)
      || (type == "symlink" && lib.hasPrefix "result" base)
      || type == "unknown"
    );
  cleanSource =
    src:
    cleanSourceWith {
      filter = cleanSourceFilter;
      inherit src;
    };
  # Filters add up: what an inner one dropped stays dropped.
  cleanSourceWith =
    {
      filter ? _: _: true,
      src,
      name ? null,
    }:
    let
      isFiltered = src ? _isLibCleanSourceWith;
      origin = if isFiltered then src.origSrc else src;
      both = path: type: filter path type && (!isFiltered || src.filter path type);
      name' =
        if name != null then
          name
        else if isFiltered then
          src.name
        else
          "source";
    in
    {
      _isLibCleanSourceWith = true;
      origSrc = origin;
      filter = both;
      name = name';
      outPath = builtins.path {
        filter = both;
        path = origin;
        name = name';
      };
    };
  sourceByRegex =
    src: patterns:
    let
      origin = src.origSrc or src;
    in
    cleanSourceWith {
      inherit src;
      filter =
        path: type:
        let
          relative = lib.removePrefix (toString origin + "/") (toString path);
        in
        lib.any (pattern: match pattern relative != null) patterns;
    };
  sourceFilesBySuffices =
    src: suffixes:
    cleanSourceWith {
      inherit src;
      filter =
        name: type:
        type == "directory" || lib.any (suffix: lib.hasSuffix suffix (baseNameOf name)) suffixes;
    };
  canCleanSource = src: src ? _isLibCleanSourceWith || !(pathHasContext (toString src));
  pathHasContext = builtins.hasContext or (lib.hasPrefix builtins.storeDir);
}
