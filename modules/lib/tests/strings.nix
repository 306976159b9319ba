{ lib }:
with lib;
{
  join = { expr = [ (concatStrings [ "a" "b" ]) (concatMapStringsSep "-" toUpper [ "a" "b" ]) (concatImapStringsSep "-" (n: x: "${toString n}${x}") [ "a" "b" ]) (concatLines [ "a" "b" ]) ]; expected = [ "ab" "A-B" "1a-2b" "a\nb\n" ]; };
  intersperse = { expr = intersperse "/" [ "usr" "local" ]; expected = [ "usr" "/" "local" ]; };
  search-path = { expr = [ (makeBinPath [ "/root" "/usr" ]) (makeSearchPath "lib" [ null "/a" ]) ]; expected = [ "/root/bin:/usr/bin" "/a/lib" ]; };
  optional = { expr = [ (optionalString true "x") (optionalString false "x") ]; expected = [ "x" "" ]; };
  affixes = { expr = [ (hasPrefix "foo" "foobar") (hasPrefix "foo" "barfoo") (hasSuffix "foo" "barfoo") (hasInfix "bc" "abcd") (hasInfix "." "abcd") ]; expected = [ true false true true false ]; };
  remove-affixes = { expr = [ (removePrefix "foo." "foo.bar") (removePrefix "x" "foo") (removeSuffix "front" "homefront") (removeSuffix "x" "") ]; expected = [ "bar" "foo" "home" "" ]; };
  split = { expr = [ (splitString "." "foo.bar.baz") (splitString "/" "/usr/bin") (splitString "ab" "cabd") ]; expected = [ [ "foo" "bar" "baz" ] [ "" "usr" "bin" ] [ "c" "d" ] ]; };
  case = { expr = [ (toUpper "hoMe") (toLower "HOME") (toSentenceCase "home Page") (strings.toCamelCase "foo-bar baz") ]; expected = [ "HOME" "home" "Home page" "fooBarBaz" ]; };
  trim = { expr = [ (trim "  hello \n") (trim "") (trim "\t a b ") (trimWith { start = true; } " x ") ]; expected = [ "hello" "" "a b" "x " ]; };
  escape = { expr = [ (escape [ "(" ")" ] "(foo)") (escapeShellArg "esc'ape\nme") (escapeShellArg "plain-1.0") (escapeShellArgs [ "a b" 1 "" ]) (escapeRegex "[^a-z]*") (escapeXML "\"<>&'") (escapeNixString "a\${b}") ]; expected = [ "\\(foo\\)" "'esc'\\''ape\nme'" "plain-1.0" "'a b' 1 ''" "\\[\\^a-z]\\*" "&quot;&lt;&gt;&amp;&apos;" "\"a\\\${b}\"" ]; };
  identifiers = { expr = map escapeNixIdentifier [ "foo" "0foo" "foo.bar" "a-b'" "let" "" ]; expected = [ "foo" "\"0foo\"" "\"foo.bar\"" "a-b'" "\"let\"" "\"\"" ]; };
  shell-vars = { expr = [ (toShellVar "a" "x y") (toShellVar "b" [ "x" "y z" ]) (toShellVar "c" { k = "v"; }) ]; expected = [ "a='x y'" "declare -a b=(x 'y z')" "declare -A c=([k]=v)" ]; };
  url = { expr = strings.escapeURL "a b/ü?"; expected = "a%20b%2Fü%3F"; };
  fixed-width = { expr = [ (fixedWidthString 5 "0" "15") (fixedWidthNumber 3 7) ]; expected = [ "00015" "007" ]; };
  characters = { expr = [ (stringToCharacters "abc") (stringAsChars (c: if c == "a" then "i" else c) "nax") (charToInt "A") (charToInt "~") (charToInt "\n") ]; expected = [ [ "a" "b" "c" ] "nix" 65 126 10 ]; };
  numbers = { expr = [ (toInt "1337") (toInt " 123 ") (toInt "-4") (toIntBase10 "0123") (toIntBase10 "-007") (toIntBase10 "0") ]; expected = [ 1337 123 (-4) 123 (-7) 0 ]; };
  ambiguous-number = { expr = (builtins.tryEval (toInt "00024")).success; expected = false; };
  versions = { expr = [ (versionOlder "1.1" "1.2") (versionAtLeast "1.1" "1.0") (versionAtLeast "1.1" "1.1") ]; expected = [ true true true ]; };
  names = { expr = [ (getName "youtube-dl-2016.01.01") (getVersion "youtube-dl-2016.01.01") (getName { pname = "x"; }) (nameFromURL "https://x.org/a-1.2.tar.gz" ".tar") ]; expected = [ "youtube-dl" "2016.01.01" "x" "a-1.2" ]; };
  store-paths = { expr = map isStorePath [ "${builtins.storeDir}/d945ibfx9x185xf04b890y4f9g3cbb63-python" "${builtins.storeDir}/a/b" [ ] 42 ]; expected = [ true false false false ]; };
  derivation-names = { expr = map sanitizeDerivationName [ "foo" "..foo" "foo bar" "" "a?b=c" ]; expected = [ "foo" "foo" "foo-bar" "unknown" "a?b=c" ]; };
  levenshtein = { expr = [ (levenshtein "foo" "foo") (levenshtein "book" "hook") (levenshtein "hello" "Heyo") (levenshtein "" "abc") (levenshteinAtMost 1 "foo" "fo") (levenshteinAtMost 1 "foo" "bar") ]; expected = [ 0 1 3 3 true false ]; };
  common = { expr = [ (strings.commonPrefixLength "pan" "parser") (strings.commonSuffixLength "ban" "tan") ]; expected = [ 2 2 ]; };
  string-like = { expr = map isStringLike [ "a" ./. { outPath = "x"; } 1 ]; expected = [ true true true false ]; };
  flags = { expr = [ (enableFeature true "x") (withFeatureAs true "x" "y") (mesonBool "a" true) (cmakeBool "A" false) ]; expected = [ "--enable-x" "--with-x=y" "-Da=true" "-DA:BOOL=FALSE" ]; };
  normalize = { expr = strings.normalizePath "/a//b///c/"; expected = "/a/b/c/"; };
}
