# Certificates of authorities that programs trust.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) literalExpression mkOption types;
  cfg = config.security.pki;
  bundle = pkgs.build "ca-bundle" (
    {
      name = "ca-bundle";
      certificates = "${pkgs.ca-certificates}/share/ca-certificates";
    }
    // lib.optionalAttrs (extra != "") { inherit extra; }
    // lib.optionalAttrs (cfg.caCertificateBlacklist != [ ]) {
      blocked = lib.concatStringsSep "\n" cfg.caCertificateBlacklist;
    }
  );
  extra = lib.concatStringsSep "\n" (cfg.certificates ++ map lib.fileContents cfg.certificateFiles);
in
{
  options.security.pki = {
    installCACerts = mkOption {
      type = types.bool;
      default = true;
      description = "Whether {file}`/etc/ssl/certs/ca-certificates.crt` is there.";
    };
    certificateFiles = mkOption {
      type = types.listOf types.path;
      default = [ ];
      example = literalExpression "[ ./our-authority.crt ]";
      description = "Files of further certificates in PEM, read when the configuration is evaluated.";
    };
    certificates = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = literalExpression ''
        [
          '''
            -----BEGIN CERTIFICATE-----
            MIIGUDCCBTigAwIBAgIDD8KWMA0GCSqGSIb3DQEBBQUAMIGMMQswCQYDVQQGEwJJ
            -----END CERTIFICATE-----
          '''
        ]
      '';
      description = "Further certificates, in PEM.";
    };
    caCertificateBlacklist = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "WoSign_China.crt" ];
      description = ''
        Certificates of Debian's that are not trusted, by the name of their file in
        {file}`share/ca-certificates/mozilla`.
      '';
    };
  };

  config = lib.mkIf cfg.installCACerts {
    # What OpenSSL would look for below /usr.
    systemd.globalEnvironment.SSL_CERT_FILE = "/etc/ssl/certs/ca-certificates.crt";
    environment.etc = {
      "ssl/certs/ca-certificates.crt".source = "${bundle}/ca-certificates.crt";
      # Where other distributions have it, and programs look.
      "ssl/certs/ca-bundle.crt".source = "${bundle}/ca-certificates.crt";
      "pki/tls/certs/ca-bundle.crt".source = "${bundle}/ca-certificates.crt";
    };
  };
}
