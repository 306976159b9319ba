# Derivations of texts.
{ lib }:
final: _:
{
  writeText = name: text: final.build "text" { inherit name text; };
}
