# Assertions that say what was wrong.
{ lib }:

rec {
  assertMsg = condition: message: condition || throw message;
  assertOneOf =
    name: value: valid:
    assertMsg (builtins.elem value valid) "${name} must be one of ${
      lib.generators.toPretty { multiline = false; } valid
    }, but is ${lib.generators.toPretty { multiline = false; } value}";
  assertEachOneOf =
    name: values: valid:
    builtins.all (value: assertOneOf "each element of ${name}" value valid) values;
  # Checks a list of { assertion; message; }, as modules' `assertions` are.
  checkAssertWarn =
    assertions: warnings: value:
    let
      failed = map (a: a.message) (builtins.filter (a: !a.assertion) assertions);
    in
    if failed == [ ] then
      lib.showWarnings warnings value
    else
      throw "Failed assertions:\n${lib.concatMapStringsSep "\n" (message: "- ${message}") failed}";
}
