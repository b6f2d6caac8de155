# The unit files of systemd/ for one machine: the same texts, with whole values replaced.
#
# systemd/README.md has the list of what is replaced; `launch.sh install` does the same, and a test
# compares the two. A string that stands earlier in the list wins over one below it.
{ lib }:
{ name, user, group, home, root, state, programs, environmentFile, searchPath, environment, onCalendar }:
let
  # systemd takes a backslash, a double quote and a percent sign for its own.
  quote = text: "\"${lib.replaceStrings [ "\\" "\"" "%" ] [ "\\\\" "\\\"" "%%" ] text}\"";
  further = lib.concatMapStrings (key: "Environment=${quote "${key}=${environment.${key}}"}\n")
    (lib.attrNames environment);

  replacements = [
    { from = "Environment=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"; to = "Environment=PATH=${searchPath}\n${further}"; }
    { from = "User=cc-ci\n"; to = "User=${user}\n"; }
    { from = "Group=cc-ci\n"; to = "Group=${group}\n"; }
    { from = "/home/cc-ci"; to = home; }
    { from = "/opt/cc-ci-orch/launch"; to = "${programs}/launch"; }
    { from = "/opt/cc-ci-orch/docs/"; to = "${programs}/docs/"; }
    { from = "/opt/cc-ci-orch/.orch/unit.env"; to = environmentFile; }
    { from = "/opt/cc-ci-orch/.orch"; to = state; }
    { from = "/opt/cc-ci-orch"; to = root; }
    { from = "ORCH_NAME=cc-ci\n"; to = "ORCH_NAME=${name}\n"; }
    { from = "cc-ci-"; to = "${name}-"; }
    { from = "OnCalendar=Sun *-*-* 03:00:00\n"; to = "OnCalendar=${onCalendar}\n"; }
  ];
  text = file: lib.replaceStrings (map (r: r.from) replacements) (map (r: r.to) replacements)
    (builtins.readFile (../systemd + "/cc-ci-${file}"));
in
lib.genAttrs [ "tmux.service" "loops.service" "upgrader.service" "upgrader.timer" ] text
