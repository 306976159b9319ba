# Types made of others: alternatives, null, conversions, uniqueness.
{ lib }:

let
  inherit (builtins)
    all
    filter
    foldl'
    head
    length
    tail
    ;
  inherit (lib) mergeOneOption mergeUniqueOption;
  inherit (lib.optionTypes)
    defaultFunctor
    describeAlternative
    describeNoun
    elementFunctor
    makeType
    optionDescriptionPhrase
    ;
in
rec {
  nullOr =
    elemType:
    makeType {
      name = "nullOr";
      description = "null or ${describeAlternative elemType}";
      descriptionClass = "conjunction";
      check = x: x == null || elemType.check x;
      merge =
        loc: defs:
        let
          values = filter (def: def.value != null) defs;
        in
        if values == [ ] then
          null
        else if length values != length defs then
          throw (lib.diagnostics.conflict loc defs "some are null")
        else
          elemType.merge loc defs;
      emptyValue.value = null;
      inherit (elemType) getSubOptions getSubModules;
      substSubModules = modules: nullOr (elemType.substSubModules modules);
      functor = elementFunctor "nullOr" nullOr elemType // {
        wrapped = elemType;
      };
      nestedTypes.elemType = elemType;
    };

  either =
    left: right:
    makeType {
      name = "either";
      description =
        if left.descriptionClass or null == "nonRestrictiveClause" then
          "${left.description}, or ${describeAlternative right}"
        else
          "${describeAlternative left} or ${
            optionDescriptionPhrase (
              class: class == "noun" || class == "conjunction" || class == "composite"
            ) right
          }";
      descriptionClass = "conjunction";
      check = x: left.check x || right.check x;
      merge =
        loc: defs:
        if all (def: left.check def.value) defs then
          left.merge loc defs
        else if all (def: right.check def.value) defs then
          right.merge loc defs
        else
          mergeOneOption loc defs;
      functor = defaultFunctor "either" // {
        type = payload: either payload.left payload.right;
        payload = { inherit left right; };
        wrapped = [
          left
          right
        ];
        binOp =
          a: b:
          let
            left = a.left.typeMerge b.left.functor;
            right = a.right.typeMerge b.right.functor;
          in
          if left == null || right == null then null else { inherit left right; };
      };
      nestedTypes = { inherit left right; };
    };
  oneOf =
    types:
    if types == [ ] then
      throw "types.oneOf needs at least one type"
    else
      foldl' either (head types) (tail types);

  # Values of `from` are converted by `convert` into values of `to`.
  coercedTo =
    from: convert: to:
    if from.getSubModules != null then
      throw "coercedTo: the type that is converted must not have submodules (it's a ${from.description})"
    else
      makeType {
        name = "coercedTo";
        description = "${describeNoun to} or ${describeNoun from} convertible to it";
        check = x: from.check x && to.check (convert x) || to.check x;
        merge =
          loc: defs:
          to.merge loc (
            map (def: if from.check def.value then def // { value = convert def.value; } else def) defs
          );
        inherit (to) emptyValue getSubOptions getSubModules;
        substSubModules = modules: coercedTo from convert (to.substSubModules modules);
        typeMerge = _: null;
        functor = defaultFunctor "coercedTo" // {
          wrapped = to;
        };
        nestedTypes = {
          coercedType = from;
          finalType = to;
        };
      };

  uniq = unique { message = ""; };
  unique =
    { message }:
    type:
    makeType {
      name = "unique";
      inherit (type)
        description
        descriptionClass
        check
        emptyValue
        getSubOptions
        getSubModules
        ;
      merge = mergeUniqueOption {
        inherit message;
        inherit (type) merge;
      };
      substSubModules = modules: unique { inherit message; } (type.substSubModules modules);
      functor = elementFunctor "unique" (unique { inherit message; }) type // {
        wrapped = type;
      };
      nestedTypes.elemType = type;
    };
}
