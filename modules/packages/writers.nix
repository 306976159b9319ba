# Files and scripts of given text. cairn writes them itself: no shell is run, unless to check them.
final: _:
let
  inherit (builtins) concatStringsSep isAttrs;

  # `text` at `destination` below the output, or as the output itself.
  writeTextFile =
    {
      name,
      text,
      executable ? false,
      destination ? "",
      checkPhase ? "",
      meta ? { },
      passthru ? { },
      ...
    }:
    let
      variables = {
        inherit name text;
      }
      // (if executable then { executable = "1"; } else { })
      // (if destination != "" then { inherit destination; } else { });
      file = final.build "text" variables;
      checked = final.runCommand name { inherit file; } ''
        target=$file${destination}
        ${checkPhase}
        cp -R "$file" "$out"
      '';
    in
    (if checkPhase == "" then file else checked) // passthru // { inherit meta passthru; };

  script = interpreter: text: "#!${interpreter}\n${text}\n";

  # The name of the file at the end of a path.
  baseName = path: baseNameOf path;

  writeBin =
    name: text:
    writeTextFile {
      inherit name text;
      executable = true;
      destination = "/bin/${name}";
      meta.mainProgram = name;
    };
in
{
  inherit writeTextFile;

  runtimeShell = "${final.bash}/bin/bash";

  # One file: `text` is its content.
  writeText =
    name: text:
    # Arguments of a function of this kind are often swapped.
    if isAttrs name then
      throw "writeText takes a name and a text; writeTextFile takes a set"
    else
      writeTextFile { inherit name text; };

  # A folder with one file: `writeTextDir "share/x.conf" "…"`.
  writeTextDir =
    path: text:
    writeTextFile {
      name = baseName path;
      inherit text;
      destination = "/${path}";
    };

  # An executable file; the text brings its own first line.
  writeScript =
    name: text:
    writeTextFile {
      inherit name text;
      executable = true;
    };

  # As writeScript, at bin/NAME.
  writeScriptBin = writeBin;

  # A script for bash.
  writeShellScript =
    name: text:
    writeTextFile {
      inherit name;
      executable = true;
      text = script final.runtimeShell text;
    };

  # As writeShellScript, at bin/NAME.
  writeShellScriptBin = name: text: writeBin name (script final.runtimeShell text);

  # A script at bin/NAME that stops at the first error, and finds its programs whatever PATH its
  # caller has. Its syntax is checked when it is built.
  writeShellApplication =
    {
      name,
      text,
      runtimeInputs ? [ ],
      runtimeEnv ? { },
      bashOptions ? [
        "errexit"
        "nounset"
        "pipefail"
      ],
      checkPhase ? null,
      inheritPath ? true,
      meta ? { },
      passthru ? { },
      ...
    }:
    let
      options = concatStringsSep "" (map (option: "set -o ${option}\n") bashOptions);
      bins = concatStringsSep ":" (map (input: "${input}/bin") runtimeInputs);
      variable = key: "export ${key}=${quoted (toString runtimeEnv.${key})}\n";
      quoted = value: "'${builtins.replaceStrings [ "'" ] [ "'\\''" ] value}'";
      path =
        if runtimeInputs == [ ] && inheritPath then
          ""
        else
          "export PATH=\"${bins}${if inheritPath then (if bins == "" then "$PATH" else ":$PATH") else ""}\"\n";
    in
    writeTextFile {
      inherit name passthru;
      executable = true;
      destination = "/bin/${name}";
      text = script final.runtimeShell (
        options
        + "\n"
        + concatStringsSep "" (map variable (builtins.attrNames runtimeEnv))
        + path
        + "\n"
        + text
      );
      checkPhase =
        if checkPhase == null then "${final.runtimeShell} -n -O extglob \"$target\"" else checkPhase;
      meta = {
        mainProgram = name;
      }
      // meta;
    };
}
