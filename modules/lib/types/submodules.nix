# Types whose values are configurations of their own.
{ lib }:

let
  inherit (builtins)
    attrNames
    intersectAttrs
    isAttrs
    ;
  inherit (lib) isFunction last;
  inherit (lib.optionTypes) defaultFunctor makeType;

  isModule = x: isAttrs x || isFunction x || lib.types.path.check x;

  # Both, if only one is given or they are the same.
  agreed =
    what: a: b:
    if a == null then
      b
    else if b == null || a == b then
      a
    else
      throw "a submodule is declared several times, with different ${what}";
in
rec {
  submodule =
    modules:
    submoduleWith {
      shorthandOnlyDefinesConfig = true;
      modules = lib.toList modules;
    };

  submoduleWith =
    arguments@{
      modules,
      specialArgs ? { },
      # Whether a set is taken for definitions, even if it has attributes such as `options`.
      shorthandOnlyDefinesConfig ? false,
      description ? null,
      class ? null,
    }:
    let
      asModule =
        def:
        if isAttrs def.value && shorthandOnlyDefinesConfig == true then
          {
            _file = def.file;
            config = def.value;
          }
        else
          {
            _file = def.file;
            imports = [ def.value ];
          };
      evaluate =
        prefix: name: more:
        lib.evalModules {
          inherit class prefix specialArgs;
          modules = [ { _module.args.name = name; } ] ++ modules ++ more;
        };
      # For documentation, and the type of the free form: no element has a name yet.
      unnamed = prefix: evaluate prefix (lib.mkOptionDefault "‹name›") [ ];
      freeformType = (unnamed [ ])._module.freeformType;
    in
    makeType {
      name = "submodule";
      description = if description != null then description else freeformType.description or "submodule";
      check = isModule;
      merge = loc: defs: (evaluate loc (last loc) (map asModule defs)).config;
      emptyValue.value = { };
      getSubOptions =
        prefix:
        (unnamed prefix).options
        // lib.optionalAttrs (freeformType != null) {
          _freeformOptions = freeformType.getSubOptions prefix;
        };
      getSubModules = modules;
      substSubModules = modules: submoduleWith (arguments // { inherit modules; });
      nestedTypes = lib.optionalAttrs (freeformType != null) { inherit freeformType; };
      functor = defaultFunctor "submodule" // {
        type = submoduleWith;
        payload = {
          inherit
            modules
            specialArgs
            shorthandOnlyDefinesConfig
            description
            class
            ;
        };
        binOp =
          a: b:
          let
            both = attrNames (intersectAttrs a.specialArgs b.specialArgs);
          in
          {
            modules = a.modules ++ b.modules;
            specialArgs =
              if both == [ ] then
                a.specialArgs // b.specialArgs
              else
                throw "a submodule is declared several times, with the same specialArgs: ${toString both}";
            shorthandOnlyDefinesConfig =
              agreed "shorthandOnlyDefinesConfig" a.shorthandOnlyDefinesConfig
                b.shorthandOnlyDefinesConfig;
            description = agreed "descriptions" a.description b.description;
            class = agreed "classes" a.class b.class;
          };
      };
    };

  # A module that is imported somewhere else.
  deferredModule = deferredModuleWith { };
  deferredModuleWith =
    arguments@{
      staticModules ? [ ],
    }:
    let
      asSubmodule = submoduleWith { modules = staticModules; };
    in
    makeType {
      name = "deferredModule";
      description = "module";
      descriptionClass = "noun";
      check = isModule;
      merge = loc: defs: {
        imports =
          staticModules
          ++ map (
            def: lib.setDefaultModuleLocation "${toString def.file}, via option ${lib.showOption loc}" def.value
          ) defs;
      };
      inherit (asSubmodule) getSubOptions getSubModules;
      substSubModules = modules: deferredModuleWith (arguments // { staticModules = modules; });
      functor = defaultFunctor "deferredModuleWith" // {
        type = deferredModuleWith;
        payload = { inherit staticModules; };
        binOp = a: b: { staticModules = a.staticModules ++ b.staticModules; };
      };
    };
}
