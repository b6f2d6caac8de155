# The host cc-ci-orchestrator-hetzner: a Hetzner Cloud VM that runs one instance and nothing else.
# From outside it is reached by ssh and over Tailscale.
{ config, lib, pkgs, modulesPath, ... }:
let
  inherit (builtins) filter match readFile;
  keys = filter (line: match "[ \t]*(#.*)?" line == null)
    (lib.splitString "\n" (readFile ./authorized_keys));
  agent = config.services.cc-ci-orch.user;
in
{
  imports = [
    (modulesPath + "/profiles/qemu-guest.nix")
    ./disk.nix
  ];

  # The release whose defaults for data on disk hold here. It is set once and stays, whatever
  # release the host runs.
  system.stateVersion = "25.05";
  nixpkgs.hostPlatform = lib.mkDefault "x86_64-linux";

  networking.hostName = "cc-ci-orchestrator-hetzner";
  networking.useDHCP = true;
  time.timeZone = "UTC";

  # ---------------------------------------------------------------- who gets in
  services.openssh = {
    enable = true;
    openFirewall = false; # the firewall's whole list stands below
    settings = {
      PasswordAuthentication = false;
      KbdInteractiveAuthentication = false;
      PermitRootLogin = "prohibit-password";
      AllowUsers = [ "root" agent ];
      X11Forwarding = false;
    };
  };
  users.users.root.openssh.authorizedKeys.keys = keys;
  users.users.${agent}.openssh.authorizedKeys.keys = keys;
  warnings = lib.optional (keys == [ ])
    "cc-ci-orchestrator-hetzner: nobody can log in: put your public ssh key into nix/authorized_keys";

  networking.firewall = {
    enable = true;
    allowedTCPPorts = [ 22 ];
    allowedUDPPorts = [ config.services.tailscale.port ];
    checkReversePath = "loose"; # Tailscale's subnet routes and exit nodes need it
  };
  services.tailscale.enable = true; # it joins by hand, once: `tailscale up`

  # ---------------------------------------------------------------- the instance
  services.cc-ci-orch = {
    enable = true;
    path = [ pkgs.claude-code ];
  };
  nixpkgs.config.allowUnfreePredicate = package: lib.getName package == "claude-code";

  # Agents install and rebuild what they work on. The host holds nothing else, so that whoever
  # may run as an agent may do all on it; see "Security" in docs/nixos.md.
  security.sudo.extraRules = [
    {
      users = [ agent ];
      commands = [ { command = "ALL"; options = [ "NOPASSWD" ]; } ];
    }
  ];
  programs.nix-ld.enable = true; # the agents' own programs are made for other distributions

  # ---------------------------------------------------------------- upkeep
  nix.settings.experimental-features = [ "nix-command" "flakes" ];
  nix.gc = {
    automatic = true;
    dates = "weekly";
    options = "--delete-older-than 30d";
  };
  zramSwap.enable = true;
  environment.systemPackages = [ pkgs.git pkgs.tmux ];
}
