{
  description = "A stand-in for nixpkgs: just enough of it to evaluate this project's flake";
  outputs = _:
    let lib = import ./lib.nix; in
    {
      lib = lib // { nixosSystem = import ./nixos-system.nix { inherit lib; }; };
      legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (system: import ./pkgs.nix { inherit lib system; });
    };
}
