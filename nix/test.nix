# A NixOS machine with the module, in a VM: `nix build .#checks.x86_64-linux.module`. It needs KVM
# and the whole of nixpkgs.
#
# One agent writes a line a second, so that what lives on shows. Everything that may not end an agent
# is done to it; then everything that must.
{ pkgs, module }:
let
  agent = pkgs.writeShellScript "agent" ''
    read -r first
    while :; do date; sleep 1; done
  '';
in
pkgs.testers.runNixOSTest {
  name = "cc-ci-orch";

  nodes.machine = { lib, ... }: {
    imports = [ module ];
    services.cc-ci-orch = {
      enable = true;
      environmentFile = "/run/unit.env";
      settings = {
        loop_backend = "command";
        loop_command = "${agent}";
        watchdog.poll = "1s";
      };
    };
    # What a rebuild changes: settings, and every unit's text.
    specialisation.changed.configuration.services.cc-ci-orch = {
      settings.watchdog.poll = lib.mkForce "2s";
      environment.MARK = "changed";
    };
  };

  testScript = ''
    import json

    def status():
        return json.loads(machine.execute("cc-ci-launch status --json")[1])

    def agents():
        return {s["role"]: s["pid"] for s in status()["sessions"]}

    def works(_=None):
        now = status()
        return now["supervisor"]["running"] and all(s["pid"] for s in now["sessions"])

    def reboots():
        return machine.succeed("grep -c '^- ' /opt/cc-ci-orch/REBOOTS.md || true").strip()

    with subtest("the pair comes up at boot, and nothing counts as a reboot"):
        machine.wait_for_unit("cc-ci-loops.service")
        retry(works)
        first = agents()
        assert set(first) == {"builder", "adversary"}, first
        assert reboots() in ("", "0"), reboots()

    with subtest("no agent ends with the supervisor"):
        machine.succeed("systemctl kill -s KILL --kill-whom=main cc-ci-loops.service")
        machine.wait_until_succeeds("systemctl is-active cc-ci-loops.service")
        retry(works)
        assert agents() == first, (first, agents())
        machine.succeed("systemctl restart cc-ci-loops.service")
        retry(works)
        assert agents() == first, (first, agents())

    with subtest("no agent ends with a rebuild"):
        machine.succeed("/run/current-system/specialisation/changed/bin/switch-to-configuration test")
        machine.succeed("grep -q MARK /etc/systemd/system/cc-ci-tmux.service")
        retry(works)
        assert agents() == first, (first, agents())

    with subtest("a reboot is recorded once, and the pair comes back"):
        machine.shutdown()
        machine.start()
        machine.wait_for_unit("cc-ci-loops.service")
        retry(works)
        machine.succeed("systemctl restart cc-ci-loops.service")
        retry(works)
        assert reboots() == "1", reboots()

    with subtest("the end of the tmux unit is the end of all"):
        machine.succeed("systemctl stop cc-ci-tmux.service")
        machine.wait_until_fails("pgrep -u cc-ci")
  '';
}
