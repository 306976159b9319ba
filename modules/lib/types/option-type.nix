# What a type is: a name, a check of the outermost value, and a way to merge definitions.
{ lib }:

let

in
rec {
  isType = kind: x: (x._type or "") == kind;
  setType = kind: value: value // { _type = kind; };
  isOptionType = isType "option-type";

  # `makeType` is `mkOptionType` for the types of this library, whose `merge` knows that a definition
  # has more fields than `file` and `value`.
  makeType =
    {
      name,
      description ? name,
      # Says where the description may stand in another without parentheses: "noun",
      # "conjunction", "composite" or "nonRestrictiveClause".
      descriptionClass ? null,
      check ? _: true,
      merge ? lib.mergeDefaultOption,
      # { value = …; } if no definition at all means something.
      emptyValue ? { },
      getSubOptions ? _: { },
      getSubModules ? null,
      substSubModules ? _: null,
      typeMerge ? defaultTypeMerge functor,
      functor ? defaultFunctor name,
      deprecationMessage ? null,
      nestedTypes ? { },
    }:
    {
      _type = "option-type";
      description = if description == null then name else description;
      inherit
        name
        descriptionClass
        check
        merge
        emptyValue
        getSubOptions
        getSubModules
        substSubModules
        typeMerge
        functor
        deprecationMessage
        nestedTypes
        ;
    };
  mkOptionType =
    args:
    makeType (
      args
      // (
        if args ? merge then
          {
            merge =
              loc: defs:
              args.merge loc (
                map (def: {
                  inherit (def) file value;
                }) defs
              );
          }
        else
          { }
      )
    );

  # How two types of one name become one: `type` makes a type of a payload, `binOp` one payload of
  # two, or null if they do not go together.
  defaultFunctor = name: {
    inherit name;
    type = lib.types.${name} or null;
    wrapped = null;
    payload = null;
    binOp = _: _: null;
  };
  defaultTypeMerge =
    f: f':
    if f.name != f'.name then
      null
    else if f.payload or null != null then
      let
        payload = f.binOp f.payload f'.payload;
      in
      if payload == null then null else f.type payload
    else if f.wrapped or null != null then
      let
        wrapped = f.wrapped.typeMerge f'.wrapped.functor;
      in
      if wrapped == null then null else f.type wrapped
    else
      f.type;
  # For a type that is made of one other.
  elementFunctor =
    name: type: elemType:
    defaultFunctor name
    // {
      payload = { inherit elemType; };
      type = payload: type payload.elemType;
      binOp =
        a: b:
        let
          merged = a.elemType.typeMerge b.elemType.functor;
        in
        if merged == null then null else { elemType = merged; };
    };

  optionDescriptionPhrase =
    fits: type:
    if fits (type.descriptionClass or null) then type.description else "(${type.description})";
  describeNoun = optionDescriptionPhrase (class: class == "noun");
  describeElement = optionDescriptionPhrase (class: class == "noun" || class == "composite");
  describeAlternative = optionDescriptionPhrase (class: class == "noun" || class == "conjunction");
}
