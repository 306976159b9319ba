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

      # What programs say that have names below /usr fixed in them; here is no /usr.
      fixed-names =
        final.runCommand "fixed-names"
          {
            nativeBuildInputs = [
              final.file
              final.git
              final.gnupg
              final.openssl
              final.perl
              final.ruby
              final.vim
              (final.python3.withPackages (ps: [ ps.requests ]))
            ];
          }
          ''
            exec > $out
            export HOME=$PWD
            file --brief --mime-type $SHELL
            git init --quiet --template= one && git clone --quiet one two 2> /dev/null && ls -A two
            gpg --quiet --batch --passphrase "" --quick-gen-key somebody 2> /dev/null
            gpg --list-keys --with-colons | grep --count ^pub
            openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -keyout key -out cert 2> /dev/null
            openssl x509 -in cert -noout -subject
            perl -MPOSIX -MEncode -e 'print floor(42.5), "\n"'
            python3 -c 'import requests, ssl; print(requests.codes.ok)'
            ruby -e 'require "json"; puts JSON.generate([1])'
            vim -es -c 'redir! > said' -c 'silent echo filereadable($VIMRUNTIME . "/syntax/c.vim")' -c q
            echo "$(tail -n 1 said)"
          '';

      view = final.fhs {
        name = "view";
        packages = [ final.zlib1g ];
        profile = "export FROM_PROFILE=yes";
      };
    })
  ];
}
