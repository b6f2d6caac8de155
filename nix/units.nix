# The unit files of systemd/ for one machine: the same texts, line by line, with whole values
# replaced. `launch.sh install` does the same in cc_ci_orch/units.py; a test compares the two.
{ lib }:
{ name, user, group, home, root, state, socket, programs, environmentFile, searchPath, environment, onCalendar }:
let
  inherit (builtins) elemAt match readFile;
  inherit (lib) concatMap concatStringsSep replaceStrings splitString;

  # What the files say: an instance of their own, which every value here is compared to.
  shipped = { name = "cc-ci"; place = "/opt/cc-ci-orch"; home = "/home/cc-ci"; };

  # systemd takes a backslash, a double quote and a percent sign for its own.
  word = text: if match "[A-Za-z0-9_./:=@+,-]*" text != null then text
    else "\"${replaceStrings [ "\\" "\"" "%" ] [ "\\\\" "\\\"" "%%" ] text}\"";
  set = key: value: "Environment=${word "${key}=${value}"}";

  ofInstance = {
    ORCH_ROOT = root;
    ORCH_STATE = state;
    ORCH_NAME = name;
    ORCH_TMUX_SOCKET = socket;
    PATH = searchPath;
  };
  variable = further: assignment: let
    parts = match "([^=]*)=(.*)" assignment;
    key = elemAt parts 0;
  in
    if further ? ${key} then [ ] # it stands among them
    else [ (set key (ofInstance.${key} or (elemAt parts 1))) ]
      ++ (if key == "PATH" then lib.mapAttrsToList set further else [ ]);

  # A list, first match first, which replaceStrings walks at each place of the text.
  swap = pairs: replaceStrings (map (p: elemAt p 0) pairs) (map (p: elemAt p 1) pairs);
  units = swap (map (unit: [ "${shipped.name}-${unit}" "${name}-${unit}" ]) [ "tmux" "loops" "upgrader" ]);
  command = swap [ [ "/run/${shipped.name}-tmux/socket" socket ] [ "${shipped.place}/" "${programs}/" ] ];
  folders = swap [ [ "${shipped.place}/.orch" state ] [ shipped.place root ] [ shipped.home home ] ];

  replaced = {
    User = _: user;
    Group = _: group;
    ExecStart = command;
    ExecStartPre = command;
    ExecStartPost = command;
    ReadWritePaths = folders;
    EnvironmentFile = _: "-${environmentFile}";
    Documentation = command;
    Description = swap [ [ "${shipped.name}:" "${name}:" ] ];
    OnCalendar = _: onCalendar;
  };
  line = further: text: let
    parts = match "([^=#[][^=]*)=(.*)" text;
    key = elemAt parts 0;
    value = elemAt parts 1;
  in
    if parts == null then [ text ]
    else if key == "Environment" then variable further value
    else [ "${key}=${(replaced.${key} or units) value}" ];
  render = file: let
    text = readFile (../systemd + "/${shipped.name}-${file}");
    # The agents' server has no settings of an instance; agents get theirs from the supervisor.
    further = if lib.hasInfix "\nEnvironment=ORCH_ROOT=" text then environment else { };
  in
    concatStringsSep "\n" (concatMap (line further) (splitString "\n" text));
in
lib.genAttrs [ "tmux.service" "loops.service" "upgrader.service" "upgrader.timer" ] render
