# Small derivations: commands, trees of links.
final: _:
let
  inherit (builtins)
    isAttrs
    isList
    listToAttrs
    removeAttrs
    toJSON
    ;

  runWith =
    stdenv: name: env: command:
    stdenv.mkDerivation (
      {
        inherit name;
        buildCommand = command;
        passAsFile = [ "buildCommand" ] ++ (env.passAsFile or [ ]);
      }
      // removeAttrs env [ "passAsFile" ]
    );

  named =
    attributes:
    attributes.name or (
      if attributes ? pname then "${attributes.pname}-${attributes.version}" else throw "a name is needed"
    );

  finish =
    attributes: object:
    object
    // (attributes.passthru or { })
    // {
      meta = attributes.meta or { };
      passthru = attributes.passthru or { };
    };

  # A tree of links, and what a command makes of it.
  linkTree =
    attributes: variables:
    let
      tree = final.build "link-tree" ({ name = named attributes; } // variables);
      command = attributes.postBuild or "";
      changed = final.runCommand (named attributes) (
        {
          inherit tree;
          nativeBuildInputs = attributes.nativeBuildInputs or [ ];
          buildInputs = attributes.buildInputs or [ ];
        }
      ) ''
        unfoldLinkTree "$tree" "$out"
        ${command}
      '';
    in
    finish attributes (if command == "" then tree else changed);

  flattened = paths: builtins.concatMap (path: if isList path then flattened path else [ path ]) paths;
in
{
  # `runCommand name env command`: `command` is a text for bash; it has to make `$out`.
  runCommand = runWith final.stdenvNoCC;
  runCommandNoCC = runWith final.stdenvNoCC;
  runCommandLocal = runWith final.stdenvNoCC;
  runCommandCC = runWith final.stdenv;
  runCommandWith =
    {
      name,
      stdenv ? final.stdenv,
      derivationArgs ? { },
      ...
    }:
    runWith stdenv name derivationArgs;

  # All files of `paths` in one tree of links; the first that has a file wins.
  symlinkJoin =
    { paths, ... }@attributes:
    linkTree attributes { paths = flattened paths; };

  # As symlinkJoin, but for the folders `pathsToLink` alone, and two different files of one name are
  # an error.
  buildEnv =
    {
      paths,
      pathsToLink ? [ "/" ],
      extraPrefix ? "",
      ignoreCollisions ? false,
      ...
    }@attributes:
    linkTree attributes (
      {
        paths = flattened paths;
        inherit pathsToLink extraPrefix;
      }
      // (if ignoreCollisions then { } else { refuseCollisions = "1"; })
    );

  # A folder of links: `linkFarm "name" { "a/b" = path; }`, or a list of `{ name; path; }`.
  linkFarm =
    name: entries:
    let
      set =
        if isAttrs entries then
          entries
        else
          listToAttrs (
            map (entry: {
              inherit (entry) name;
              value = entry.path;
            }) entries
          );
    in
    final.build "link-farm" {
      inherit name;
      entries = toJSON (builtins.mapAttrs (_: path: "${path}") set);
    };

  linkFarmFromDrvs =
    name: derivations:
    final.linkFarm name (
      map (path: {
        inherit (path) name;
        inherit path;
      }) derivations
    );

  # `store-paths`: all that `rootPaths` need of the store, an object on each line.
  closureInfo =
    {
      rootPaths,
      name ? "closure-info",
    }:
    final.build "closure" {
      inherit name;
      rootPaths = map toString rootPaths;
    };

  # The contents of `files`, one after the other.
  concatText = name: files: final.concatTextFile { inherit name files; };
  concatTextFile =
    {
      name,
      files,
      executable ? false,
      destination ? "",
      meta ? { },
      passthru ? { },
      ...
    }:
    final.runCommand name
      {
        inherit
          files
          destination
          meta
          passthru
          ;
        executable = if executable then "1" else "";
      }
      ''
        target=$out$destination
        mkdir -p "$(dirname "$target")"
        cat $files > "$target"
        if [ -n "$executable" ]; then chmod +x "$target"; fi
      '';

  emptyFile = final.writeText "empty-file" "";
  emptyDirectory = final.runCommand "empty-directory" { } "mkdir $out";
}
