# Words as unit files write them: blanks part them, quotes hold them together, and a backslash stands for
# something else together with what follows it.
#
# Sources: systemd.syntax(7), "Quoting"; systemd.service(5), "Command lines".
{ lib }:
let
  inherit (builtins) isList;

  # By its code, in hexadecimal digits.
  character = code: builtins.fromJSON "\"\\u${code}\"";

  named = {
    a = character "0007";
    b = character "0008";
    f = character "000c";
    n = "\n";
    r = "\r";
    s = " ";
    t = "\t";
    v = character "000b";
    "\\" = "\\";
    "\"" = "\"";
    "'" = "'";
  };

  digits = lib.stringToCharacters "0123456789abcdef";
  hexadecimal =
    number: lib.elemAt digits (number / 16) + lib.elemAt digits (number - number / 16 * 16);
  octal = text: lib.foldl' (sum: digit: sum * 8 + lib.toInt digit) 0 (lib.stringToCharacters text);

  # What a backslash and these characters stand for. What is unknown is what it is, backslash included.
  escaped =
    where: text:
    let
      code = builtins.match "x(..)|u(....)|U(........)" text;
      digits =
        if code != null then
          "0000000${lib.head (lib.filter (part: part != null) code)}"
        else
          "000000${hexadecimal (octal text)}";
      isByte = lib.stringLength text == 3;
      last = lib.substring (lib.stringLength digits - 4) 4 digits;
      plain = lib.replaceStrings [ "0" ] [ "" ] (lib.substring 0 (lib.stringLength digits - 4) digits) == "";
    in
    if lib.stringLength text == 1 then
      named.${text} or "\\${text}"
    else if !plain || last == "0000" || isByte && builtins.match "00[0-7]." last == null then
      throw "${where}: '\\${text}' is not supported: write the character itself"
    else
      character last;

  # Characters, and `[ whole rest ]` for a backslash and what belongs to it.
  escape = "(\\\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-3][0-7]{2}|.|\n))";
  tokens =
    text:
    lib.concatMap (part: if isList part then [ part ] else lib.stringToCharacters part) (
      builtins.split escape text
    );

  isBlank = token: token == " " || token == "\t" || token == "\n" || token == "\r";
  # The end of a line that goes on.
  isJoint = token: isList token && lib.last token == "\n";

  # Each word with its `text`, and whether it is `bare`: without quotes and backslashes.
  read =
    meaning: where: text:
    let
      start = {
        text = "";
        bare = true;
        open = false;
      };
      add =
        state: text: bare:
        state
        // {
          word = {
            text = state.word.text + text;
            bare = state.word.bare && bare;
            open = true;
          };
        };
      step =
        state: token:
        if state.quote != null then
          if token == state.quote then
            state // { quote = null; }
          else if isJoint token then
            add state " " false
          else
            add state (if isList token then meaning where (lib.last token) else token) false
        else if isBlank token || isJoint token then
          if state.word.open then
            state
            // {
              done = state.done ++ [ state.word ];
              word = start;
            }
          else
            state
        else if token == "\"" || token == "'" then
          add state "" false // { quote = token; }
        else
          add state (if isList token then meaning where (lib.last token) else token) (!isList token);
      end = lib.foldl' step {
        done = [ ];
        word = start;
        quote = null;
      } (tokens text);
    in
    if end.quote != null then
      throw "${where}: a quote (${end.quote}) is not closed in: ${text}"
    else
      end.done ++ lib.optional end.word.open end.word;

  texts = map (word: word.text);

  # What a backslash keeps from being a blank or a quote, and nothing else.
  plain =
    _: text:
    if lib.elem text [ " " "\t" "\"" "'" "\\" ] then text else "\\${text}";
in
{
  # The words of a command line or of assignments.
  split = where: text: texts (read escaped where text);

  # The words of a list, such as one of paths.
  list =
    text:
    if builtins.match "[^\"'\\\\\t\n]*" text != null then
      lib.filter (word: word != "") (lib.splitString " " text)
    else
      texts (read plain "a list of words" text);

  # The words of each command in a line: a `;` by itself parts them, and `\;` is one that does not.
  commands =
    where: text:
    let
      words = read escaped where text;
      step =
        all: word:
        if word.bare && word.text == ";" then
          all ++ [ [ ] ]
        else
          lib.init all ++ [ (lib.last all ++ [ (if word.text == "\\;" then ";" else word.text) ]) ];
    in
    lib.filter (command: command != [ ]) (lib.foldl' step [ [ ] ] words);

  # `%I` of an instance: the path that it was made of.
  unescaped =
    instance:
    lib.concatMapStrings (
      part:
      if isList part then
        (if lib.head part == "-" then "/" else escaped "the instance ${instance}" (lib.elemAt part 1))
      else
        part
    ) (builtins.split "(-|\\\\(x[0-9a-f]{2}))" instance);
}
