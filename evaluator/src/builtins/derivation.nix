# `derivation`: a set with an attribute for each output, each of which is such a set again. Only
# the list of outputs is needed to make it; `derivationStrict` runs when a path is asked for.
drvAttrs@{ outputs ? [ "out" ], ... }:

let
  strict = derivationStrict drvAttrs;

  common = drvAttrs // builtins.listToAttrs named // {
    all = map (output: output.value) named;
    inherit drvAttrs;
  };

  named = map (outputName: {
    name = outputName;
    value = common // {
      outPath = builtins.getAttr outputName strict;
      drvPath = strict.drvPath;
      type = "derivation";
      inherit outputName;
    };
  }) outputs;
in
(builtins.head named).value
