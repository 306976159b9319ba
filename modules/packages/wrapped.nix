# Programs that look for their own files below /usr, by names that are fixed in them: scripts tell
# them by variables where the files are. A variable that somebody has set counts.
final: below:
let
  inherit (builtins)
    attrNames
    concatMap
    concatStringsSep
    elemAt
    filter
    genericClosure
    isList
    listToAttrs
    map
    match
    ;

  # `package` with another object in its place.
  replace =
    package: object:
    let
      self = package // {
        inherit (object) outPath drvPath;
        out = self;
        all = [ self ];
      };
    in
    self;

  name = package: "${package.pname}-${package.version}";

  # Every program of the package with these variables; everything else is as it was.
  withVariables =
    variables: package:
    let
      line = variable: ''export ${variable}="''${${variable}-${variables.${variable}}}"'';
      head = ''
        #!${final.bash}/bin/bash
        ${concatStringsSep "\n" (map line (attrNames variables))}
      '';
    in
    replace package (
      final.runCommand (name package) { inherit head; } ''
        mkdir -p $out/bin
        ln -s $(ls -d ${package}/* | grep -v /bin$) $out/
        for program in ${package}/bin/*; do
          wrapper=$out/bin/''${program##*/}
          printf '%sexec -a "$0" %s "$@"\n' "$head" "$program" > $wrapper
          chmod 755 $wrapper
        done
      ''
    );

  # GnuPG looks for a file beside the program, so that the programs lie in an object of their own.
  gnupg =
    package:
    replace package (
      final.runCommand (name package) { } ''
        mkdir -p $out
        ln -s $(ls -d ${package}/* | grep -v /bin$) $out/
        ln -s lib/gnupg $out/libexec
        cp -r ${package}/bin $out/bin
        chmod u+w $out/bin
        echo "rootdir = $out" > $out/bin/gpgconf.ctl
      ''
    );

  folders = concatStringsSep ":";
  # 5.36 of 5.36.0-7: what folders are called after.
  minor = version: elemAt (match "([0-9]+[.][0-9]+).*" version) 0;
  machine = "x86_64-linux-gnu";

  changes = {
    file = withVariables { MAGIC = "${below.libmagic-mgc}/lib/file/magic.mgc"; };
    git = withVariables {
      GIT_EXEC_PATH = "${below.git}/lib/git-core";
      GIT_TEMPLATE_DIR = "${below.git}/share/git-core/templates";
    };
    inherit gnupg;
    openssl = withVariables { OPENSSL_CONF = "${below.openssl}/etc/ssl/openssl.cnf"; };
    perl = withVariables {
      PERL5LIB = folders [
        "${below.perl}/share/perl5"
        "${below.perl}/lib/${machine}/perl/${minor below.perl.version}"
        "${below.perl}/share/perl/${minor below.perl.version}"
        "${below.perl}/lib/${machine}/perl-base"
      ];
    };
    ruby =
      let
        version = "${minor below.ruby.version}.0";
      in
      withVariables {
        RUBYLIB = folders (
          map (folder: "${below.ruby}/lib/${folder}") [
            "ruby/vendor_ruby"
            "ruby/${version}"
            "${machine}/ruby/${version}"
          ]
        );
      };
    vim = withVariables { VIM = "${below.vim}/share/vim"; };
  };

  # -- Python
  pythonName = debian: match "python3-(.*)" debian;
  pythonPackages = listToAttrs (
    concatMap (
      debian:
      let
        short = pythonName debian;
      in
      if isList short then
        [
          {
            name = elemAt short 0;
            value = below.${debian};
          }
        ]
      else
        [ ]
    ) (attrNames below)
  );

  # `python3.withPackages (ps: [ ps.requests ])`: the programs of Python, which find these modules.
  withPackages =
    choose:
    let
      chosen = choose pythonPackages;
      items = map (key: {
        inherit key;
      });
      # What they depend on is in the lock because they are.
      closure = map (item: item.key) (genericClosure {
        startSet = items (map (package: package.pname) chosen);
        operator =
          item: items (filter (debian: isList (pythonName debian)) (below.${item.key}.dependencies or [ ]));
      });
      path = package: "${package}/lib/python3/dist-packages";
      object = package: package.passthru.object or package;
    in
    replace below.python3 (
      final.runCommand "${name below.python3}-env" { } ''
        mkdir -p $out/bin
        for program in ${below.python3}/bin/*; do
          wrapper=$out/bin/''${program##*/}
          {
            echo '#!${final.bash}/bin/bash'
            echo 'export PYTHONPATH=${
              folders (map path chosen ++ map (debian: path (object below.${debian})) closure)
            }''${PYTHONPATH:+:$PYTHONPATH}'
            echo "exec $program \"\$@\""
          } > $wrapper
          chmod 755 $wrapper
        done
      ''
    );

  present = filter (package: below ? ${package}) (attrNames changes);
in
listToAttrs (
  map (name: {
    inherit name;
    value = changes.${name} below.${name};
  }) present
)
// {
  python3Packages = pythonPackages;

  # Debian's is part of what only Debian's own scripts need.
  which = final.writeShellScriptBin "which" ''
    if [ "''${1-}" = -a ]; then shift; type -aP -- "$@"; else type -P -- "$@"; fi
  '';
}
// (
  if below ? python3 then
    {
      python3 = below.python3 // {
        inherit withPackages;
        pkgs = pythonPackages;
      };
    }
  else
    { }
)
