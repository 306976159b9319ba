# The module system: a set of modules becomes the options that they declare together, and the
# values that they define for them. The names and their meaning are NixOS's.
{ lib }:

let
  inherit (builtins)
    addErrorContext
    all
    any
    concatMap
    filter
    length
    ;
  inherit (lib)
    diagnostics
    mkOption
    mkOptionDefault
    types
    ;
  inherit (lib.loading) collectModules;
  inherit (lib.properties) isProperty pushDown;
  inherit (lib.optionTree) mergeTree;

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
