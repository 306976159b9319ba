# What a user may write instead of a value of the wrong type.
{ lib }:

let
  inherit (builtins)
    elem
    filter
    head
    isAttrs
    isFunction
    isInt
    isList
    isString
    match
    ;
  inherit (lib.diagnostics) nearest showValue;

  # Examples by the names of types.
  examples = {
    bool = "true";
    boolByOr = "true";
    int = "42";
    float = "1.5";
    numberBetween = "1.5";
    str = "\"text\"";
    singleLineStr = "\"text\"";
    nonEmptyStr = "\"text\"";
    separatedString = "\"text\"";
    string = "\"text\"";
    path = "./file";
    pathInStore = "\"\${pkgs.hello}/bin/hello\"";
    package = "pkgs.hello";
    attrs = "{ name = …; }";
    submodule = "{ … }";
    unsignedInt16 = "8080";
    positiveInt = "42";
    unsignedInt = "42";
  };

  wordsOfTruth = {
    "true" = "true";
    yes = "true";
    on = "true";
    "false" = "false";
    no = "false";
    off = "false";
  };

  isNamed = names: type: elem (type.name or "") names;
  isListType = isNamed [
    "listOf"
    "nonEmptyListOf"
  ];
  isBoolType = isNamed [
    "bool"
    "boolByOr"
  ];
  accepts = type: type.check or (_: false);
  element = type: type.nestedTypes.elemType or { };
in
rec {
  # How a value of a type may be written; null if nothing is known.
  exampleOf =
    type:
    let
      name = type.name or "";
      inner = exampleOf (element type);
      orDots = if inner == null then "…" else inner;
    in
    if examples ? ${name} then
      examples.${name}
    else if name == "enum" && type.functor.payload.values or [ ] != [ ] then
      showValue (head type.functor.payload.values)
    else if name == "either" then
      exampleOf type.nestedTypes.left
    else if name == "coercedTo" then
      exampleOf type.nestedTypes.finalType
    else if name == "nullOr" || name == "unique" then
      inner
    else if isListType type then
      "[ ${orDots} ]"
    else if name == "attrsOf" || name == "lazyAttrsOf" then
      "{ name = ${orDots}; }"
    else if name == "functionTo" then
      "x: ${orDots}"
    else
      null;

  # The example that the option's declaration gives, or one for its type.
  exampleFor =
    option:
    let
      given = option.example or null;
    in
    if given == null then
      exampleOf (option.type or { })
    else if isAttrs given && given ? _type && given ? text then
      given.text
    else
      showValue given;

  # What was probably meant by a value that a type does not take; null if nobody knows.
  hintFor =
    type: value:
    let
      shown = showValue value;
      isWord = isString value && match "[a-zA-Z0-9][a-zA-Z0-9+._-]*" value != null;
      isRelative = isString value && match "[^/ ].*/.*|\\..*" value != null;
      near = nearest value (filter isString (type.functor.payload.values or [ ]));
      hints = [
        {
          applies = isFunction value;
          text = "is an argument missing? A function needs its arguments before it is a value";
        }
        {
          applies = isListType type && !isList value && shown != null && accepts (element type) value;
          text = "a list is written in brackets: [ ${toString shown} ]";
        }
        {
          applies = isBoolType type && isString value && wordsOfTruth ? ${value};
          text = "write ${wordsOfTruth.${value}}, without quotes";
        }
        {
          applies = isString value && match "-?[0-9]+" value != null && accepts type (lib.toIntBase10 value);
          text = "write ${value}, without quotes";
        }
        {
          applies = isInt value && accepts type (toString value);
          text = "write \"${toString value}\", in quotes";
        }
        {
          applies = isNamed [ "package" ] type && isWord;
          text = "a package is no string: write pkgs.${value}, without quotes";
        }
        {
          applies = isNamed [ "path" ] type && isRelative;
          text = "a file beside this one is written without quotes: ${
            if lib.hasPrefix "." value then value else "./${value}"
          }";
        }
        {
          applies = isNamed [ "enum" ] type && isString value && near != [ ];
          text = "did you mean \"${head near}\"?";
        }
      ];
      found = lib.findFirst (hint: hint.applies) null hints;
    in
    if found == null then null else found.text;
}
