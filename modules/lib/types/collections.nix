# Types of lists, attribute sets and functions.
{ lib }:

let
  inherit (builtins)
    attrNames
    concatLists
    elemAt
    filter
    foldl'
    genList
    head
    isAttrs
    isList
    length
    mapAttrs
    removeAttrs
    unsafeGetAttrPos
    zipAttrsWith
    ;
  inherit (lib) isFunction;
  inherit (lib.definitions) evalDefinitions evalOption mergeValues;
  inherit (lib.properties) isProperty;
  inherit (lib.optionTypes)
    defaultFunctor
    describeElement
    elementFunctor
    makeType
    optionDescriptionPhrase
    ;

  # The attributes of all definitions, each as a definition of its own.
  definitionsByName =
    defs:
    zipAttrsWith (_: ds: ds) (
      map (
        def:
        let
          inherit (def) file;
          parent = def.value;
        in
        mapAttrs (_: value: { inherit file value parent; }) parent
      ) defs
    );

  # As a list that is empty if nothing is left of the element.
  mergeElement =
    loc: option: def: n: m:
    let
      value = elemAt def.value m;
      here = loc ++ [ "[definition ${toString (n + 1)}-entry ${toString (m + 1)}]" ];
      # Errors say where the list stands.
      single = {
        inherit (def) file;
        inherit value;
        list = def;
      };
      evaluated = evalDefinitions here option [ single ];
    in
    if !(value ? _type) || !isProperty value then
      [ (mergeValues here option [ single ]) ]
    else if evaluated.isDefined then
      [ evaluated.value ]
    else
      [ ];
