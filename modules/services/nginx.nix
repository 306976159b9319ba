# The web server nginx.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    concatMapStrings
    literalExpression
    mkIf
    mkOption
    optional
    optionalString
    types
    ;
  cfg = config.services.nginx;

  flag =
    description:
    mkOption {
      type = types.bool;
      default = false;
      inherit description;
    };
  lines =
    description:
    mkOption {
      type = types.lines;
      default = "";
      inherit description;
    };
  maybe =
    type: description:
    mkOption {
      type = types.nullOr type;
      default = null;
      inherit description;
    };

  location = {
    options = {
      proxyPass = maybe types.str "Server that answers in its place.";
      proxyWebsockets = flag "Whether WebSocket connections get through to it.";
      recommendedProxySettings = mkOption {
        type = types.bool;
        default = cfg.recommendedProxySettings;
        defaultText = literalExpression "config.services.nginx.recommendedProxySettings";
        description = "Whether that server is told who asks, and for which host.";
      };
      fastcgiParams = mkOption {
        type = types.attrsOf (types.either types.str types.path);
        default = { };
        description = "Parameters of FastCGI.";
      };
      uwsgiPass = maybe types.str "Server that is spoken to in uwsgi's protocol.";
      index = maybe types.str "What is sent for a folder.";
      tryFiles = maybe types.str "Files that are tried in turn.";
      root = maybe (types.either types.path types.str) "Folder of the files.";
      alias = maybe (types.either types.path types.str) "Folder in place of the location.";
      return = maybe (types.oneOf [
        types.str
        types.int
      ]) "Status, and what comes with it.";
      basicAuth = mkOption {
        type = types.attrsOf types.str;
        default = { };
        description = "Not supported: it would put passwords into the store. Use {option}`basicAuthFile`.";
      };
      basicAuthFile = maybe (types.either types.path types.str) "File of names and passwords that let somebody in.";
      extraConfig = lines "Further lines.";
      priority = mkOption {
        type = types.int;
        default = 1000;
        description = "Its place among the locations, the lowest first.";
      };
    };
  };

  listenType = types.submodule {
    options = {
      addr = mkOption {
        type = types.str;
        description = "Address; of version 6 in brackets.";
      };
      port = maybe types.port "Port.";
      ssl = flag "Whether TLS is spoken there.";
      proxyProtocol = flag "Whether a proxy tells there who asks.";
      extraParameters = mkOption {
        type = types.listOf types.str;
        default = [ ];
        description = "Further words of `listen`.";
      };
    };
  };

  host =
    { name, ... }:
    {
      options = {
        serverName = mkOption {
          type = types.nullOr types.str;
          default = name;
          description = "The host's name.";
        };
        serverAliases = mkOption {
          type = types.listOf types.str;
          default = [ ];
          description = "Further names.";
        };
        listen = mkOption {
          type = types.listOf listenType;
          default = [ ];
          description = "Where it listens; otherwise everywhere, on 80 or 443.";
        };
        listenAddresses = mkOption {
          type = types.listOf types.str;
          default = [ ];
          description = "Addresses on which it listens, with ports by default.";
        };
        default = flag "Whether it answers for names that are nobody's.";
        addSSL = flag "Whether TLS is spoken too.";
        onlySSL = flag "Whether nothing but TLS is spoken.";
        forceSSL = flag "Whether everybody is sent to TLS.";
        enableACME = flag "Not supported yet: give {option}`sslCertificate`.";
        useACMEHost = maybe types.str "Not supported yet.";
        sslCertificate = maybe (types.either types.path types.str) "File of the certificate.";
        sslCertificateKey = maybe (types.either types.path types.str) "File of its key.";
        sslTrustedCertificate = maybe (types.either types.path types.str) "File of the authorities' certificates.";
        http2 = mkOption {
          type = types.bool;
          default = true;
          description = "Whether HTTP/2 is spoken.";
        };
        root = maybe (types.either types.path types.str) "Folder of the files.";
        globalRedirect = maybe types.str "Host to which everything is sent.";
        redirectCode = mkOption {
          type = types.ints.between 300 399;
          default = 301;
          description = "Status with which it is.";
        };
        basicAuth = mkOption {
          type = types.attrsOf types.str;
          default = { };
          description = "Not supported: it would put passwords into the store. Use {option}`basicAuthFile`.";
        };
        basicAuthFile = maybe (types.either types.path types.str) "File of names and passwords that let somebody in.";
        extraConfig = lines "Further lines.";
        locations = mkOption {
          type = types.attrsOf (types.submodule location);
          default = { };
          example = literalExpression ''{ "/".proxyPass = "http://localhost:3000"; }'';
          description = "Parts of the host by path.";
        };
      };
    };

  hosts = lib.attrValues cfg.virtualHosts;
  hasTls = host: host.addSSL || host.onlySSL || host.forceSSL;

  proxyHeaders = ''
    proxy_set_header Host $host;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host $host;
    proxy_set_header X-Forwarded-Server $host;
  '';

  authText =
    where:
    optionalString (where.basicAuthFile != null) ''
      auth_basic "restricted";
      auth_basic_user_file ${where.basicAuthFile};
    '';

  set = keyword: value: optionalString (value != null) "${keyword} ${toString value};\n";

  locationText = path: where: ''
    location ${path} {
    ${set "root" where.root}${set "alias" where.alias}${set "index" where.index}${set "try_files" where.tryFiles}${set "return" where.return}${
      optionalString (where.proxyPass != null) (
        "proxy_pass ${where.proxyPass};\n"
        + optionalString where.proxyWebsockets ''
          proxy_http_version 1.1;
          proxy_set_header Upgrade $http_upgrade;
          proxy_set_header Connection $connection_upgrade;
        ''
        # Headers that are set here take the place of all that are set further out.
        + optionalString where.recommendedProxySettings proxyHeaders
      )
    }${
      optionalString (
        where.uwsgiPass != null
      ) "include ${pkgs.nginx-common}/etc/nginx/uwsgi_params;\nuwsgi_pass ${where.uwsgiPass};\n"
    }${
      lib.concatStrings (
        lib.mapAttrsToList (
          name: value: ''fastcgi_param ${name} "${toString value}";${"\n"}''
        ) where.fastcgiParams
      )
    }${authText where}${where.extraConfig}
    }
  '';

  listenText =
    host: listen:
    "listen ${listen.addr}${optionalString (listen.port != null) ":${toString listen.port}"}"
    + optionalString listen.ssl " ssl"
    + optionalString (listen.ssl && host.http2) " http2"
    + optionalString host.default " default_server"
    + optionalString listen.proxyProtocol " proxy_protocol"
    + lib.concatMapStrings (word: " ${word}") listen.extraParameters
    + ";\n";

  addresses =
    host: if host.listenAddresses != [ ] then host.listenAddresses else cfg.defaultListenAddresses;
  listenOn =
    host: port: ssl:
    map (addr: {
      inherit addr port ssl;
      proxyProtocol = false;
      extraParameters = [ ];
    }) (addresses host);
  plain = host: listenOn host cfg.defaultHTTPListenPort false;
  tls = host: listenOn host cfg.defaultSSLListenPort true;
  listens =
    host:
    if host.listen != [ ] then
      host.listen
    else
      lib.optionals (!host.onlySSL && !host.forceSSL) (plain host)
      ++ lib.optionals (hasTls host) (tls host);

  nameText =
    host:
    "server_name ${
      toString (optional (host.serverName != null) host.serverName ++ host.serverAliases)
    };\n";

  hostText =
    host:
    let
      ordered = lib.sort (a: b: a.value.priority < b.value.priority) (
        lib.mapAttrsToList lib.nameValuePair host.locations
      );
      isTls = hasTls host || lib.any (listen: listen.ssl) host.listen;
    in
    optionalString (host.forceSSL && host.listen == [ ]) ''
      server {
      ${concatMapStrings (listenText host) (plain host)}${nameText host}
      location / {
      return ${toString host.redirectCode} https://$host$request_uri;
      }
      }
    ''
    + ''
      server {
      ${concatMapStrings (listenText host) (listens host)}${nameText host}${
        optionalString isTls (
          set "ssl_certificate" host.sslCertificate
          + set "ssl_certificate_key" host.sslCertificateKey
          + set "ssl_trusted_certificate" host.sslTrustedCertificate
        )
      }${set "root" host.root}${authText host}${
        optionalString (host.globalRedirect != null) ''
          location / {
          return ${toString host.redirectCode} ${
            if isTls then "https" else "http"
          }://${host.globalRedirect}$request_uri;
          }
        ''
      }${concatMapStrings (entry: locationText entry.name entry.value) ordered}${host.extraConfig}
      }
    '';

  upstreamText = name: upstream: ''
    upstream ${name} {
    ${
      lib.concatStrings (
        lib.mapAttrsToList (
          server: parameters:
          "server ${server}${
            lib.concatStrings (
              lib.mapAttrsToList (
                key: value:
                if value == true then " ${key}" else optionalString (value != false) " ${key}=${toString value}"
              ) parameters
            )
          };\n"
        ) upstream.servers
      )
    }${upstream.extraConfig}
    }
  '';

  mapText = ''
    map $http_upgrade $connection_upgrade {
    default upgrade;
    "" close;
    }
  '';

  generated = ''
    pid /run/nginx/nginx.pid;
    user ${cfg.user} ${cfg.group};
    error_log ${cfg.logError};
    daemon off;
    ${cfg.config}
    ${optionalString (cfg.eventsConfig != "" || cfg.config == "") "events {\n${cfg.eventsConfig}\n}"}
    ${optionalString (cfg.config == "" || cfg.virtualHosts != { } || cfg.httpConfig != "") ''
      http {
      include ${pkgs.nginx-common}/etc/nginx/mime.types;
      default_type application/octet-stream;
      types_hash_max_size 4096;
      access_log /var/log/nginx/access.log;
      client_body_temp_path /var/cache/nginx/body;
      proxy_temp_path /var/cache/nginx/proxy;
      fastcgi_temp_path /var/cache/nginx/fastcgi;
      uwsgi_temp_path /var/cache/nginx/uwsgi;
      scgi_temp_path /var/cache/nginx/scgi;
      ${optionalString (cfg.resolver.addresses != [ ])
        "resolver ${toString cfg.resolver.addresses}${
          optionalString (cfg.resolver.valid != "") " valid=${cfg.resolver.valid}"
        }${optionalString (!cfg.resolver.ipv6) " ipv6=off"};"
      }
      ${optionalString cfg.recommendedOptimisation ''
        sendfile on;
        tcp_nopush on;
        tcp_nodelay on;
        keepalive_timeout 65;
      ''}
      ${optionalString cfg.recommendedTlsSettings ''
        ssl_protocols ${cfg.sslProtocols};
        ssl_session_timeout 1d;
        ssl_session_cache shared:SSL:10m;
        ssl_session_tickets off;
        ssl_prefer_server_ciphers off;
        ${optionalString (cfg.sslCiphers != null) "ssl_ciphers ${cfg.sslCiphers};"}
      ''}
      ${optionalString cfg.recommendedGzipSettings ''
        gzip on;
        gzip_static on;
        gzip_vary on;
        gzip_comp_level 5;
        gzip_min_length 256;
        gzip_proxied expired no-cache no-store private auth;
        gzip_types application/atom+xml application/javascript application/json application/xml image/svg+xml text/css text/javascript text/plain text/xml;
      ''}
      ${optionalString cfg.recommendedProxySettings ''
        proxy_redirect off;
        proxy_connect_timeout ${cfg.proxyTimeout};
        proxy_send_timeout ${cfg.proxyTimeout};
        proxy_read_timeout ${cfg.proxyTimeout};
        proxy_http_version 1.1;
        ${proxyHeaders}
      ''}
      ${mapText}
      client_max_body_size ${cfg.clientMaxBodySize};
      server_tokens ${if cfg.serverTokens then "on" else "off"};
      ${cfg.commonHttpConfig}
      ${lib.concatStrings (lib.mapAttrsToList upstreamText cfg.upstreams)}
      ${optionalString cfg.statusPage ''
        server {
        ${concatMapStrings (
          addr: "listen ${addr}:${toString cfg.defaultHTTPListenPort};\n"
        ) cfg.defaultListenAddresses}
        server_name localhost;
        location /nginx_status {
        stub_status on;
        access_log off;
        allow 127.0.0.1;
        allow ::1;
        deny all;
        }
        }
      ''}
      ${concatMapStrings hostText hosts}
      ${cfg.appendHttpConfig}
      ${cfg.httpConfig}
      }
    ''}
    ${optionalString (cfg.streamConfig != "") "stream {\n${cfg.streamConfig}\n}"}
    ${cfg.appendConfig}
  '';

  # Empty lines say nothing.
  tidy =
    text:
    lib.concatMapStrings (
      line: optionalString (builtins.match "[[:space:]]*" line == null) "${line}\n"
    ) (lib.splitString "\n" text);
  configuration = pkgs.writeText "nginx.conf" (tidy generated);
  nginx = "${cfg.package}/bin/nginx";
