#!/bin/bash
# boot.sh ROOT CGROUP: systemd as the init of a machine of its own, on the files in ROOT.
#
# A machine here is a set of namespaces: its mounts, processes, names and network are its own,
# and all of it is gone with its first process. /usr is the host's, read-only.
set -eu
root=$1
echo $$ >"$2/cgroup.procs"

# shellcheck disable=SC2016  # the inner shell expands it
exec unshare --mount --pid --uts --ipc --cgroup --net --fork --kill-child --propagation private \
    /bin/bash -eu -c '
root=$1
mount --bind "$root" "$root"
mount --bind /usr "$root/usr"
mount -o remount,bind,ro "$root/usr"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$root/run"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/tmp"
mount -t tmpfs -o mode=755,nosuid tmpfs "$root/dev"
for device in null zero full random urandom tty; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s fd/0 "$root/dev/stdin"
ln -s fd/1 "$root/dev/stdout"
ln -s fd/2 "$root/dev/stderr"
: >"$root/dev/console"
mount --bind /dev/null "$root/dev/console"
hostname machine
cd "$root"
mkdir -p .old
pivot_root . .old
umount -l /.old
exec env -i container=lab PATH=/usr/sbin:/usr/bin /usr/lib/systemd/systemd --system \
    --log-target=journal
' boot "$root"
