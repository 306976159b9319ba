# What can stand around a definition's value: conditions, merges, priorities, order. A definition
# is { file; value; } and, if it is known, `parent`: the attribute set that holds it in the source,
# from which its position is taken when an error asks for it.
{ lib }:

let
  inherit (builtins)
    any
    concatMap
    filter
    foldl'
    head
    isAttrs
    isBool
    length
    mapAttrs
    sort
    ;

  kinds = {
    "if" = true;
    merge = true;
    override = true;
    order = true;
    definition = true;
  };

  checkCondition =
    def: property:
    if isBool property.condition then
      property.condition
    else
      throw "mkIf got a ${builtins.typeOf property.condition} as its condition in `${toString def.file}'; it has to be true or false";
in
rec {
  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };
  mkAssert =
    assertion: message: content:
    mkIf (if assertion then true else throw "\nFailed assertion: ${message}") content;
  mkMerge = contents: {
    _type = "merge";
    inherit contents;
  };
  mkOverride = priority: content: {
    _type = "override";
    inherit priority content;
  };
  mkOrder = priority: content: {
    _type = "order";
    inherit priority content;
  };
  # A definition that says itself in which file it stands.
  mkDefinition = args@{ file, value, ... }: args // { _type = "definition"; };

  # Priorities: the lowest number wins. What has none counts as `defaultOverridePriority`.
  mkOptionDefault = mkOverride 1500;
  mkDefault = mkOverride 1000;
  defaultOverridePriority = 100;
  defaultPriority = defaultOverridePriority;
  mkImageMediaOverride = mkOverride 60;
  mkForce = mkOverride 50;
  mkStrict = mkForce;
  mkVMOverride = mkOverride 10;
  mkFixStrictness = lib.warn "lib.mkFixStrictness has no effect any more" lib.id;

  # Order in merged lists and lines: the lowest number comes first.
  mkBefore = mkOrder 500;
  defaultOrderPriority = 1000;
  mkAfter = mkOrder 1500;

  isProperty = value: value ? _type && kinds ? ${value._type};

  # The definitions of an attribute set with what stands around it moved to its attributes, so
  # that they can be looked at without deciding any condition. `source` is then the set as it was.
  pushDown =
    def:
    if !(def.value ? _type) || !isProperty def.value then
      [ def ]
    else
      let
        property = def.value;
        inner = value: pushDown (def // { inherit value; });
        around =
          wrap:
          map (
            d:
            d
            // {
              value = mapAttrs (_: wrap) (requireSet d);
              source = d.source or d.value;
            }
          ) (inner property.content);
      in
      if property._type == "merge" then
        concatMap inner property.contents
      else if property._type == "if" then
        around (mkIf property.condition)
      else if property._type == "override" then
        around (mkOverride property.priority)
      else if property._type == "definition" then
        pushDown (def // removeAttrs property [ "_type" ])
      else
        [ def ];

  requireSet =
    def:
    if isAttrs def.value then
      def.value
    else
      throw "a set of options is needed in `${toString def.file}', but there is a ${builtins.typeOf def.value}";

  # The definitions that are left of one after its conditions are decided and its merges taken
  # apart; priority and order become fields. Of nested priorities the outermost counts.
  discharge =
    def:
    if !(def.value ? _type) || !isProperty def.value then
      [ def ]
    else
      let
        property = def.value;
      in
      if property._type == "if" then
        if checkCondition def property then discharge (def // { value = property.content; }) else [ ]
      else if property._type == "merge" then
        concatMap (value: discharge (def // { inherit value; })) property.contents
      else if property._type == "override" then
        discharge (
          {
            inherit (property) priority;
          }
          // def
          // {
            value = property.content;
          }
        )
      else if property._type == "order" then
        discharge (
          {
            order = property.priority;
          }
          // def
          // {
            value = property.content;
          }
        )
      else
        discharge (def // removeAttrs property [ "_type" ]);

  # The definitions that count, in their order, and their priority.
  resolve =
    defs:
    if length defs == 1 && (!((head defs).value ? _type) || !isProperty (head defs).value) then
      {
        values = defs;
        highestPrio = defaultOverridePriority;
      }
    else
      let
        discharged = concatMap (
          def:
          builtins.addErrorContext "while evaluating definitions from `${toString def.file}':" (discharge def)
        ) defs;
        priority = def: def.priority or defaultOverridePriority;
        highestPrio = foldl' (low: def: lib.min low (priority def)) 9999 discharged;
        winners = filter (def: priority def == highestPrio) discharged;
        order = def: def.order or defaultOrderPriority;
      in
      {
        values = if any (def: def ? order) winners then sort (a: b: order a < order b) winners else winners;
        inherit highestPrio;
      };

  # -- the same in NixOS's terms, on values
  pushDownProperties =
    value:
    map (def: def.value) (pushDown {
      file = lib.unknownModule;
      inherit value;
    });
  dischargeProperties =
    value:
    if value._type or "" == "merge" then
      concatMap dischargeProperties value.contents
    else if value._type or "" == "if" then
      if checkCondition { file = lib.unknownModule; } value then
        dischargeProperties value.content
      else
        [ ]
    else
      [ value ];
  filterOverrides = defs: (filterOverrides' defs).values;
  filterOverrides' =
    defs:
    let
      isOverride = def: def.value._type or "" == "override";
      priority = def: if isOverride def then def.value.priority else defaultOverridePriority;
      highestPrio = foldl' (low: def: lib.min low (priority def)) 9999 defs;
    in
    {
      values = concatMap (
        def:
        if priority def == highestPrio then
          [ (if isOverride def then def // { value = def.value.content; } else def) ]
        else
          [ ]
      ) defs;
      inherit highestPrio;
    };
  sortProperties =
    defs:
    let
      isOrder = def: def.value._type or "" == "order";
      strip =
        def:
        if isOrder def then
          def
          // {
            value = def.value.content;
            inherit (def.value) priority;
          }
        else
          def;
      order = def: def.priority or defaultOrderPriority;
    in
    sort (a: b: order a < order b) (map strip defs);

  # -- passing an option's definitions on to another
  mkAliasDefinitions = mkAliasAndWrapDefinitions lib.id;
  mkAliasAndWrapDefinitions =
    wrap: option:
    mkAliasIfDef option (wrap (mkMerge (map mkDefinition option.definitionsWithLocations)));
  mkAliasAndWrapDefsWithPriority =
    wrap: option:
    let
      priority = option.highestPrio or defaultOverridePriority;
    in
    mkAliasIfDef option (
      wrap (mkMerge (map (def: mkOverride priority (mkDefinition def)) option.definitionsWithLocations))
    );
  mkAliasIfDef = option: mkIf (lib.isOption option && option.isDefined);
  # Definitions computed from another option's values: `f` of each.
  mkDerivedConfig =
    option: f:
    mkAliasIfDef option (
      mkMerge (
        map (
          def:
          mkDefinition {
            inherit (def) file;
            value = f def.value;
          }
        ) option.definitionsWithLocations
      )
    );
}
