# Languages: locales are compiled from Debian's sources, those that are asked for alone.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    literalExpression
    mkIf
    mkOption
    types
    ;
  cfg = config.i18n;

  # `de_DE.UTF-8/UTF-8`; without a character set it is the locale's own.
  parse =
    locale:
    let
      parts = builtins.match "([A-Za-z_]+)(\\.([A-Za-z0-9-]+))?(@[a-z]+)?(/([A-Za-z0-9_-]+))?" locale;
      part = lib.elemAt parts;
      charset =
        if part 5 != null then
          part 5
        else if part 2 != null then
          part 2
        else
          "UTF-8";
    in
    if parts == null then
      throw "i18n: '${locale}' is no locale; examples are en_US.UTF-8, de_DE@euro/ISO-8859-15"
    else
      {
        source = part 0 + lib.optionalString (part 3 != null) (part 3);
        name =
          part 0
          + lib.optionalString (part 1 != null) (part 1)
          + lib.optionalString (part 3 != null) (part 3);
        charmap = if lib.toLower charset == "utf8" then "UTF-8" else charset;
      };

  # The C library brings those along.
  builtin = [
    "C"
    "POSIX"
    "C.UTF-8"
    "C.utf8"
  ];

  wanted = lib.unique (
    lib.filter (
      locale: !(lib.elem (lib.head (lib.splitString "/" locale)) builtin)
    ) cfg.supportedLocales
  );

  locales =
    pkgs.runCommand "locales"
      {
        nativeBuildInputs = [
          pkgs.libc-bin
          pkgs.gzip
        ];
        I18NPATH = "${pkgs.locales}/share/i18n";
      }
      (
        "mkdir -p $out/lib/locale\n"
        + lib.concatMapStrings (
          locale:
          let
            it = parse locale;
          in
          ''
            if ! [ -e $I18NPATH/locales/${it.source} ]; then
              echo "i18n.supportedLocales: there is no locale '${it.source}' in Debian's package locales" >&2
              exit 1
            fi
            localedef --no-archive --force -i ${it.source} -f ${it.charmap} $out/lib/locale/${it.name} || [ $? = 1 ]
          ''
        ) wanted
      );
in
{
  options.i18n = {
    defaultLocale = mkOption {
      type = types.str;
      default = "C.UTF-8";
      example = "de_DE.UTF-8";
      description = "The language of programs, and how they write dates and numbers.";
    };
    extraLocaleSettings = mkOption {
      type = types.attrsOf types.str;
      default = { };
      example = {
        LC_TIME = "en_DK.UTF-8";
      };
      description = "Parts of that which are different, by variable.";
    };
    supportedLocales = mkOption {
      type = types.listOf types.str;
      default = lib.unique (
        map (locale: "${locale}/UTF-8") (
          lib.filter (locale: !(lib.hasInfix "@" locale)) (
            [ cfg.defaultLocale ] ++ lib.attrValues cfg.extraLocaleSettings ++ cfg.extraLocales
          )
        )
      );
      defaultText = literalExpression "the locales that are set";
      example = [ "en_GB.UTF-8/UTF-8" ];
      description = "Locales that are there beside `C.UTF-8`, each with its character set.";
    };
    extraLocales = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "Further ones.";
    };
    glibcLocales = mkOption {
      type = types.package;
      default = locales;
      defaultText = literalExpression "the supported locales, compiled";
      description = "The compiled locales.";
    };
  };

  config = {
    environment.sessionVariables = {
      LANG = cfg.defaultLocale;
    }
    // cfg.extraLocaleSettings;
    systemd.globalEnvironment = {
      LANG = cfg.defaultLocale;
      LOCPATH = mkIf (wanted != [ ]) "/run/current-system/sw/lib/locale";
    };
    environment.systemPackages = mkIf (wanted != [ ]) [ cfg.glibcLocales ];
    environment.etc."locale.conf".text =
      "LANG=${cfg.defaultLocale}\n"
      + lib.concatStrings (
        lib.mapAttrsToList (name: value: "${name}=${value}\n") cfg.extraLocaleSettings
      );
  };
}
