# The tree of options: all modules' declarations merged, and on the way down through them the
# definitions of each.
{ lib }:

let
  inherit (builtins)
    addErrorContext
    all
    attrNames
    attrValues
    catAttrs
    concatLists
    concatMap
    filter
    foldl'
    head
    isAttrs
    length
    mapAttrs
    tail
    unsafeGetAttrPos
    zipAttrsWith
    ;
  inherit (lib)
    diagnostics
    isOption
    mkOption
    showOption
    types
    ;
  inherit (lib.definitions) evalOption;
  inherit (lib.loading) located;
  inherit (lib.properties) pushDown;
in
rec {
  pushDownAt =
    loc: def:
    addErrorContext "while evaluating what is defined below `${showOption loc}' at ${diagnostics.place loc def} (which options that are cannot depend on `config': use lib.mkIf):" (
      pushDown def
    );

  # Declarations [ { file; options; } ] and definitions [ { file; value; } ] below `prefix` as
  # { options; config; unmatched; }: the last are definitions that nothing declares.
  mergeTree =
    prefix: declarations: definitions:
    let
      # An entry holds what its attribute is, and the set that it is in: nothing is computed for it.
      declared = map (
        d:
        let
          inherit (d) file;
          parent = d.options;
        in
        if isAttrs parent && !(parent ? _type) then
          mapAttrs (_: options: { inherit file options parent; }) parent
        else
          throw (diagnostics.notADeclaration prefix file parent)
      ) declarations;
      defined = zipAttrsWith (_: entries: entries) (
        map (
          d:
          let
            inherit (d) file;
            parent = d.source or d.value;
          in
          if isAttrs d.value then
            mapAttrs (_: value: { inherit file value parent; }) d.value
          else
            throw (notASet prefix d nodes)
        ) definitions
      );
      nodes = zipAttrsWith (
        name: entries:
        let
          loc = prefix ++ [ name ];
          defs = defined.${name} or [ ];
          # Usually there is one.
          optionCount =
            if length entries == 1 then
              if (head entries).options._type or null == "option" then 1 else 0
            else
              foldl' (n: e: if isOption e.options then n + 1 else n) 0 entries;
        in
        if optionCount == 0 then
          mergeTree loc entries (concatMap (pushDownAt loc) defs)
        else if optionCount == length entries then
          evalOption loc (mergeOptionDecls loc entries) defs
        else
          mixed loc entries defs
      ) declared;
    in
    {
      options = mapAttrs (_: node: node.options) nodes;
      config = mapAttrs (_: node: node.config) nodes;
      unmatched =
        if definitions == [ ] then
          [ ]
        else
          concatLists (
            catAttrs "unmatched" (attrValues nodes)
            ++ attrValues (
              mapAttrs (name: map (def: def // { loc = prefix ++ [ name ]; })) (
                removeAttrs defined (attrNames nodes)
              )
            )
          );
    };

  notASet =
    prefix: def: declared:
    "`${showOption prefix}' in `${toString def.file}' is set to ${diagnostics.kindOf def.value}, but it is a set of options"
    + (
      let
        names = attrNames (removeAttrs declared [ "_module" ]);
        shown = lib.take 5 names;
      in
      if declared ? enable then
        "\nhint: did you mean `${showOption (prefix ++ [ "enable" ])}'?"
      else
        "\nhint: its options are ${lib.concatMapStringsSep ", " (n: "`${n}'") shown}${
          if length names > 5 then ", …" else ""
        }"
    );

  # One option from its declarations [ { file; options; parent; } ]; usually there is one.
  mergeOptionDecls =
    loc: entries:
    let
      first = head entries;
      single = first.options // {
        inherit loc;
        type = typeOf' loc first;
        declarations = [ first.file ];
        declarationPositions = [ (declarationPosition loc first) ];
      };
    in
    if length entries == 1 then single else foldl' (mergeTwo loc) single (tail entries);

  mergeTwo =
    loc: left: entry:
    let
      right = entry.options;
      both = name: left ? ${name} && right ? ${name};
      twice = filter both [
        "default"
        "defaultText"
        "example"
        "description"
        "apply"
      ];
      leftType = left.type;
      rightType = typeOf' loc entry;
      type =
        if !(right ? type) then
          leftType
        else if leftType.name == "unspecified" then
          rightType
        else
          leftType.typeMerge rightType.functor;
      already = "The option `${showOption loc}' in `${entry.file}' is already declared in ${lib.showFiles left.declarations}";
    in
    if twice != [ ] then
      throw "${already}; both give `${head twice}'"
    else if type == null then
      throw "${already}; there its type is ${leftType.description}, here ${rightType.description}"
    else
      left
      // right
      // {
        inherit loc type;
        declarations = left.declarations ++ [ entry.file ];
        declarationPositions = left.declarationPositions ++ [ (declarationPosition loc entry) ];
      };

  declarationPosition =
    loc: entry:
    let
      position = if entry ? parent then unsafeGetAttrPos (lib.last loc) entry.parent else null;
    in
    if position == null then
      {
        inherit (entry) file;
        line = null;
        column = null;
      }
    else
      position;

  # The type of a declaration; modules in it say where they come from.
  typeOf' =
    loc: entry:
    let
      type = entry.options.type or types.unspecified;
    in
    if !(isAttrs type && type ? merge) then
      throw "the type of the option `${showOption loc}', declared in `${entry.file}', is ${diagnostics.kindOf type}, not a type; is an argument missing?"
    else if type.getSubModules or null == null then
      type
    else
      type.substSubModules (map (located entry.file) type.getSubModules);

  # Some declare an option where others declare a set of options. Into a submodule they can be merged.
  mixed =
    loc: entries: defs:
    let
      split = builtins.partition (e: isOption e.options) entries;
      asOption =
        entry:
        if isOption entry.options then
          entry
        else
          entry
          // {
            options = mkOption {
              type = types.submoduleWith {
                # As where the submodule is declared.
                shorthandOnlyDefinesConfig = null;
                modules = [
                  {
                    _file = entry.file;
                    inherit (entry) options;
                  }
                ];
              };
            };
          };
    in
    if all (e: e.options.type.name or null == "submodule") split.right then
      evalOption loc (mergeOptionDecls loc (map asOption entries)) defs
    else
      throw "The option `${showOption loc}' in `${(head split.right).file}' is a prefix of options in `${(head split.wrong).file}'.";
}
