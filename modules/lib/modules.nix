# The module system: a set of modules becomes the options that they declare together, and the
# values that they define for them. The names and their meaning are NixOS's.
{ lib }:

let
  inherit (builtins)
    addErrorContext
    all
    any
    attrNames
    attrValues
    catAttrs
    concatLists
    concatMap
    elem
    elemAt
    filter
    foldl'
    genList
    genericClosure
    head
    isAttrs
    isList
    isPath
    isString
    length
    mapAttrs
    tail
    typeOf
    unsafeGetAttrPos
    zipAttrsWith
    ;
  inherit (lib)
    diagnostics
    isFunction
    isOption
    mkOption
    mkOptionDefault
    showOption
    types
    unknownModule
    ;
  inherit (lib.properties) isProperty mkMerge pushDown;
  inherit (lib.definitions) evalOption;

  # What every evaluation declares of itself.
  internalOptions = {
    args = mkOption {
      type = types.lazyAttrsOf types.raw;
      internal = true;
      default = { };
      description = "Arguments that are passed to each module, beside `config`, `options`, `lib` and the special ones.";
    };
    check = mkOption {
      type = types.bool;
      internal = true;
      default = true;
      description = "Whether a definition of an option that nothing declares is an error.";
    };
    freeformType = mkOption {
      type = types.nullOr types.optionType;
      internal = true;
      default = null;
      description = "The type of all definitions together for which no option is declared.";
    };
    specialArgs = specialArgsOption { };
  };
  specialArgsOption =
    default:
    mkOption {
      type = types.raw;
      readOnly = true;
      internal = true;
      inherit default;
      description = "Arguments that can be used in `imports` too.";
    };
