# services.cc-ci-orch: one instance, as system units.
#
# The units' texts are those of systemd/ (see units.nix). A folder that an instance needs is made
# by tmpfiles; what stands in it is linked there by a small unit that runs before the others, and
# that never replaces a person's own file.
{ config, lib, pkgs, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.services.cc-ci-orch;
  toml = import ./toml.nix;

  # ---------------------------------------------------------------- what is refused
  backends = [ "claude" "opencode" "command" "demo" ];
  ofOptions = {
    orch_root = "root";
    orch_state = "state";
    orch_name = "name";
    orch_tmux_socket = "socket";
  };
  instanceVariables = [ "ORCH_ROOT" "ORCH_STATE" "ORCH_NAME" "ORCH_TMUX_SOCKET" "ORCH_TMUX_EXTERNAL" "RESUME_PHASE" "PATH" ];

  matches = pattern: text: builtins.match pattern text != null;
  plainPath = path: matches "(/[A-Za-z0-9_+@-][A-Za-z0-9._+@-]*|/[.][A-Za-z0-9_-][A-Za-z0-9._+@-]*)+" path;
  userName = matches "[a-z_][a-z0-9_-]{0,31}";
  inStore = path: path != null && lib.hasPrefix builtins.storeDir (toString path);
  hasPassword = text: matches "[A-Za-z0-9+.-]+://[^/@[:space:]]*:[^/@[:space:]]+@.*" text;

  chosenBackends =
    lib.concatMap (key: lib.optional (matches "([a-z0-9_]+_)?backend" key) { place = key; value = cfg.settings.${key}; })
      (lib.attrNames cfg.settings)
    ++ lib.concatMap (role: lib.optional (role ? backend) { place = "role.backend"; value = role.backend; })
      (lib.filter lib.isAttrs (if lib.isList (cfg.settings.role or null) then cfg.settings.role else [ ]));
  unknownBackends = lib.filter (chosen: chosen.value != null && !(lib.elem chosen.value backends)) chosenBackends;
  settingsOfOptions = lib.filter (key: ofOptions ? ${key}) (lib.attrNames cfg.settings);
  variables = lib.attrNames cfg.environment;
  badVariables = lib.filter
    (key: !matches "[A-Za-z_][A-Za-z0-9_]*" key || lib.elem key instanceVariables || matches ".*[[:cntrl:]].*" cfg.environment.${key})
    variables;
  passwords =
    lib.filter (key: lib.isString cfg.settings.${key} && hasPassword cfg.settings.${key}) (lib.attrNames cfg.settings)
    ++ lib.filter (key: hasPassword cfg.environment.${key}) variables;

  refuse = assertion: message: { inherit assertion; message = "services.cc-ci-orch.${message}"; };
  list = lib.concatStringsSep ", ";
  assertions = [
    (refuse (matches "[a-z][a-z0-9-]{0,31}" cfg.name)
      "name: ${builtins.toJSON cfg.name} is no name; accepted: a lower-case letter, then up to 31 of a-z 0-9 -")
    (refuse (lib.stringLength cfg.socket <= 100)
      "socket: ${toString (lib.stringLength cfg.socket)} bytes; accepted: a path of at most 100 bytes")
    (refuse (userName cfg.user && userName cfg.group)
      "user, group: ${builtins.toJSON [ cfg.user cfg.group ]}: accepted: a lower-case letter or _, then up to 31 of a-z 0-9 _ -")
    (refuse (cfg.user != "root")
      "user: agents run with all rights of their user; give them one of their own instead of root")
    (refuse (unknownBackends == [ ])
      "settings: ${list (map (chosen: "${chosen.place} = ${builtins.toJSON chosen.value}") unknownBackends)}: there is no such backend; accepted: ${list backends}")
    (refuse (settingsOfOptions == [ ])
      "settings: ${list settingsOfOptions}: set by the units; use the options ${list (map (key: "services.cc-ci-orch.${ofOptions.${key}}") settingsOfOptions)}")
    (refuse (toml.problems cfg.settings == [ ])
      "settings: orch.toml can't hold them: ${list (toml.problems cfg.settings)}")
    (refuse (badVariables == [ ])
      "environment: ${list badVariables}: no variable's name, set by the units, or with a control character in the value")
    (refuse (passwords == [ ])
      "settings, environment: ${list passwords}: an address with a password, which everybody on the machine could read in the store; set it in the file of services.cc-ci-orch.environmentFile")
  ]
  ++ map (option: refuse (plainPath cfg.${option} || option == "state" && cfg.state == "${cfg.root}/.orch")
    "${option}: ${builtins.toJSON cfg.${option}} is not usable; accepted: an absolute path of letters, digits and . _ + @ -")
    [ "root" "state" "home" "socket" ]
  ++ lib.concatMap (option: [
    (refuse (!inStore cfg.${option})
      "${option}: ${toString cfg.${option}} is in the store, where everybody can read it; give the path of a file outside as a string, such as \"/run/secrets/cc-ci\"")
    (refuse (cfg.${option} == null || inStore cfg.${option} || plainPath (toString cfg.${option}))
      "${option}: ${builtins.toJSON (toString cfg.${option})} is not usable; accepted: an absolute path of letters, digits and . _ + @ -")
  ]) [ "environmentFile" "secretsFile" ];

  # ---------------------------------------------------------------- what is made
  # The program itself looks at the settings, so that a mistake ends the build, not the boot.
  configFile = if cfg.settings == { } then null else pkgs.runCommand "orch.toml" { text = toml.text cfg.settings; } ''
    mkdir root
    printf '%s' "$text" > root/orch.toml
    HOME=$PWD ORCH_ROOT=$PWD/root ORCH_STATE=$PWD/state ${cfg.programs}/launch.sh config > /dev/null
    cp root/orch.toml $out
  '';

  units = import ./units.nix { inherit lib; } {
    inherit (cfg) name user group home root state socket programs searchPath environment;
    inherit (cfg.upgrader) onCalendar;
    environmentFile = if cfg.environmentFile == null then "${cfg.state}/unit.env" else toString cfg.environmentFile;
  };

  # For people, and for the orchestrator's `./launch.sh`: the program with this instance's settings.
  command = program: pkgs.writeShellScriptBin "${cfg.name}-${program}" ''
    if [ "$(${pkgs.coreutils}/bin/id -un)" != ${cfg.user} ]; then
      exec /run/wrappers/bin/sudo -u ${cfg.user} -- "$0" "$@"
    fi
    export ORCH_ROOT="''${ORCH_ROOT:-${cfg.root}}" ORCH_STATE="''${ORCH_STATE:-${cfg.state}}"
    export ORCH_NAME="''${ORCH_NAME:-${cfg.name}}" ORCH_TMUX_SOCKET="''${ORCH_TMUX_SOCKET:-${cfg.socket}}"
    export PATH="${cfg.searchPath}:$PATH"
    exec ${cfg.programs}/${program}.sh "$@"
  '';
  commands = lib.genAttrs [ "launch" "launch-orchestrator" "launch-upgrader" ] command;

  own = lib.filterAttrs (_: target: target != null) {
    "orch.toml" = cfg.configFile;
    ".testenv" = cfg.secretsFile;
  };
  offered = lib.filterAttrs (_: target: target != null) ({
    inherit (cfg) plan prompts;
    "AGENTS.md" = "${cfg.programs}/AGENTS.md";
  } // lib.mapAttrs' (program: script: lib.nameValuePair "${program}.sh" (lib.getExe script)) commands);
  link = function: name: target: "${function} ${lib.escapeShellArg name} ${lib.escapeShellArg (toString target)}";
  links = lib.concatStringsSep "\n" (lib.mapAttrsToList (link "own") own ++ lib.mapAttrsToList (link "offered") offered);
  setup = ''
    cd ${cfg.root}
    free() { [ -L "$1" ] || [ ! -e "$1" ]; }
    own() {
      if ! free "$1"; then
        echo "${cfg.root}/$1 is in the way: the NixOS configuration has what belongs there; move it away" >&2
        exit 1
      fi
      ln -sfn -- "$2" "$1"
    }
    offered() {
      if free "$1"; then ln -sfn -- "$2" "$1"; else echo "${cfg.root}/$1 is left as it is"; fi
    }
    ${links}
  '';
in
{
  options.services.cc-ci-orch = import ./options.nix { inherit config lib pkgs; };

  config = lib.mkIf cfg.enable {
    inherit assertions;
    services.cc-ci-orch = { inherit configFile; };

    users.groups.${cfg.group} = { };
    users.users.${cfg.user} = {
      isNormalUser = lib.mkDefault true;
      description = "The agents of ${cfg.name}";
      inherit (cfg) group home;
      createHome = true;
    };

    environment.systemPackages = lib.attrValues commands;

    systemd.tmpfiles.rules = [
      "d ${cfg.root} 0750 ${cfg.user} ${cfg.group} - -"
      "d ${cfg.state} 0700 ${cfg.user} ${cfg.group} - -"
    ];

    systemd.services."${cfg.name}-setup" = {
      description = "${cfg.name}: what the configuration puts into ${cfg.root}";
      wantedBy = [ "multi-user.target" ];
      before = [ "${cfg.name}-loops.service" ];
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
        User = cfg.user;
        Group = cfg.group;
      };
      script = setup;
    };

    systemd.units = {
      "${cfg.name}-tmux.service" = {
        text = units."tmux.service";
        wantedBy = [ "multi-user.target" ];
      };
      "${cfg.name}-loops.service" = {
        text = units."loops.service";
        wantedBy = [ "multi-user.target" ];
      };
      "${cfg.name}-upgrader.service".text = units."upgrader.service";
      "${cfg.name}-upgrader.timer" = {
        text = units."upgrader.timer";
        wantedBy = lib.optional cfg.upgrader.enable "timers.target";
      };
    };
  };
}
