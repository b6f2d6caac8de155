# A stand-in for nixosSystem: these modules over the options of nixos.nix.
# `standIn` is the lib of this folder; `lib` may be the real one.
{ lib, standIn ? import ./lib.nix }:
{ modules, specialArgs ? { }, system ? "x86_64-linux" }:
let
  evaluated = lib.evalModules {
    modules = [ ./nixos.nix ] ++ modules;
    specialArgs = {
      pkgs = import ./pkgs.nix { lib = standIn; inherit system; };
      modulesPath = toString ./nixos/modules;
    } // specialArgs;
  };
in
evaluated
