# A function that calls itself some 600,000 times.
let
  fibonacci = n: if n < 2 then n else fibonacci (n - 1) + fibonacci (n - 2);
in
fibonacci 27
