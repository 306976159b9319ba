# The same with its root on the disk.
arguments: import ./strict.nix (arguments // { state = "disk"; })
