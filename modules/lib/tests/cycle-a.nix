{ imports = [ ./cycle-b.nix ]; l = [ "a" ]; }
