# The library's tests: { values; errors; }. A value is { expr; expected; }; an error is
# { expr; message; } (or `messages`), where evaluating `expr` fails and says the message.
#
#   nix-instantiate --eval --strict modules/lib/tests -A failures      lists what is not as expected
{
  lib ? import ../.,
}:
let
  values =
    builtins.mapAttrs (_: file: import file { inherit lib; }) {
      trivial = ./trivial.nix;
      lists = ./lists.nix;
      attrsets = ./attrsets.nix;
      strings = ./strings.nix;
      generators = ./generators.nix;
      modules = ./modules.nix;
      types = ./types.nix;
      formats = ./formats.nix;
    };
in
{
  failures = lib.concatMap (
    part:
    lib.concatMap (
      name:
      let
        test = values.${part}.${name};
        result = builtins.tryEval (builtins.deepSeq test.expr test.expr);
      in
      if result.success && result.value == test.expected then
        [ ]
      else
        [
          {
            name = "${part}.${name}";
            inherit (test) expected;
            found = if result.success then result.value else "<an error>";
          }
        ]
    ) (lib.attrNames values.${part})
  ) (lib.attrNames values);
  count = lib.foldl' (sum: part: sum + lib.length (lib.attrNames part)) 0 (lib.attrValues values);

  errors = import ./errors.nix { inherit lib; };
  messages = lib.mapAttrs (_: test: test.messages or [ test.message ]) (import ./errors.nix { inherit lib; });
}
