"""The host cc-ci-orchestrator-hetzner: who gets in, and a disk that boots."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.nix.tool import LIBRARIES, REPO, machine, needs_nix

pytestmark = needs_nix

HOST = f"{REPO}/nix/host.nix"
EF02 = "21686148-6449-6E6F-744E-656564454649"
ESP = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"


def _host(wanted: str, library: Path = LIBRARIES[0].values[0], also: str = "") -> Any:
    return machine(library, "{ }", wanted, also=f"{HOST} {also}")


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_whole_host_evaluates(library: Path) -> None:
    """With no assertion failing, and with the module's own units."""
    assert _host("config.system.build.toplevel.drvPath", library).endswith(
        "-nixos-system-cc-ci-orchestrator-hetzner-1.drv"
    )
    units = _host("builtins.attrNames config.systemd.units", library)
    assert "cc-ci-loops.service" in units


def test_nobody_gets_in_with_a_password() -> None:
    """Nor as anybody else than root and the agents' user."""
    ssh = _host("config.services.openssh.settings")
    assert ssh["PasswordAuthentication"] is False
    assert ssh["KbdInteractiveAuthentication"] is False
    assert ssh["PermitRootLogin"] == "prohibit-password"
    assert ssh["AllowUsers"] == ["root", "cc-ci"]
    users = _host("config.users.users")
    assert {user["hashedPassword"] for user in users.values()} == {None}


def test_the_firewall_lets_in_ssh_and_tailscale() -> None:
    """Its list is the whole list: no service opens a port beside it."""
    firewall = _host("config.networking.firewall")
    assert firewall["enable"] is True
    assert firewall["allowedTCPPorts"] == [22]
    assert firewall["allowedUDPPorts"] == [41641]
    assert firewall["trustedInterfaces"] == []
    assert _host("config.services.openssh.openFirewall") is False
    assert _host("config.services.tailscale") == {
        "enable": True,
        "openFirewall": False,
        "port": 41641,
        "authKeyFile": None,
    }


def test_a_host_that_nobody_can_reach_says_so() -> None:
    """The project has no key of its own in it."""
    assert _host("config.warnings") == [
        "cc-ci-orchestrator-hetzner: nobody can log in: "
        "put your public ssh key into nix/authorized_keys"
    ]


def test_what_is_on_disk_keeps_its_release() -> None:
    """A rebuild with a newer nixpkgs doesn't change it."""
    assert re.fullmatch(r"\d\d\.\d\d", _host("config.system.stateVersion"))
    assert 'system.stateVersion = "' in Path(HOST).read_text()


def test_grub_boots_it_by_bios_and_by_efi() -> None:
    """And needs no variable of the firmware for it."""
    grub = _host("config.boot.loader.grub")
    assert grub["device"] == "/dev/sda"
    assert grub["efiSupport"] is True
    assert grub["efiInstallAsRemovable"] is True
    assert _host("config.boot.loader.efi.canTouchEfiVariables") is False
    assert "virtio_scsi" in _host("config.boot.initrd.availableKernelModules")


@pytest.mark.parametrize("library", LIBRARIES)
def test_an_arm_machine_boots_by_efi_alone(library: Path) -> None:
    """It has no BIOS, and grub no code for one there."""
    arm = """({ nixpkgs.hostPlatform = "aarch64-linux"; })"""
    assert _host("config.boot.loader.grub.device", library, also=arm) == "nodev"
    drv = "config.services.cc-ci-orch.package.system"
    assert _host(drv, library, also=arm) == "aarch64-linux"


def test_the_host_has_the_agent_that_is_the_default() -> None:
    """The default backend would find no program otherwise; it is the only unfree one allowed."""
    loops = _host('config.systemd.units."cc-ci-loops.service".text')
    (path,) = [line for line in loops.splitlines() if line.startswith("Environment=PATH=")]
    assert "-claude-code-1/bin:" in path
    allowed = "map (name: config.nixpkgs.config.allowUnfreePredicate { pname = name; })"
    assert _host(f"{allowed} [ ''claude-code'' ''other'' ]") == [True, False]


@pytest.mark.skipif(not shutil.which("sfdisk"), reason="no sfdisk: sudo apt-get install -y fdisk")
def test_the_partition_table_is_one_that_sfdisk_makes(tmp_path: Path) -> None:
    """On a disk of any size; what is mounted has a partition of that name."""
    image = tmp_path / "disk"
    with image.open("wb") as file:
        file.truncate(20 << 30)
    table = _host("config.system.build.partitionTable")
    subprocess.run(["sfdisk", image], input=table, text=True, check=True, capture_output=True)
    shown = subprocess.run(["sfdisk", "--json", image], check=True, capture_output=True).stdout
    disk = json.loads(shown)["partitiontable"]
    assert disk["label"] == "gpt"
    bios, esp, root = disk["partitions"]
    assert (bios["type"], bios["size"] * 512) == (EF02, 1 << 20)
    assert (esp["type"], esp["size"] * 512) == (ESP, 512 << 20)
    assert root["type"] == LINUX
    assert root["size"] * 512 > 19 << 30
    assert [part["start"] * 512 % (1 << 20) for part in disk["partitions"]] == [0, 0, 0]
    mounted = {at: fs["device"] for at, fs in _host("config.fileSystems").items()}
    assert mounted == {
        "/": f"/dev/disk/by-partlabel/{root['name']}",
        "/boot": f"/dev/disk/by-partlabel/{esp['name']}",
    }


def test_the_disk_is_erased_only_by_its_name() -> None:
    """A script that is run by mistake does nothing."""
    script = _host("config.system.build.formatDisk.seen.text")
    refused = subprocess.run(["bash", "-c", script, "x"], capture_output=True, text=True)
    assert refused.returncode == 2
    assert "this erases /dev/sda" in refused.stderr
    checked = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
    assert (checked.returncode, checked.stderr) == (0, "")