in
{
  options.services.nginx = {
    enable = flag "Whether nginx runs.";
    package = mkOption {
      type = types.package;
      default = pkgs.nginx;
      defaultText = literalExpression "pkgs.nginx";
      description = "The package with nginx.";
    };
    user = mkOption {
      type = types.str;
      default = "nginx";
      description = "User of its workers.";
    };
    group = mkOption {
      type = types.str;
      default = "nginx";
      description = "Group of its workers.";
    };
    virtualHosts = mkOption {
      type = types.attrsOf (types.submodule host);
      default = { };
      example = literalExpression ''
        {
          "example.org" = {
            root = "/srv/www";
            locations."/api".proxyPass = "http://localhost:3000";
          };
        }
      '';
      description = "Hosts by their names.";
    };
    upstreams = mkOption {
      type = types.attrsOf (
        types.submodule {
          options = {
            servers = mkOption {
              type = types.attrsOf (
                types.attrsOf (
                  types.oneOf [
                    types.bool
                    types.int
                    types.str
                  ]
                )
              );
              default = { };
              description = "Servers, each with parameters.";
            };
            extraConfig = lines "Further lines.";
          };
        }
      );
      default = { };
      description = "Groups of servers to pass requests on to.";
    };
    recommendedOptimisation = flag "Whether files are sent as the kernel does it best.";
    recommendedTlsSettings = flag "Whether TLS is set up as is recommended.";
    recommendedGzipSettings = flag "Whether texts are compressed.";
    recommendedProxySettings = flag "Whether servers behind are told who asks, and for which host.";
    recommendedBrotliSettings = flag "Not supported: Debian's nginx has it as a module.";
    recommendedZstdSettings = flag "Not supported: Debian's nginx does not have it.";
    defaultListenAddresses = mkOption {
      type = types.listOf types.str;
      default = [ "0.0.0.0" ] ++ optional config.networking.enableIPv6 "[::0]";
      defaultText = literalExpression ''[ "0.0.0.0" "[::0]" ]'';
      description = "Addresses that hosts listen on.";
    };
    defaultHTTPListenPort = mkOption {
      type = types.port;
      default = 80;
      description = "Port without TLS.";
    };
    defaultSSLListenPort = mkOption {
      type = types.port;
      default = 443;
      description = "Port with TLS.";
    };
    clientMaxBodySize = mkOption {
      type = types.str;
      default = "10m";
      description = "Most that a client may send.";
    };
    serverTokens = flag "Whether it tells its version.";
    sslProtocols = mkOption {
      type = types.str;
      default = "TLSv1.2 TLSv1.3";
      description = "Versions of TLS.";
    };
    sslCiphers = maybe types.str "Ciphers of TLS.";
    proxyTimeout = mkOption {
      type = types.str;
      default = "60s";
      description = "How long a server behind may take.";
    };
    resolver = {
      addresses = mkOption {
        type = types.listOf types.str;
        default = [ ];
        description = "Servers for names of hosts.";
      };
      valid = mkOption {
        type = types.str;
        default = "";
        description = "How long an answer is used.";
      };
      ipv6 = mkOption {
        type = types.bool;
        default = true;
        description = "Whether addresses of version 6 are looked up.";
      };
    };
    statusPage = flag "Whether its state can be asked for from the machine itself.";
    logError = mkOption {
      type = types.str;
      default = "stderr";
      description = "Where errors go.";
    };
    config = lines "Lines in place of the whole, with an `http` of their own.";
    eventsConfig = lines "Lines of `events`.";
    httpConfig = lines "Lines of `http`, after all others.";
    appendHttpConfig = lines "Lines of `http`, after the hosts.";
    commonHttpConfig = lines "Lines of `http`, before the hosts.";
    streamConfig = lines "Lines of `stream`.";
    appendConfig = lines "Lines at the end.";
    enableReload = mkOption {
      type = types.bool;
      default = true;
      description = "Without effect: {command}`cairn reload nginx` reloads it.";
    };
  };

  config = mkIf cfg.enable {
    assertions =
      lib.concatMap (
        host:
        let
          name = ''services.nginx.virtualHosts."${toString host.serverName}"'';
        in
        [
          {
            assertion = !(host.enableACME || host.useACMEHost != null);
            message = "${name}: certificates by ACME are not supported yet; set sslCertificate and sslCertificateKey.";
          }
          {
            assertion =
              lib.count (set: set) [
                host.addSSL
                host.onlySSL
                host.forceSSL
              ] <= 1;
            message = "${name}: set one of addSSL, onlySSL and forceSSL.";
          }
          {
            assertion = hasTls host -> host.sslCertificate != null && host.sslCertificateKey != null;
            message = "${name}: with TLS it needs sslCertificate and sslCertificateKey.";
          }
          {
            assertion =
              host.basicAuth == { } && lib.all (where: where.basicAuth == { }) (lib.attrValues host.locations);
            message = "${name}: basicAuth would put passwords into the store; use basicAuthFile.";
          }
          {
            assertion = lib.all (where: where.root == null || where.alias == null) (
              lib.attrValues host.locations
            );
            message = "${name}: a location has either root or alias.";
          }
        ]
      ) hosts
      ++ [
        {
          assertion = !cfg.recommendedBrotliSettings && !cfg.recommendedZstdSettings;
          message = "services.nginx: brotli and zstd are not supported; use recommendedGzipSettings.";
        }
      ];

    environment.etc."nginx/nginx.conf".source = configuration;
    users.users = mkIf (cfg.user == "nginx") {
      nginx = {
        isSystemUser = true;
        group = cfg.group;
        description = "Web server";
      };
    };
    users.groups = mkIf (cfg.group == "nginx") { nginx = { }; };

    system.services.nginx = {
      description = "Web server";
      process.argv = [
        nginx
        "-c"
        configuration
      ];
      # A configuration that makes no sense is said so before anything is stopped.
      preStart = [
        [
          nginx
          "-t"
          "-q"
          "-c"
          configuration
        ]
      ];
      reload.commands = [
        [
          (pkgs.writeShellScript "nginx-reload" ''
            ${nginx} -t -q -c ${configuration} && kill -HUP "$MAINPID"
          '')
        ]
      ];
      stopIfChanged = false;
      stop.signal = "SIGQUIT";
      stop.killMode = "mixed";
      directories = [
        {
          path = "/run/nginx";
          root = true;
          removedAtStop = true;
        }
        {
          path = "/var/log/nginx";
          mode = "0750";
          root = true;
        }
        {
          path = "/var/cache/nginx";
          mode = "0755";
          root = true;
        }
      ];
      after = [
        "network.target"
        "nss-lookup.target"
      ];
      before = [ "multi-user.target" ];
    };
  };
}
