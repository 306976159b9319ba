# Paths of the evaluation, and relative paths as strings.
{ lib }:

let
  inherit (builtins)
    filter
    isPath
    isString
    match
    ;

  reason =
    value:
    if !isString value then
      "it is ${lib.diagnostics.kindOf value}"
    else if value == "" then
      "it is empty"
    else if builtins.substring 0 1 value == "/" then
      "it is absolute"
    else if match "(.*/)?\\.\\.(/.*)?" value != null then
      "it has a `..'"
    else
      null;
in
rec {
  append =
    path: subpath:
    if !isPath path then
      throw "lib.path.append: the first argument has to be a path, but is ${lib.diagnostics.kindOf path}"
    else if reason subpath != null then
      throw "lib.path.append: the second argument has to be a relative path in a string, but ${reason subpath}"
    else
      path + ("/" + subpath);
  hasPrefix =
    prefix: path:
    prefix == path || lib.hasPrefix (toString prefix + "/") (toString path) || toString prefix == "/";
  removePrefix =
    prefix: path:
    if hasPrefix prefix path then
      subpath.normalise ("./" + lib.removePrefix (toString prefix) (toString path))
    else
      throw "lib.path.removePrefix: ${toString prefix} is not a prefix of ${toString path}";
  subpath = {
    isValid = value: reason value == null;
    normalise =
      value:
      if reason value != null then
        throw "lib.path.subpath.normalise: not a relative path: ${reason value}"
      else
        "./" + lib.concatStringsSep "/" (subpath.components value);
    components =
      value: filter (part: isString part && part != "" && part != ".") (builtins.split "/" value);
    join = parts: subpath.normalise (lib.concatStringsSep "/" ([ "." ] ++ parts));
  };
}
