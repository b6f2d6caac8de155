# What working on the project needs: `nix develop`, then the tools by their own names. (`./run-tests`
# makes a virtual environment with pip instead, which serves where there is no Nix.)
{ pkgs ? import <nixpkgs> { } }:
pkgs.mkShell {
  packages = [
    (pkgs.python3.withPackages (python: [
      python.hypothesis
      python.mypy
      python.pytest
      python.pytest-cov
      python.pytest-timeout
      python.pytest-xdist
    ]))
    pkgs.git
    pkgs.nix
    pkgs.procps
    pkgs.ruff
    pkgs.shellcheck
    pkgs.tmux
    pkgs.which
  ];
}
