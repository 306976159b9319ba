# Modules that keep old names of options alive, or say what became of them.
{ lib }:

let
  inherit (lib)
    attrByPath
    getAttrFromPath
    mkIf
    mkMerge
    mkOption
    optional
    optionalAttrs
    setAttrByPath
    showFiles
    showOption
    types
    ;

  # Tells "not set" from every value.
  unset = "_mkMergedOptionModule";
in
rec {
  # An option that is gone: setting it is an error that says what to do instead.
  mkRemovedOptionModule =
    name: instructions:
    { options, ... }:
    let
      option = getAttrFromPath name options;
    in
    {
      options = setAttrByPath name (mkOption {
        visible = false;
        type = types.raw;
        description = "Removed.";
        apply =
          _:
          throw "The option `${showOption name}' can no longer be used since it's been removed. ${instructions}";
      });
      config.assertions = [
        {
          assertion = !option.isDefined;
          message = "The option definition `${showOption name}' in ${showFiles option.files} no longer has any effect; please remove it.\n${instructions}";
        }
      ];
    };

  mkRenamedOptionModule =
    from: to:
    doRename {
      inherit from to;
      visible = false;
      warn = true;
      use = lib.trace "Obsolete option `${showOption from}' is used. It was renamed to `${showOption to}'.";
    };
  mkRenamedOptionModuleWith =
    {
      from,
      to,
      sinceRelease,
    }:
    doRename {
      inherit from to;
      visible = false;
      warn = lib.oldestSupportedReleaseIsAtLeast sinceRelease;
      use = lib.id;
    };
  mkAliasOptionModule =
    from: to:
    doRename {
      inherit from to;
      visible = true;
      warn = false;
      use = lib.id;
    };
  mkAliasOptionModuleMD = mkAliasOptionModule;

  # An option whose value another one takes in another form: `merge config` is the new value.
  mkChangedOptionModule =
    from: to: changeFn:
    mkMergedOptionModule [ from ] to changeFn;
  mkMergedOptionModule =
    from: to: mergeFn:
    { config, options, ... }:
    {
      options = lib.foldl' lib.recursiveUpdate { } (
        map (
          path:
          setAttrByPath path (mkOption {
            visible = false;
            type = types.raw;
            default = unset;
            description = "Replaced by {option}`${showOption to}`.";
          })
        ) from
      );
      config = {
        warnings = lib.concatMap (
          path:
          optional (getAttrFromPath path config != unset)
            "The option `${showOption path}' defined in ${showFiles (getAttrFromPath path options).files} has been changed to `${showOption to}', which has a different type. Please read what `${showOption to}' wants, and change your configuration."
        ) from;
      }
      // setAttrByPath to (
        mkMerge (optional (lib.any (path: getAttrFromPath path config != unset) from) (mergeFn config))
      );
    };

  # The option `from` stands for `to`: definitions go there, and the value comes from there.
  doRename =
    {
      from,
      to,
      visible,
      warn,
      use,
      withPriority ? true,
      condition ? true,
    }:
    { config, options, ... }:
    let
      option = getAttrFromPath from options;
      target = attrByPath to null options;
      value = attrByPath to (throw "Renaming error: option `${showOption to}' does not exist.") config;
      forward =
        if withPriority then lib.mkAliasAndWrapDefsWithPriority else lib.mkAliasAndWrapDefinitions;
    in
    {
      options = setAttrByPath from (
        mkOption {
          inherit visible;
          description = "Alias of {option}`${showOption to}`.";
          apply = _: use value;
        }
        // optionalAttrs (target != null) { type = target.type or (types.submodule { }); }
      );
      config = mkIf condition (mkMerge [
        (optionalAttrs (options ? warnings) {
          warnings =
            optional (warn && option.isDefined)
              "The option `${showOption from}' defined in ${showFiles option.files} has been renamed to `${showOption to}'.";
        })
        (forward (setAttrByPath to) option)
      ]);
    };
}
