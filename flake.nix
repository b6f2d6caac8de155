{
  description = "cc-ci-orch keeps two coding agents, a builder and an adversary, working through a plan for days";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      forEachSystem = f: nixpkgs.lib.genAttrs [ "x86_64-linux" "aarch64-linux" ]
        (system: f nixpkgs.legacyPackages.${system});
      module.imports = [ ./nix/module.nix ];
    in
    {
      nixosModules.default = module;

      packages = forEachSystem (pkgs: { default = pkgs.callPackage ./nix/package.nix { }; });

      checks = forEachSystem (pkgs: {
        package = self.packages.${pkgs.stdenv.hostPlatform.system}.default;
        module = import ./nix/test.nix { inherit pkgs module; };
      });

      devShells = forEachSystem (pkgs: { default = import ./nix/shell.nix { inherit pkgs; }; });

      nixosConfigurations.cc-ci-orchestrator-hetzner = nixpkgs.lib.nixosSystem {
        modules = [ module ./nix/host.nix ];
      };
    };
}
