# Stand-in packages: real derivations that nobody builds, so that a string that names one is a
# store path with a context, as with nixpkgs. `seen` is what the derivation was made from.
{ lib, system }:
let
  package = pname: seen: derivation {
    name = "${pname}-${seen.version or "1"}";
    inherit system;
    builder = "/bin/sh";
    args = [ (builtins.toJSON (removeAttrs seen [ "meta" ])) ];
  } // { inherit pname seen; meta = seen.meta or { }; version = seen.version or "1"; };
  plain = name: package name { };
  script = name: text: package name { inherit text; meta.mainProgram = name; };
  names = [
    "bashInteractive" "cacert" "coreutils" "curl" "dosfstools" "e2fsprogs" "findutils" "gawk" "git"
    "gnugrep" "gnused" "gnutar" "gzip" "jq" "mypy" "nix" "openssh" "procps" "ruff" "shellcheck"
    "systemd" "tmux" "util-linux" "which" "claude-code"
  ];
  python = plain "python3" // {
    interpreter = "${plain "python3"}/bin/python3";
    sitePackages = "lib/python3.13/site-packages";
    pkgs = pkgs.python3Packages;
    withPackages = choose: package "python3-env" { packages = map toString (choose pkgs.python3Packages); };
  };
  pkgs = lib.genAttrs names plain // {
    inherit lib system;
    stdenv.hostPlatform = { inherit system; isx86_64 = system == "x86_64-linux"; isAarch64 = system == "aarch64-linux"; };
    python3 = python;
    python3Packages = lib.genAttrs [ "hatchling" "hypothesis" "mypy" "pytest" "pytest-cov" "pytest-timeout" "pytest-xdist" ] plain // {
      inherit python;
      # As nixpkgs' own, only these names may be given.
      buildPythonApplication = { pname, version, pyproject, src, build-system ? [ ], makeWrapperArgs ? [ ]
        , postInstall ? "", pythonImportsCheck ? [ ], installCheckPhase ? "", meta ? { } }:
        package pname { inherit version pyproject build-system makeWrapperArgs postInstall pythonImportsCheck
          installCheckPhase meta; src = toString src; };
    };
    writeText = name: text: package name { inherit text; };
    writeShellScript = script;
    writeShellScriptBin = script;
    runCommand = name: env: text: package name { inherit env text; };
    mkShell = args: package "shell" { packages = map toString (args.packages or [ ]); };
    nixosTest = test: package "vm-test-${test.name}" { inherit (test) name testScript; nodes = builtins.attrNames test.nodes; };
    testers.runNixOSTest = pkgs.nixosTest;
    callPackage = file: extra: let f = if builtins.isFunction file then file else import file; in
      f (builtins.intersectAttrs (builtins.functionArgs f) pkgs // extra);
  };
in
pkgs