in
rec {
  evalModules =
    evaluation@{
      modules,
      prefix ? [ ],
      # Arguments of modules that are known before any option is: they can be used in `imports`.
      # `modulesPath` is where relative names in `disabledModules` start.
      specialArgs ? { },
      args ? { },
      check ? true,
      # What kind of configuration this is; a module with another `_class` is refused.
      class ? null,
    }:
    let
      collected = collectModules class (toString (specialArgs.modulesPath or "")) modules (
        {
          inherit
            lib
            options
            config
            specialArgs
            extendModules
            ;
          _class = class;
          _prefix = prefix;
        }
        // specialArgs
      );

      # What is imported comes before what imports it.
      ordered = lib.reverseList collected;
      declarations = [
        {
          file = "<module system>";
          options._module =
            if specialArgs == { } then
              internalOptions
            else
              internalOptions // { specialArgs = specialArgsOption specialArgs; };
        }
      ]
      ++ concatMap (
        m:
        if m.options == { } then
          [ ]
        else
          [
            {
              file = m._file;
              inherit (m) options;
            }
          ]
      ) ordered;
      definitions =
        (if args == { } then [ ] else [ (ownDefinition { inherit args; }) ])
        ++ (if check then [ ] else [ (ownDefinition { check = mkOptionDefault false; }) ])
        ++ concatMap (
          m:
          addErrorContext
            "while evaluating what `${m._file}' defines (which options that are cannot depend on `config': use lib.mkIf):"
            (pushDown {
              file = m._file;
              value = m.config;
            })
        ) ordered;
      ownDefinition = value: {
        file = "<module system>";
        value._module = value;
      };
      merged = mergeTree prefix declarations definitions;

      # Most evaluations say nothing of themselves: then nothing has to be merged to know that.
      internals = filter (d: d.value ? _module) definitions;
      says = name: any (d: isProperty d.value._module || d.value._module ? ${name}) internals;
      freeformType = if says "freeformType" then merged.config._module.freeformType else null;
      isChecked = if says "check" then merged.config._module.check else true;

      options = merged.options;
      config =
        if freeformType == null || merged.unmatched == [ ] then
          merged.config
        else
          lib.recursiveUpdate (freeformType.merge prefix (
            map (def: {
              inherit (def) file;
              value = lib.setAttrByPath (lib.drop (length prefix) def.loc) def.value;
            }) merged.unmatched
          )) merged.config;

      unknown =
        if freeformType == null && merged.unmatched != [ ] && isChecked then
          throw (
            diagnostics.unknownOptions prefix options (
              map (def: def // { path = lib.drop (length prefix) def.loc; }) merged.unmatched
            )
          )
        else
          null;
      checked = builtins.seq unknown;

      extendModules =
        {
          modules ? [ ],
          specialArgs ? { },
          prefix ? evaluation.prefix or [ ],
        }:
        evalModules (
          evaluation
          // {
            inherit prefix;
            modules = evaluation.modules ++ modules;
            specialArgs = (evaluation.specialArgs or { }) // specialArgs;
          }
        );
    in
    {
      _type = "configuration";
      options = checked (removeAttrs options [ "_module" ]);
      config = checked (removeAttrs config [ "_module" ]);
      _module = checked config._module;
      inherit class extendModules;
      type = types.submoduleWith {
        inherit modules specialArgs class;
      };
    };

  # -- loading

  # All modules that are imported, each once, without the disabled ones: breadth first.
  collectModules =
    class: modulesPath: modules: args:
    let
      load = loadModule class args;
      loadAll =
        file: key: imports:
        if isList imports then
          genList (n: load file "${key}:anon-${toString (n + 1)}" (elemAt imports n)) (length imports)
        else
          throw "`imports' of the module `${file}' has to be a list, but is ${diagnostics.kindOf imports}; write imports = [ … ];";
      start = loadAll unknownModule "" modules;
      operator = m: if m.imports == [ ] then [ ] else loadAll m._file m.key m.imports;
      everything = genericClosure {
        startSet = start;
        inherit operator;
      };
      keyOf =
        file: m:
        if isString m then
          if builtins.substring 0 1 m == "/" then m else "${modulesPath}/${m}"
        else if isPath m then
          toString m
        else if isAttrs m && m ? key then
          toString m.key
        else
          throw "`disabledModules' of the module `${file}' holds ${diagnostics.kindOf m}, but it wants paths of modules, or modules with a `key'";
      disabled = concatMap (m: map (keyOf m._file) m.disabledModules) everything;
      enabled = filter (m: !elem m.key disabled);
    in
    if disabled == [ ] then
      everything
    else
      genericClosure {
        startSet = enabled start;
        operator = m: enabled (operator m);
      };

  importedBy = file: if file == unknownModule then "" else ", which is imported by `${file}'";

  # A path, a function or a set as a normal module; `file` and `key` are for those without their own.
  loadModule =
    class: args: file: key: m:
    if isAttrs m && !(m ? __functor) then
      let
        kind = m._type or "module";
      in
      if kind == "module" then
        unifyModuleSyntax class file key m
      else if kind == "located" then
        loadModule class args m.file key m.module
      else if kind == "if" || kind == "override" || kind == "merge" then
        unifyModuleSyntax class file key { config = m; }
      else if kind == "configuration" then
        throw "`imports' in `${file}' holds a whole configuration; import its modules, or use its `config'"
      else
        throw "`imports' in `${file}' holds a value of the kind `${kind}', which is not a module"
    else if isFunction m then
      unifyModuleSyntax class file key (applyModuleArgs key m args)
    else if isPath m || isString m then
      let
        name = toString m;
        value = addErrorContext "while loading the module `${name}'${importedBy file}:" (
          if builtins.substring 0 1 name == "/" then
            import m
          else
            throw "a module is named by a path, and ${builtins.toJSON name} in `${file}' is not one; write ./${name}, without quotes"
        );
      in
      unifyModuleSyntax class name name (
        if isFunction value then
          addErrorContext
            "while evaluating the module `${name}' (which options it defines cannot depend on `config': use lib.mkIf):"
            (applyModuleArgs name value args)
        else
          value
      )
    else if isList m then
      throw "`imports' in `${file}' holds a list inside of the list; join them with ++"
    else
      throw "`imports' in `${file}' holds ${diagnostics.kindOf m}; a module is a path, a set or a function";

  # { _file, key, disabledModules, imports, options, config } from either form of a module.
  unifyModuleSyntax =
    class: file: key: m:
    if !isAttrs m then
      throw "the module `${file}' has to be a set, or a function that gives one, but it is ${diagnostics.kindOf m}"
    else if m._class or null != null && class != null && m._class != class then
      throw "the module `${toString (m._file or file)}' is for configurations of the class `${m._class}', and cannot be imported into one of the class `${class}'"
    else
      let
        hasSections = m ? config || m ? options;
        stray = removeAttrs m [
          "_class"
          "_file"
          "key"
          "disabledModules"
          "imports"
          "options"
          "config"
          "meta"
          "freeformType"
        ];
        plain =
          if hasSections then
            m.config or { }
          else
            removeAttrs m [
              "_class"
              "_file"
              "key"
              "disabledModules"
              "require"
              "imports"
              "freeformType"
              "meta"
            ];
        extra =
          (if m ? meta then { inherit (m) meta; } else { })
          // (if m ? freeformType then { _module.freeformType = m.freeformType; } else { });
        name = toString (m._file or file);
      in
      if hasSections && stray != { } then
        throw (strayAttributes name m stray)
      else
        {
          _file = name;
          key = toString (m.key or key);
          disabledModules = m.disabledModules or [ ];
          imports =
            if m ? require && !hasSections then
              m.require ++ (m.imports or [ ])
            else if m ? imports then
              addErrorContext "while evaluating the imports of `${name}' (they cannot depend on `config': what is imported defines it):" m.imports
            else
              [ ];
          options = m.options or { };
          config =
            if extra == { } then
              plain
            else
              mkMerge [
                plain
                extra
              ];
        };

  strayAttributes =
    file: m: stray:
    let
      names = attrNames stray;
      first = head names;
      position = unsafeGetAttrPos first m;
      section = if m ? config then "config" else "options";
    in
    "the module `${file}' has the attribute `${first}' beside `${section}'"
    + (if position == null then "" else ", at ${diagnostics.showPosition position}")
    + "\nhint: a module that has `options' or `config' holds its definitions in `config': move "
    + lib.concatMapStringsSep ", " (n: "`${n}'") names
    + " into it";

  # Calls a module. Arguments that are not known yet are passed unevaluated.
  applyModuleArgs =
    file: f: args:
    let
      wanted = removeAttrs (lib.functionArgs f) (attrNames args);
      provided = args.config._module.args;
      get =
        name: _:
        addErrorContext
          "while evaluating the module argument `${name}' of `${file}' (an argument that decides `imports' or `options' has to be in specialArgs):"
          (
            if provided ? ${name} then
              provided.${name}
            else
              throw "the module `${file}' wants the argument `${name}', which nothing provides; there are: ${
                lib.concatStringsSep ", " (
                  filter (n: builtins.substring 0 1 n != "_") (attrNames (args // provided))
                )
              }\nhint: set _module.args.${name}, or pass it in specialArgs"
          );
    in
    f (args // mapAttrs get wanted);
  applyModuleArgsIfFunction =
    key: f: args:
    if isFunction f then applyModuleArgs key f args else f;
  applyIfFunction = applyModuleArgsIfFunction;

  # Imports a module from a file that is a function of static arguments first.
  importApply = file: static: lib.setDefaultModuleLocation file (import file static);
  setDefaultModuleLocation = file: module: {
    _file = file;
    imports = [ module ];
  };
  # The same at less cost: for the modules of types, which are loaded for each of their values.
  located = file: module: {
    _type = "located";
    inherit file module;
  };

  # -- merging

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
      declared = zipAttrsWith (_: entries: entries) (
        map (
          d:
          if isAttrs d.options && !(d.options ? _type) then
            mapAttrs (_: options: {
              inherit (d) file;
              inherit options;
              parent = d.options;
            }) d.options
          else
            throw (diagnostics.notADeclaration prefix d.file d.options)
        ) declarations
      );
      defined = zipAttrsWith (_: entries: entries) (
        map (
          d:
          if isAttrs d.value then
            let
              parent = d.source or d.value;
            in
            mapAttrs (_: value: {
              inherit (d) file;
              inherit value parent;
            }) d.value
          else
            throw (notASet prefix d declared)
        ) definitions
      );
      nodes = mapAttrs (
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
                removeAttrs defined (attrNames declared)
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

  # -- the same for whole modules, in NixOS's terms
  mergeModules =
    prefix: modules:
    let
      merged =
        mergeTree prefix
          (map (m: {
            file = m._file;
            inherit (m) options;
          }) modules)
          (
            concatMap (
              m:
              pushDown {
                file = m._file;
                value = m.config;
              }
            ) modules
          );
    in
    {
      matchedOptions = merged.options;
      unmatchedDefns = map (def: {
        inherit (def) file value;
        prefix = lib.drop (length prefix) def.loc;
      }) merged.unmatched;
    };
}
