# The options of services.cc-ci-orch. docs/nixos.md has them as a table; a test compares.
{ config, lib, pkgs }:
let
  inherit (lib) mkOption types literalExpression;
  cfg = config.services.cc-ci-orch;
  text = default: description: mkOption { type = types.str; inherit default description; };
  file = description: mkOption {
    type = types.nullOr types.path;
    default = null;
    inherit description;
  };
in
{
  enable = lib.mkEnableOption "cc-ci-orch, the supervisor of a pair of coding agents";

  package = mkOption {
    type = types.package;
    default = pkgs.callPackage ./package.nix { };
    defaultText = literalExpression "the package of this flake";
    description = "The program.";
  };

  name = text "cc-ci" "`ORCH_NAME`: the prefix of the units and sessions.";

  user = text "cc-ci" "The user that the agents and the supervisor run as; it is made.";
  group = text "cc-ci" "The user's group; it is made.";
  home = text "/home/cc-ci" "The user's home folder, where the agents keep their logins.";

  root = text "/opt/cc-ci-orch" "`ORCH_ROOT`: the instance's folder.";
  state = mkOption {
    type = types.str;
    default = "${cfg.root}/.orch";
    defaultText = literalExpression ''"''${root}/.orch"'';
    description = "`ORCH_STATE`: the state folder.";
  };

  socket = mkOption {
    type = types.str;
    default = "/run/${cfg.name}-tmux/socket";
    defaultText = literalExpression ''"/run/''${name}-tmux/socket"'';
    description = "`ORCH_TMUX_SOCKET`: the tmux server's socket, at most 100 bytes. Elsewhere than in the unit's own folder: in one that is the user's alone.";
  };

  plan = mkOption {
    type = types.nullOr types.path;
    default = "${cfg.programs}/plan";
    defaultText = literalExpression "the package's own";
    description = "Linked to `plan` in the root, unless a folder is there; `null`: nothing is.";
  };
  prompts = mkOption {
    type = types.nullOr types.path;
    default = "${cfg.programs}/prompts";
    defaultText = literalExpression "the package's own";
    description = "Linked to `prompts` in the root, unless a folder is there; `null`: nothing is.";
  };

  settings = mkOption {
    type = types.attrsOf types.anything;
    default = { };
    example = {
      loop_backend = "claude";
      adversary_model = "opus";
      watchdog.stall_after = "20m";
    };
    description = "The contents of `orch.toml`, checked by the program when the system is built. They stand in the store, where everybody can read them. `{ }`: `orch.toml` is yours.";
  };

  configFile = mkOption {
    type = types.nullOr types.path;
    readOnly = true;
    description = "The `orch.toml` that is made of `settings`; `null` where there are none.";
  };

  environment = mkOption {
    type = types.attrsOf types.str;
    default = { };
    example = { WORK_REPO = "git@forge.example:team/product.git"; };
    description = "Further variables for the supervisor and the agents. They stand in the store, where everybody can read them.";
  };
  environmentFile = file "A file outside the store with lines `KEY=VALUE`, for settings that hold a secret, such as `NOTIFY_URL`. systemd reads it, so it may be root's alone. `null`: `unit.env` in the state folder, if it is there.";
  secretsFile = file "A file outside the store that becomes `.testenv`, the agents' secrets. It has to belong to the user, mode 0600 or 0400.";

  path = mkOption {
    type = types.listOf types.package;
    default = [ ];
    example = literalExpression "[ pkgs.claude-code pkgs.nodejs ]";
    description = "Packages that the agents and the supervisor find on `PATH`, before those of the system.";
  };

  upgrader.enable = mkOption {
    type = types.bool;
    default = false;
    description = "Whether the upgrader runs by itself.";
  };
  upgrader.onCalendar = mkOption {
    type = types.strMatching "[^\n]+";
    default = "Sun *-*-* 03:00:00";
    description = "When it does, as systemd.time(7) has it.";
  };

  programs = mkOption {
    type = types.str;
    default = "${cfg.package}/share/cc-ci-orch";
    defaultText = literalExpression ''"''${package}/share/cc-ci-orch"'';
    internal = true;
    description = "The folder of `launch.sh` and its like.";
  };
  searchPath = mkOption {
    type = types.str;
    default = lib.concatStringsSep ":" [
      "/run/wrappers/bin" # sudo
      (lib.makeBinPath (cfg.path ++ [ cfg.package pkgs.tmux pkgs.git ]))
      "${cfg.home}/.local/bin"
      "${cfg.home}/.nix-profile/bin"
      "/etc/profiles/per-user/${cfg.user}/bin"
      "/run/current-system/sw/bin"
    ];
    defaultText = literalExpression "sudo, path, the program, tmux, git, the user's and the system's programs";
    internal = true;
    description = "The whole `PATH` of the units.";
  };
}
