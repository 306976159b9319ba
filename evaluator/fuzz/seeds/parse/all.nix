# Some of everything.
{ a ? 1, b ? "x${toString a}\n", ... }@args:
let inherit (args) c; rec_ = rec { x.y."z" = [ 1 2.5 ./p <n> ~/h ]; inherit b; }; f = x: y: x + y * -2;
in with rec_; assert a == 1 -> b != "" || !(c ? d.e); if a < 2 && b >= "" then ''
  indented ${b} ''${ '''
'' else f x.y.z or null (a // { q = [ ] ++ [ ]; }) |> f