in
rec {
  attrs = makeType {
    name = "attrs";
    description = "attribute set";
    check = isAttrs;
    merge = _: foldl' (sum: def: sum // def.value) { };
    emptyValue.value = { };
  };

  listOf =
    elemType:
    let
      option.type = elemType;
    in
    makeType {
      name = "listOf";
      description = "list of ${describeElement elemType}";
      descriptionClass = "composite";
      check = isList;
      merge =
        loc: defs:
        concatLists (
          concatLists (
            genList (
              n:
              let
                def = elemAt defs n;
              in
              genList (mergeElement loc option def n) (length def.value)
            ) (length defs)
          )
        );
      emptyValue.value = [ ];
      getSubOptions = prefix: elemType.getSubOptions (prefix ++ [ "*" ]);
      inherit (elemType) getSubModules;
      substSubModules = modules: listOf (elemType.substSubModules modules);
      functor = elementFunctor "listOf" listOf elemType;
      nestedTypes.elemType = elemType;
    };
  nonEmptyListOf =
    elemType:
    let
      list = lib.types.addCheck (listOf elemType) (x: x != [ ]);
    in
    list
    // {
      description = "non-empty ${optionDescriptionPhrase (class: class == "noun") list}";
      emptyValue = { };
      substSubModules = modules: nonEmptyListOf (elemType.substSubModules modules);
    };

  attrsOf = elemType: attrsWith { inherit elemType; };
  # Lazy in its values: a definition that turns out to be none leaves its name in the set.
  lazyAttrsOf =
    elemType:
    attrsWith {
      inherit elemType;
      lazy = true;
    };
  attrsWith =
    {
      elemType,
      lazy ? false,
      placeholder ? "name",
    }:
    let
      option.type = elemType;
      evaluateAll =
        loc: defs: mapAttrs (name: evalDefinitions (loc ++ [ name ]) option) (definitionsByName defs);
      mergeLazy =
        loc: defs:
        mapAttrs (
          _: e: if elemType.emptyValue ? value && !e.isDefined then elemType.emptyValue.value else e.value
        ) (evaluateAll loc defs);
      mergeStrict =
        loc: defs:
        let
          evaluated = evaluateAll loc defs;
          undefined = filter (name: !evaluated.${name}.isDefined) (attrNames evaluated);
        in
        mapAttrs (_: e: e.value) (removeAttrs evaluated undefined);
    in
    makeType {
      name = if lazy then "lazyAttrsOf" else "attrsOf";
      description = "${
        if lazy then "lazy attribute set" else "attribute set"
      } of ${describeElement elemType}";
      descriptionClass = "composite";
      check = isAttrs;
      merge = if lazy then mergeLazy else mergeStrict;
      emptyValue.value = { };
      getSubOptions = prefix: elemType.getSubOptions (prefix ++ [ "<${placeholder}>" ]);
      inherit (elemType) getSubModules;
      substSubModules =
        modules:
        attrsWith {
          elemType = elemType.substSubModules modules;
          inherit lazy placeholder;
        };
      functor = defaultFunctor "attrsWith" // {
        type = attrsWith;
        payload = { inherit elemType lazy placeholder; };
        binOp =
          a: b:
          let
            merged = a.elemType.typeMerge b.elemType.functor;
            names = lib.unique (
              filter (name: name != "name") [
                a.placeholder
                b.placeholder
              ]
            );
          in
          if merged == null || a.lazy != b.lazy || length names > 1 then
            null
          else
            {
              elemType = merged;
              inherit (a) lazy;
              placeholder = if names == [ ] then "name" else head names;
            };
      };
      nestedTypes.elemType = elemType;
    };
  loaOf = attrsOf;

  # A set of exactly one attribute, whose name says which option the value is for.
  attrTag =
    tags:
    let
      located = mapAttrs (
        name: option:
        let
          position = unsafeGetAttrPos name tags;
        in
        if lib.isOption option then
          {
            declarations = if position == null then [ ] else [ position.file ];
            declarationPositions = if position == null then [ ] else [ position ];
          }
          // option
        else
          throw "attrTag: the tag `${name}' has to be an option, made by mkOption, but it is ${lib.diagnostics.kindOf option}"
      ) tags;
      choices = lib.concatMapStringsSep ", " lib.escapeNixIdentifier (attrNames tags);
    in
    makeType {
      name = "attrTag";
      description = "attribute-tagged union with choices: ${choices}";
      descriptionClass = "noun";
      check = x: isAttrs x && length (attrNames x) == 1 && tags ? ${head (attrNames x)};
      merge =
        loc: defs:
        let
          choice = head (attrNames (head defs).value);
          differs = filter (def: head (attrNames def.value) != choice) defs;
        in
        if differs != [ ] then
          throw (lib.diagnostics.conflict loc defs "they choose different tags")
        else
          {
            ${choice} =
              (evalOption (loc ++ [ choice ]) located.${choice} (
                map (def: {
                  inherit (def) file;
                  value = def.value.${choice};
                  parent = def.value;
                }) defs
              )).config;
          };
      getSubOptions = prefix: mapAttrs (name: option: option // { loc = prefix ++ [ name ]; }) located;
      nestedTypes = located;
      functor = defaultFunctor "attrTag" // {
        type = payload: attrTag payload.tags;
        payload = { inherit tags; };
        binOp = a: b: {
          tags =
            a.tags
            // b.tags
            // mapAttrs (
              name: _:
              lib.modules.mergeOptionDecls [ name ] (
                map
                  (options: {
                    file = "<attrTag>";
                    inherit options;
                  })
                  [
                    a.tags.${name}
                    b.tags.${name}
                  ]
              )
            ) (builtins.intersectAttrs a.tags b.tags);
        };
      };
    };

  functionTo =
    elemType:
    makeType {
      name = "functionTo";
      description = "function that evaluates to a(n) ${describeElement elemType}";
      descriptionClass = "composite";
      check = isFunction;
      merge =
        loc: defs: x:
        (evalDefinitions (loc ++ [ "<function body>" ]) { type = elemType; } (
          map (def: {
            inherit (def) file;
            value = def.value x;
          }) defs
        )).value;
      getSubOptions = prefix: elemType.getSubOptions (prefix ++ [ "<function body>" ]);
      inherit (elemType) getSubModules;
      substSubModules = modules: functionTo (elemType.substSubModules modules);
      functor = elementFunctor "functionTo" functionTo elemType;
      nestedTypes.elemType = elemType;
    };
}
