# From what `imports` name to modules in one form: paths are imported, functions called, and each
# module is taken once.
{ lib }:

let
  inherit (builtins)
    addErrorContext
    attrNames
    concatMap
    elem
    elemAt
    filter
    genList
    genericClosure
    head
    isAttrs
    isList
    isPath
    isString
    length
    mapAttrs
    unsafeGetAttrPos
    ;
  inherit (lib)
    diagnostics
    isFunction
    unknownModule
    ;
  inherit (lib.properties) mkMerge;
in
rec {
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
          addErrorContext (
            if diagnostics.takesMore value then
              "while evaluating the module `${name}' (which options it defines cannot depend on `config': use lib.mkIf):"
            else
              "while calling the module `${name}', whose arguments have to end with `...', as in { config, pkgs, ... }:"
          ) (applyModuleArgs name value args)
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
}
