# The disk: what is on it, where the system mounts it from, and the script that makes it so.
# One table of partitions serves the three.
{ lib, pkgs, config, ... }:
let
  device = "/dev/sda";
  partitions = [
    # On a disk of 2 GiB and more, "size" and the start of the next are multiples of 1 MiB.
    { label = "cc-ci-bios"; size = "1MiB"; type = "21686148-6449-6E6F-744E-656564454649"; } # EF02: grub's core image
    { label = "cc-ci-esp"; size = "512MiB"; type = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"; } # EF00: the ESP
    { label = "cc-ci-root"; size = null; type = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"; } # 8300: the rest
  ];
  line = { label, size, type }:
    lib.concatStringsSep ", " (lib.optional (size != null) "size=${size}" ++ [ "type=${type}" ''name="${label}"'' ]);
in
{
  # As sfdisk reads it.
  system.build.partitionTable = "label: gpt\n" + lib.concatMapStrings (p: line p + "\n") partitions;

  # For the rescue system or the installer; it erases the disk, so it asks for its name.
  system.build.formatDisk = pkgs.writeShellScriptBin "format-disk" ''
    set -euo pipefail
    if [ "''${1:-}" != ${device} ]; then
      echo "format-disk: this erases ${device}; to go on: format-disk ${device}" >&2
      exit 2
    fi
    ${pkgs.util-linux}/bin/wipefs --all ${device}
    ${pkgs.util-linux}/bin/sfdisk --wipe always ${device} <<'TABLE'
    ${config.system.build.partitionTable}TABLE
    ${pkgs.systemd}/bin/udevadm settle
    ${pkgs.dosfstools}/bin/mkfs.vfat -F 32 -n CC-CI-ESP /dev/disk/by-partlabel/cc-ci-esp
    ${pkgs.e2fsprogs}/bin/mkfs.ext4 -F -L cc-ci-root /dev/disk/by-partlabel/cc-ci-root
    mount /dev/disk/by-partlabel/cc-ci-root /mnt
    mkdir -p /mnt/boot
    mount -o umask=0077 /dev/disk/by-partlabel/cc-ci-esp /mnt/boot
  '';

  fileSystems."/" = {
    device = "/dev/disk/by-partlabel/cc-ci-root";
    fsType = "ext4";
  };
  fileSystems."/boot" = {
    device = "/dev/disk/by-partlabel/cc-ci-esp";
    fsType = "vfat";
    options = [ "umask=0077" ];
  };

  # Hetzner's x86 machines boot by BIOS or EFI, its Arm ones by EFI only. Nothing is written to
  # the firmware's variables, so the disk boots on whatever machine it is put.
  boot.loader.grub = {
    enable = true;
    device = if pkgs.stdenv.hostPlatform.isx86_64 then device else "nodev";
    efiSupport = true;
    efiInstallAsRemovable = true;
  };
}
