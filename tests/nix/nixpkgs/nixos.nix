# The NixOS options that nix/ may set, as NixOS declares them, with no behaviour of their own
# but the failing assertions: `config.system.build.toplevel` throws them, as NixOS does.
{ lib, pkgs, config, ... }:
let
  inherit (lib) mkOption types;
  option = type: default: mkOption { inherit type default; };
  needed = type: mkOption { inherit type; };
  any = option types.anything { };
  on = option types.bool false;
  texts = option (types.listOf types.str) [ ];
  of = options: types.submodule { inherit options; };
  unit = of {
    enable = option types.bool true;
    text = option (types.nullOr types.str) null;
    overrideStrategy = option (types.enum [ "asDropinIfExists" "asDropin" ]) "asDropinIfExists";
    wantedBy = texts;
    requiredBy = texts;
    aliases = texts;
  };
in
{
  options = {
    assertions = option (types.listOf types.unspecified) [ ];
    warnings = texts;
    nixpkgs.hostPlatform = option types.str "x86_64-linux";
    nixpkgs.config = any;
    nix.settings = any;
    nix.gc = any;
    system.stateVersion = needed types.str;
    system.build = option (types.lazyAttrsOf types.unspecified) { };
    environment.systemPackages = option (types.listOf types.package) [ ];
    environment.etc = any;
    systemd.units = option (types.attrsOf unit) { };
    systemd.tmpfiles.rules = texts;
    systemd.services = any;
    systemd.timers = any;
    users.mutableUsers = option types.bool true;
    users.groups = option (types.attrsOf (of { gid = option (types.nullOr types.int) null; })) { };
    users.users = option (types.attrsOf (of {
      isNormalUser = on;
      isSystemUser = on;
      group = option types.str "";
      extraGroups = texts;
      home = option types.str "/var/empty";
      createHome = on;
      description = option types.str "";
      shell = option (types.nullOr types.anything) null;
      useDefaultShell = on;
      hashedPassword = option (types.nullOr types.str) null;
      openssh.authorizedKeys.keys = texts;
    })) { };
    security.sudo = any;
    programs.nix-ld.enable = on;
    time.timeZone = option (types.nullOr types.str) null;
    zramSwap.enable = on;
    networking.hostName = option types.str "nixos";
    networking.useDHCP = option types.bool true;
    networking.useNetworkd = on;
    networking.firewall = {
      enable = option types.bool true;
      allowPing = option types.bool true;
      allowedTCPPorts = option (types.listOf types.port) [ ];
      allowedUDPPorts = option (types.listOf types.port) [ ];
      trustedInterfaces = texts;
      checkReversePath = option (types.either types.bool (types.enum [ "strict" "loose" ])) true;
      interfaces = any;
    };
    services.openssh = {
      enable = on;
      openFirewall = option types.bool true;
      settings = any;
      hostKeys = any;
    };
    services.tailscale = {
      enable = on;
      openFirewall = on;
      port = option types.port 41641;
      authKeyFile = option (types.nullOr types.path) null;
    };
    services.fstrim.enable = option types.bool true;
    services.qemuGuest.enable = on;
    fileSystems = option (types.attrsOf (of {
      device = needed types.str;
      fsType = option types.str "auto";
      options = option (types.listOf types.str) [ "defaults" ];
      autoResize = on;
      neededForBoot = on;
    })) { };
    boot.growPartition = on;
    boot.tmp.cleanOnBoot = on;
    boot.kernelParams = texts;
    boot.initrd.availableKernelModules = texts;
    boot.loader.grub = {
      enable = on;
      device = option types.str "";
      devices = texts;
      efiSupport = on;
      efiInstallAsRemovable = on;
      configurationLimit = option types.int 100;
    };
    boot.loader.efi.canTouchEfiVariables = on;
  };
  config.system.build.toplevel =
    let failed = map (a: a.message) (builtins.filter (a: !a.assertion) config.assertions); in
    if failed != [ ] then throw "Failed assertions:\n- ${lib.concatStringsSep "\n- " failed}"
    else pkgs.writeText "nixos-system-${config.networking.hostName}" (builtins.toJSON {
      inherit (config) fileSystems boot networking services systemd users;
    });
}
