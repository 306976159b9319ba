# What the command asks of a configuration: the way in for `cairn build` and its kin. The command
# evaluates this file, and reads what it gives as JSON.
#
# `job` is JSON:
#   configuration  the file that the user wrote
#   packages       packages.json
#   programs       name -> store path of Cairn's own programs
#   modules        more modules, each a file
#   derivations    attribute paths, as lists of names, of what is to be built
#   facts          attribute paths of data that the command needs
{ job }:
let
  inherit (builtins)
    attrNames
    concatStringsSep
    fromJSON
    getContext
    head
    isAttrs
    listToAttrs
    match
    tail
    toJSON
    unsafeDiscardStringContext
    ;

  wanted = fromJSON job;

  path = text: /. + text;

  machine = import ./. {
    configuration = {
      imports = map path ([ wanted.configuration ] ++ wanted.modules);
    };
    packages = path wanted.packages;
    inherit (wanted) programs;
  };

  show =
    names:
    concatStringsSep "." (
      map (name: if match "[a-zA-Z_][a-zA-Z0-9_'-]*" name == null then toJSON name else name) names
    );

  # The value at an attribute path.
  at =
    names:
    let
      go =
        value: rest:
        if rest == [ ] then
          value
        else if isAttrs value && value ? ${head rest} then
          go value.${head rest} (tail rest)
        else
          throw "the configuration has no '${show names}'";
    in
    go machine names;

  derivation =
    names:
    let
      value = at names;
      outputs = value.outputs or [ "out" ];
      self = unsafeDiscardStringContext;
    in
    if isAttrs value && value.type or null == "derivation" && value ? drvPath then
      {
        name = value.name or (show names);
        drv = self value.drvPath;
        output = value.outputName or "out";
        outputs = listToAttrs (
          map (output: {
            name = output;
            value = self value.${output}.outPath;
          }) outputs
        );
      }
    else
      throw "'${show names}' is not a derivation: there is nothing to build";

  # Data, and the derivations whose outputs it names.
  fact =
    names:
    let
      text = toJSON (at names);
      context = getContext text;
    in
    {
      value = unsafeDiscardStringContext text;
      derivations = builtins.filter (name: context.${name} ? outputs) (attrNames context);
    };
in
toJSON {
  derivations = map derivation wanted.derivations;
  facts = map fact wanted.facts;
}
