# What is wrong, and what is said about it. Each `expr` fails, and says every one of `messages`;
# white space counts as one space. `here` is this file.
{ lib }:
with lib;
let
  system = {
    _file = toString ./errors.nix;
    key = "system";
    options = {
      services.openssh.enable = mkEnableOption "the SSH server";
      services.openssh.ports = mkOption {
        type = types.listOf types.port;
        default = [ 22 ];
        example = [ 22 2222 ];
        description = "Where it listens.";
      };
      services.openssh.settings = mkOption {
        type = types.submodule { options.permitRootLogin = mkOption { type = types.enum [ "yes" "no" "prohibit-password" ]; default = "no"; }; };
        default = { };
      };
      networking.hostName = mkOption {
        type = types.str;
        example = "server";
        description = "The name of the machine.";
      };
      users.users = mkOption {
        default = { };
        type = types.attrsOf (types.submodule { options.uid = mkOption { type = types.nullOr types.int; default = null; }; options.group = mkOption { type = types.str; }; });
      };
      internal = mkOption { readOnly = true; default = 1; };
      assertions = mkOption { default = [ ]; type = types.listOf types.raw; };
    };
  };
  configOf = definitions: (evalModules {
    modules = [
      system
      { _file = toString ./errors.nix; config = definitions; }
    ];
  }).config;
  withModules = modules: (evalModules { modules = [ system ] ++ modules; }).config;
  # The line of a test's `expr`.
  at = name: "/errors.nix:${toString (builtins.unsafeGetAttrPos "expr" tests.${name}).line}:";
  tests = {
  unknown-option = {
    expr = (configOf { services.opensshd.enable = true; }).services.openssh.enable;
    messages = [ "The option `services.opensshd.enable' does not exist." "${at "unknown-option"}" "did you mean `services.openssh.enable'?" ];
  };
  swapped-letters = {
    expr = (configOf { services.opnessh.enable = true; }).services.openssh.enable;
    messages = [ "did you mean `services.openssh.enable'?" ];
  };
  unknown-option-of-another-name = {
    expr = (configOf { networking.host = "x"; }).services.openssh.enable;
    messages = [ "The option `networking.host' does not exist." ];
  };
  unknown-option-elsewhere = {
    expr = (configOf { hostName = "x"; }).services.openssh.enable;
    messages = [ "The option `hostName' does not exist." "did you mean `networking.hostName'?" ];
  };
  unknown-option-of-another-group = {
    expr = (configOf { programs.openssh.enable = true; }).services.openssh.enable;
    messages = [ "did you mean `services.openssh.enable'?" ];
  };
  unknown-options-are-all-listed = {
    expr = (configOf { networking.hostname = "x"; services.openssh.port = 22; }).services.openssh.enable;
    messages = [ "did you mean `networking.hostName'?" "The option `services.openssh.port' does not exist." "did you mean `services.openssh.ports'?" ];
  };
  unknown-option-in-a-submodule = {
    expr = (configOf { users.users.bob.guid = 1; }).users.users.bob.uid;
    messages = [ "The option `users.users.bob.guid' does not exist." "${at "unknown-option-in-a-submodule"}" "did you mean `users.users.bob.uid'?" ];
  };
  unknown-option-that-fails = {
    expr = (configOf { nothing = throw "inner"; }).services.openssh.enable;
    messages = [ "The option `nothing' does not exist." "${at "unknown-option-that-fails"}" ];
  };
  set-of-options-is-no-option = {
    expr = (configOf { services.openssh = true; }).services.openssh.enable;
    messages = [ "`services.openssh' in" "is set to a Boolean, but it is a set of options" "did you mean `services.openssh.enable'?" ];
  };
  declared-under-config = {
    expr = (evalModules { modules = [ { config.x = 1; } ]; }).config.x;
    messages = [ "The option `x' does not exist." "declarations belong under `options'" ];
  };

  wrong-type = {
    expr = (configOf { services.openssh.ports = "22"; }).services.openssh.ports;
    messages = [ "The option `services.openssh.ports' has a value that is not of type `list of 16 bit unsigned integer" "but a string" "${at "wrong-type"}" "example: services.openssh.ports = [ 22 2222 ];" "while evaluating the option `services.openssh.ports' (defined at" ];
  };
  wrong-type-of-an-element = {
    expr = builtins.deepSeq (configOf { services.openssh.ports = [ 22 "x" ]; }).services.openssh.ports 0;
    messages = [ "The option `services.openssh.ports' has an element (number 2) that is not of type `16 bit unsigned integer" "${at "wrong-type-of-an-element"}" ": \"x\"" ];
  };
  list-without-brackets = {
    expr = (configOf { services.openssh.ports = 22; }).services.openssh.ports;
    messages = [ "a list is written in brackets: [ 22 ]" ];
  };
  boolean-in-quotes = {
    expr = (configOf { services.openssh.enable = "yes"; }).services.openssh.enable;
    messages = [ "is not of type `boolean', but a string" "write true, without quotes" ];
  };
  number-for-a-string = {
    expr = (configOf { networking.hostName = 5; }).networking.hostName;
    messages = [ "write \"5\", in quotes" "example: networking.hostName = \"server\";" ];
  };
  misspelt-choice = {
    expr = (configOf { services.openssh.settings.permitRootLogin = "prohibit-pasword"; }).services.openssh.settings.permitRootLogin;
    messages = [ "did you mean \"prohibit-password\"?" ];
  };
  package-in-quotes = {
    expr = (withModules [ { options.p = mkOption { type = types.listOf types.package; }; } { p = [ "hello" ]; } ]).p;
    messages = [ "an element (number 1) that is not of type `package'" "write pkgs.hello, without quotes" ];
  };
  path-in-quotes = {
    expr = (withModules [ { options.p = mkOption { type = types.path; }; } { p = "files/x"; } ]).p;
    messages = [ "a file beside this one is written without quotes: ./files/x" "example: p = ./file;" ];
  };
  neither-type = {
    expr = (withModules [ { options.p = mkOption { type = types.either types.int types.str; }; } { p = [ ]; } ]).p;
    messages = [ "not of type `signed integer or string', but a list" "example: p = 42;" ];
  };
  function-for-a-value = {
    expr = (configOf { networking.hostName = x: x; }).networking.hostName;
    messages = [ "but a function" "is an argument missing?" ];
  };
  conflict = {
    expr = (withModules [ { _file = "/a.nix"; networking.hostName = "a"; } { _file = "/b.nix"; networking.hostName = "b"; } ]).networking.hostName;
    messages = [ "The option `networking.hostName' has conflicting definition values" "/a.nix: \"a\"" "/b.nix: \"b\"" "networking.hostName = lib.mkForce \"b\";" ];
  };
  missing-value = {
    expr = (configOf { }).networking.hostName;
    messages = [ "The option `networking.hostName' was accessed but has no value defined. Try setting the option: networking.hostName = \"server\";" "declared at" "/errors.nix:21:7" "The name of the machine." "type: string" ];
  };
  missing-value-in-a-submodule = {
    expr = (configOf { users.users.bob = { }; }).users.users.bob.group;
    messages = [ "The option `users.users.bob.group' was accessed but has no value defined" ];
  };
  read-only = {
    expr = (configOf { internal = 2; }).internal;
    messages = [ "The option `internal' is read-only, but it's set multiple times" ];
  };
  abort-in-an-unknown-option = {
    expr = (configOf { nothing = builtins.abort "inner"; }).services.openssh.enable;
    messages = [ "inner" "while showing the definitions of `nothing', an option that does not exist:" ];
  };
  throw-in-a-definition = {
    expr = (configOf { networking.hostName = throw "inner"; }).networking.hostName;
    messages = [ "inner" "while evaluating the option `networking.hostName' (defined at" "${at "throw-in-a-definition"}" ];
  };

  recursion = {
    expr = (withModules [ ({ config, ... }: { _file = "/r.nix"; networking.hostName = config.networking.hostName; }) ]).networking.hostName;
    messages = [ "infinite recursion" "while evaluating the option `networking.hostName' (defined at /r.nix):" ];
  };
  argument-in-imports = {
    expr = (withModules [ { _module.args.extra = true; } ({ extra, ... }: { _file = "/r.nix"; imports = optional extra { }; }) ]).networking.hostName;
    messages = [ "infinite recursion" "while evaluating the module argument `extra'" "has to be in specialArgs" ];
  };
  imports-by-config = {
    expr = (withModules [ ({ config, ... }: { _file = "/r.nix"; imports = if config.services.openssh.enable then [ ] else [ { } ]; }) ]).networking.hostName;
    messages = [ "infinite recursion" "while evaluating the imports of `/r.nix' (they cannot depend on `config'" ];
  };
  definitions-by-config = {
    expr = (withModules [ ({ config, ... }: { _file = "/r.nix"; config = if config.services.openssh.enable then { } else { networking.hostName = "x"; }; }) ]).networking.hostName;
    messages = [ "infinite recursion" "while evaluating what `/r.nix' defines (which options that are cannot depend on `config': use lib.mkIf)" ];
  };
  set-by-config = {
    expr = (withModules [ ({ config, ... }: { _file = "/r.nix"; services = if config.services.openssh.enable then { } else { openssh.enable = true; }; }) ]).services.openssh.enable;
    messages = [ "infinite recursion" "while evaluating what is defined below `services' at /r.nix" ];
  };
  two-options-in-a-circle = {
    expr = (withModules [ ({ config, ... }: { _file = "/r.nix"; networking.hostName = toString config.services.openssh.ports; services.openssh.ports = [ (builtins.stringLength config.networking.hostName) ]; }) ]).networking.hostName;
    messages = [ "infinite recursion" "while evaluating the option `networking.hostName' (defined at /r.nix):" "while evaluating the option `services.openssh.ports' (defined at /r.nix):" ];
  };
  missing-argument = {
    expr = (withModules [ ({ pkgz, ... }: { networking.hostName = pkgz.x; }) ]).networking.hostName;
    messages = [ "wants the argument `pkgz', which nothing provides" "set _module.args.pkgz" ];
  };

  stray-attribute = {
    expr = (withModules [ { _file = "/s.nix"; options = { }; networking.hostName = "x"; } ]).networking.hostName;
    messages = [ "the module `/s.nix' has the attribute `networking' beside `options'" "move `networking' into it" ];
  };
  imports-not-a-list = {
    expr = (withModules [ { _file = "/s.nix"; imports = ./cycle-a.nix; } ]).networking.hostName;
    messages = [ "`imports' of the module `/s.nix' has to be a list, but is a path" ];
  };
  nested-imports = {
    expr = (withModules [ { _file = "/s.nix"; imports = [ [ ./cycle-a.nix ] ]; } ]).networking.hostName;
    messages = [ "holds a list inside of the list" ];
  };
  imported-name-is-no-path = {
    expr = (withModules [ { _file = "/s.nix"; imports = [ "hardware.nix" ]; } ]).networking.hostName;
    messages = [ "write ./hardware.nix, without quotes" ];
  };
  no-module = {
    expr = (withModules [ { _file = "/s.nix"; imports = [ 1 ]; } ]).networking.hostName;
    messages = [ "`imports' in `/s.nix' holds an integer" ];
  };
  wrong-class = {
    expr = (evalModules { class = "nixos"; modules = [ { _class = "darwin"; _file = "/s.nix"; } ]; }).config;
    messages = [ "the module `/s.nix' is for configurations of the class `darwin'" ];
  };
  declared-twice = {
    expr = (withModules [ { _file = "/s.nix"; options.networking.hostName = mkOption { type = types.int; }; } ]).networking.hostName;
    messages = [ "The option `networking.hostName' in" "is already declared in" ];
  };
  option-and-set = {
    expr = (withModules [ { _file = "/s.nix"; options.networking.hostName.deep = mkOption { }; } ]).networking.hostName;
    messages = [ "The option `networking.hostName' in" "is a prefix of options in `/s.nix'" ];
  };
  condition-no-boolean = {
    expr = (withModules [ { _file = "/s.nix"; networking.hostName = mkIf "yes" "x"; } ]).networking.hostName;
    messages = [ "mkIf got a string as its condition in `/s.nix'" ];
  };
  removed-option = {
    expr = (withModules [ (mkRemovedOptionModule [ "old" ] "Use new.") ]).old;
    messages = [ "The option `old' can no longer be used since it's been removed. Use new." ];
  };
  type-without-argument = {
    expr = (evalModules { modules = [ { _file = "/s.nix"; options.x = mkOption { type = types.listOf; }; } ]; }).config.x;
    messages = [ "the type of the option `x', declared in `/s.nix', is a function, not a type; is an argument missing?" ];
  };
  type-as-option = {
    expr = (evalModules { modules = [ { _file = "/s.nix"; options.x = types.int; } ]; }).config.x;
    messages = [ "`x' in `/s.nix' is a type; write mkOption { type = …; }" ];
  };
  dependency-circle = {
    expr = textClosureMap id { a = stringAfter [ "b" ] ""; b = stringAfter [ "a" ] ""; } [ "a" ];
    messages = [ "a -> b -> a" ];
  };
};
in
tests
