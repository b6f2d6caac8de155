# The program as a package: `bin/cc-ci-orch`, with tmux and git at hand, and in
# `share/cc-ci-orch` what a clone has: the launchers, the plan, the prompts and the manual.
{ lib, python3Packages, tmux, git }:
let
  inherit (builtins) baseNameOf elem elemAt match readFile;
  project = builtins.fromTOML (readFile ../pyproject.toml);
  version = elemAt (match ".*\n__version__ = \"([^\"]+)\".*" (readFile ../cc_ci_orch/__init__.py)) 0;
in
python3Packages.buildPythonApplication {
  pname = project.project.name;
  inherit version;
  pyproject = true;

  src = lib.cleanSourceWith {
    src = ../.;
    filter = path: type: !(elem (baseNameOf path) [ ".git" ".venv" ".orch" "tests" "nix" "benchmarks" ]);
  };

  build-system = [ python3Packages.hatchling ];

  makeWrapperArgs = [
    "--prefix"
    "PATH"
    ":"
    (lib.makeBinPath [ tmux git ])
  ];

  # launch.sh and its like stand there as programs, so that units and people call them as in a
  # clone, but no instance lives in the store.
  postInstall = ''
    share=$out/share/cc-ci-orch
    mkdir -p $share
    cp -r plan prompts docs AGENTS.md $share/
    for launcher in launch*.py; do
      install -m 644 $launcher $share/
      makeWrapper ${python3Packages.python.interpreter} $share/''${launcher%.py}.sh \
        --add-flags $share/$launcher \
        --prefix PATH : ${lib.makeBinPath [ tmux git ]}
    done
    ln -s $out/${python3Packages.python.sitePackages}/cc_ci_orch $share/cc_ci_orch
  '';

  # The whole test suite drives tmux, git and processes for minutes; what a build can promise is
  # that the program starts.
  pythonImportsCheck = [ "cc_ci_orch.cli.loops" ];
  installCheckPhase = ''
    runHook preInstallCheck
    test "$($out/bin/cc-ci-orch version)" = "cc-ci-orch ${version}"
    test "$($out/share/cc-ci-orch/launch.sh version)" = "cc-ci-orch ${version}"
    runHook postInstallCheck
  '';

  meta = {
    inherit (project.project) description;
    license = lib.licenses.mit;
    mainProgram = "cc-ci-orch";
    platforms = lib.platforms.linux;
  };
}
