# Values of GVariant, which dconf's files hold.
{ lib }:

let
  inherit (builtins)
    isBool
    isFloat
    isInt
    isList
    isString
    ;
in
rec {
  isGVariant = x: x._type or "" == "gvariant";
  mkPrimitive = type: value: {
    _type = "gvariant";
    inherit type value;
    __toString = self: "@${type} ${toString value}";
  };
  mkValue =
    x:
    if isGVariant x then
      x
    else if isBool x then
      mkBoolean x
    else if isInt x then
      mkInt32 x
    else if isFloat x then
      mkDouble x
    else if isString x then
      mkString x
    else if isList x then
      mkArray x
    else
      throw "a ${builtins.typeOf x} has no form in GVariant";
  mkBoolean = v: mkPrimitive "b" v // { __toString = _: lib.boolToString v; };
  mkInt32 = v: mkPrimitive "i" v // { __toString = _: toString v; };
  mkUint32 = v: mkPrimitive "u" v // { __toString = _: "uint32 ${toString v}"; };
  mkDouble = v: mkPrimitive "d" v // { __toString = _: lib.floatToString v; };
  mkString = v: mkPrimitive "s" v // { __toString = _: "'${lib.escape [ "'" "\\" ] v}'"; };
  mkArray =
    elements:
    let
      values = map mkValue elements;
      type = if values == [ ] then "s" else (builtins.head values).type;
    in
    mkPrimitive "a${type}" values
    // {
      __toString = _: "@a${type} [${lib.concatMapStringsSep "," toString values}]";
    };
  mkEmptyArray = type: mkPrimitive "a${type}" [ ] // { __toString = _: "@a${type} []"; };
  mkTuple =
    elements:
    let
      values = map mkValue elements;
      type = "(${lib.concatMapStrings (v: v.type) values})";
    in
    mkPrimitive type values
    // {
      __toString = _: "@${type} (${lib.concatMapStringsSep "," toString values})";
    };
}
