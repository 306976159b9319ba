# From the definitions of one option to its value.
{ lib }:

let
  inherit (builtins)
    all
    filter
    head
    length
    ;
  inherit (lib.properties) isProperty resolve;
  inherit (lib) diagnostics showOption;
in
rec {
  # The value of resolved definitions, of which there is at least one. `option` holds the type, and
  # what an error says of the option.
  mergeValues =
    loc: option: defs:
    let
      inherit (option) type;
    in
    if all (def: type.check def.value) defs then
      type.merge loc defs
    else
      throw (diagnostics.wrongType loc option (filter (def: !type.check def.value) defs));

  # Resolves and merges definitions: { values, highestPrio, isDefined, value }.
  evalDefinitions =
    loc: option: defs:
    let
      given = resolve defs;
      # The default counts for as much as mkOptionDefault.
      asDefault = {
        file = head (option.declarations or [ "<default>" ]);
        value = option.default;
        priority = 1500;
      };
      resolved =
        if !(option ? default) then
          given
        else if defs == [ ] && (!(option.default ? _type) || !isProperty option.default) then
          {
            values = [ asDefault ];
            highestPrio = 1500;
          }
        else if defs == [ ] || given.values == [ ] || given.highestPrio >= 1500 then
          resolve ([ asDefault ] ++ defs)
        else
          given;
    in
    {
      inherit (resolved) values highestPrio;
      isDefined = resolved.values != [ ];
      value =
        if resolved.values == [ ] then
          throw (diagnostics.missingValue loc option)
        else if option.readOnly or false && length defs > (if option ? default then 0 else 1) then
          throw (diagnostics.readOnlySetTwice loc (lib.optional (option ? default) asDefault ++ defs))
        else
          mergeValues loc option resolved.values;
    };

  # An element of a composed type: its value, or null if no definition is left.
  mergeDefinitions =
    loc: type: defs:
    let
      evaluated = evalDefinitions loc { inherit type; } defs;
    in
    {
      defsFinal' = {
        inherit (evaluated) values highestPrio;
      };
      defsFinal = evaluated.values;
      mergedValue = evaluated.value;
      inherit (evaluated) isDefined;
      optionalValue = if evaluated.isDefined then { inherit (evaluated) value; } else { };
    };

  # An option with its declaration and its definitions: `options` is what options.NAME shows,
  # `config` its value. The former is made only where somebody asks for it.
  evalOption =
    loc: option: defs:
    let
      evaluated = evalDefinitions loc option defs;
      value =
        builtins.addErrorContext
          "while evaluating the option `${showOption loc}'${diagnostics.whereDefined loc defs}:"
          (if option ? apply then option.apply evaluated.value else evaluated.value);
    in
    {
      config = value;
      options = option // {
        inherit value;
        inherit (evaluated) highestPrio isDefined;
        definitions = map (def: def.value) evaluated.values;
        files = map (def: def.file) evaluated.values;
        definitionsWithLocations = map (
          def:
          removeAttrs def [
            "priority"
            "order"
          ]
        ) evaluated.values;
        __toString = _: showOption loc;
      };
    };
  evalOptionValue =
    loc: option: defs:
    (evalOption loc option defs).options;
}
