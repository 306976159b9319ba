# Programs from source, as an overlay of the package set.
{
  nixpkgs.overlays = [
    (final: _: {
      # Configured by autotools, with tests of its own.
      hello-from-source = final.stdenv.mkDerivation (finalAttrs: {
        pname = "hello";
        version = "2.10";
        src = final.fetchurl {
          url = "mirror://debian/pool/main/h/hello/hello_${finalAttrs.version}.orig.tar.gz";
          hash = "sha256-MeBmE3qWJnbon2nRtlOC3pWn732RS4y5VvQepy4PUWs=";
        };
        doCheck = true;
        meta.mainProgram = "hello";
      });

      # A Makefile, two languages, two outputs.
      plain = final.callPackage (
        { mkDerivation, makeWrapper }:
        mkDerivation {
          name = "plain";
          src = ./plain;
          outputs = [
            "out"
            "doc"
          ];
          nativeBuildInputs = [ makeWrapper ];
          makeFlags = [ "PREFIX=$(out)" ];
          postInstall = ''
            mkdir -p $doc
            echo "see $out" > $doc/readme
            wrapProgram $out/bin/plain --set GREETING 'good day'
          '';
        }
      ) { };

      # CMake, a library of its own and one of Debian's.
      with-cmake = final.mkDerivation {
        name = "with-cmake";
        src = ./cmake;
        nativeBuildInputs = [ final.cmake ];
        buildInputs = [ final.zlib1g-dev ];
      };

      view = final.fhs {
        name = "view";
        packages = [ final.zlib1g ];
        profile = "export FROM_PROFILE=yes";
      };
    })
  ];
}
