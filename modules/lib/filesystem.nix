# Files of the evaluation: their kinds, and lists of them.
{ lib }:

let
  inherit (builtins) attrNames pathExists readDir;
in
rec {
  pathType =
    path:
    if toString path == "/" then
      "directory"
    else if !pathExists path then
      throw "the path ${toString path} does not exist"
    else
      (readDir (dirOf path)).${baseNameOf path};
  pathIsDirectory = path: pathExists path && pathType path == "directory";
  pathIsRegularFile = path: pathExists path && pathType path == "regular";
  listFilesRecursive =
    dir:
    lib.concatMap (
      name:
      let
        path = dir + "/${name}";
      in
      if (readDir dir).${name} == "directory" then listFilesRecursive path else [ path ]
    ) (attrNames (readDir dir));
}
