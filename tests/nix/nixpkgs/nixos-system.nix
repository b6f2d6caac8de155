# A stand-in for nixosSystem: these modules over the options of nixos.nix.
# `standIn` is the lib of this folder; `lib` may be the real one.
{ lib, standIn ? import ./lib.nix }:
{ modules, specialArgs ? { } }:
let
  evaluated = lib.evalModules {
    modules = [ ./nixos.nix ] ++ modules;
    specialArgs = {
      pkgs = import ./pkgs.nix { lib = standIn; system = evaluated.config.nixpkgs.hostPlatform; };
      modulesPath = toString ./nixos/modules;
    } // specialArgs;
  };
in
evaluated
