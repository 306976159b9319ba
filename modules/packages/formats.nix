# Formats of settings: for each a type of what can be written in it, and a way to write that to a
# file. Modules have an option `settings` of the type, and put what `generate` gives into /etc.
{ lib }:
final: _:
let
  inherit (final) writeText;
  inherit (builtins)
    all
    isAttrs
    isFloat
    isInt
    isList
    isBool
    toJSON
    ;
  inherit (lib) generators types;

  # Values made of `atoms`, lists and sets, of any depth.
  nested =
    description: atoms:
    let
      value =
        types.oneOf (
          atoms
          ++ [
            (types.attrsOf value)
            (types.listOf value)
          ]
        )
        // {
          inherit description;
        };
    in
    value;
  orNull = type: types.nullOr type // { inherit (type) description; };
  atoms = [
    types.bool
    types.int
    types.float
    types.str
    types.path
  ];
  withLists =
    listsAsDuplicateKeys: listToValue: atom:
    if listsAsDuplicateKeys then
      types.either atom (types.listOf atom)
    else if listToValue != null then
      types.either atom (types.coercedTo atom lib.singleton (types.listOf atom))
    else
      atom;
  iniAtom = types.nullOr (
    types.oneOf [
      types.bool
      types.int
      types.float
      types.str
    ]
  );

  # -- TOML
  isTable = value: isAttrs value && !lib.isDerivation value;
  isTables = value: isList value && value != [ ] && all isTable value;
  key = name: if builtins.match "[A-Za-z0-9_-]+" name != null then name else toJSON name;
  inline =
    value:
    if isTable value then
      "{ ${lib.concatStringsSep ", " (lib.mapAttrsToList (name: v: "${key name} = ${inline v}") value)} }"
    else if isList value then
      "[${lib.concatMapStringsSep ", " inline value}]"
    else if isBool value || isInt value || isFloat value then
      toJSON value
    else if value == null then
      throw "TOML has no null; leave the attribute out"
    else
      toJSON (toString value);
  table =
    path: set:
    let
      header = lib.concatMapStringsSep "." key;
      line = name: value: "${key name} = ${inline value}\n";
      section =
        name: value:
        let
          here = path ++ [ name ];
        in
        if isTable value then
          "\n[${header here}]\n${table here value}"
        else
          lib.concatMapStrings (element: "\n[[${header here}]]\n${table here element}") value;
      hasSection = value: isTable value || isTables value;
    in
    lib.concatStrings (lib.mapAttrsToList line (lib.filterAttrs (_: v: !hasSection v) set))
    + lib.concatStrings (lib.mapAttrsToList section (lib.filterAttrs (_: hasSection) set));
  toTOML = set: lib.removePrefix "\n" (table [ ] set);

  json =
    { }:
    {
      type = orNull (nested "JSON value" (atoms ++ [ (types.nullOr types.bool) ]));
      generate = name: value: writeText name (toJSON value + "\n");
    };
in
{
  formats = {
    inherit json;
    # JSON is YAML.
    yaml = _: {
      type = orNull (nested "YAML value" (atoms ++ [ (types.nullOr types.bool) ]));
      inherit (json { }) generate;
    };
    yaml_1_1 = final.formats.yaml;
    yaml_1_2 = final.formats.yaml;
    toml =
      { }:
      {
        type = types.attrsOf (nested "TOML value" atoms);
        generate = name: value: writeText name (toTOML value);
      };
    ini =
      {
        listsAsDuplicateKeys ? false,
        listToValue ? null,
        ...
      }@args:
      let
        atom = withLists listsAsDuplicateKeys listToValue iniAtom;
        joined = lib.mapAttrs (_: v: if listToValue != null && isList v then listToValue v else v);
        options = removeAttrs args [ "listToValue" ];
      in
      {
        type = types.attrsOf (types.attrsOf atom) // {
          description = "sections of an INI file";
        };
        lib.types.atom = atom;
        generate = name: value: writeText name (generators.toINI options (lib.mapAttrs (_: joined) value));
      };
    iniWithGlobalSection = args: {
      type = types.submodule {
        options = {
          globalSection = lib.mkOption {
            type = types.attrsOf iniAtom;
            default = { };
            description = "What stands before the first section.";
          };
          sections = lib.mkOption {
            type = types.attrsOf (types.attrsOf iniAtom);
            default = { };
            description = "The sections.";
          };
        };
      };
      generate =
        name: value:
        writeText name (generators.toINIWithGlobalSection args { inherit (value) globalSection sections; });
    };
    gitIni = _: {
      type = types.attrsOf (types.attrsOf types.anything);
      generate = name: value: writeText name (generators.toGitINI value);
    };
    keyValue =
      {
        listsAsDuplicateKeys ? false,
        listToValue ? null,
        ...
      }@args:
      let
        joined = lib.mapAttrs (_: v: if listToValue != null && isList v then listToValue v else v);
      in
      {
        type = types.attrsOf (withLists listsAsDuplicateKeys listToValue iniAtom);
        generate =
          name: value:
          writeText name (generators.toKeyValue (removeAttrs args [ "listToValue" ]) (joined value));
      };
    lua = args: {
      type = types.attrsOf types.anything;
      generate =
        name: value:
        writeText name "return ${generators.toLua (removeAttrs args [ "asBindings" ]) value}\n";
    };
  };
}
