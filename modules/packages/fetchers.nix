# Files of the network, by their hash. cairn fetches them itself, through the host's proxies.
final: _: {
  # One file. `mirror://debian/…` is asked of the mirrors that packages come from.
  fetchurl =
    {
      url ? null,
      urls ? if url == null then throw "fetchurl needs a url" else [ url ],
      name ? baseNameOf (builtins.head urls),
      hash ? "",
      sha256 ? "",
      sha512 ? "",
      executable ? false,
      meta ? { },
      passthru ? { },
      ...
    }:
    let
      algorithm =
        if hash != "" then
          { outputHash = hash; }
          # `sha256-…` and `sha256:…` say it themselves.
          // (if builtins.match "[a-z0-9]+[-:].*" hash != null then { } else { outputHashAlgo = "sha256"; })
        else if sha256 != "" then
          {
            outputHash = sha256;
            outputHashAlgo = "sha256";
          }
        else if sha512 != "" then
          {
            outputHash = sha512;
            outputHashAlgo = "sha512";
          }
        else
          throw "fetchurl of ${builtins.head urls} needs a hash, so that it gives the same file tomorrow";
      file = derivation (
        algorithm
        // {
          inherit name urls;
          url = builtins.head urls;
          inherit (final) system;
          builder = "builtin:fetchurl";
          outputHashMode = if executable then "recursive" else "flat";
          executable = if executable then "1" else "";
          preferLocalBuild = true;
        }
      );
    in
    file // passthru // { inherit meta passthru urls; };
}
