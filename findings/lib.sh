# What the findings share: fetch pinned Debian packages into a temporary folder, run them there or in a guest, compare.
# A finding sources this file, calls `unpack` and then `inside` or `guest`, and ends in `same` for each thing it claims.
# Exit status: 0 the behaviour is as described, 1 it is not, 2 it could not be tried.
set -euo pipefail
export LC_ALL=C

unknown() {
  echo "not tried: $*" >&2
  exit 2
}

for tool in mmdebstrap apt-get unshare; do
  command -v $tool >/dev/null || unknown "$tool is missing"
done
[ "$(id -u)" = 0 ] || unknown "needs root, for chroot and mounts in a namespace of its own"

work=$(mktemp -d "${TMPDIR:-/var/tmp}/finding.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 2' INT TERM
root=$work/root # user space
boot=$work/boot # what the guest's kernel itself runs in

# unpack SUITE PACKAGE[=VERSION]...: extract packages and what they depend on into $root. No maintainer script runs.
# A mirror that was kept as of some day will do: signatures are checked, the date until which they hold is not.
unpack() { extract "$root" "$@"; }

extract() {
  local dir=$1 suite=$2 log=$work/extract.log
  shift 2
  rm -rf "$dir"
  mirror=$(apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' |
    awk '$1 == "Debian" && $2 == "Debian" { print $3; exit }')
  [ -n "$mirror" ] || unknown "apt on this host has no mirror of Debian (run apt-get update)"
  mmdebstrap --verbose --variant=extract --include="$*" --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
    --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Check-Valid-Until "false"' "$suite" "$dir" \
    "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" \
    </dev/null >"$log" 2>&1 && return
  grep -oE "Version '.*' for '.*' was not found" "$log" >&2 &&
    unknown "$suite no longer has the version of this finding"
  tail -n 5 "$log" >&2
  unknown "cannot unpack $* of $suite"
}

# inside [COMMAND...]: run a command (default: bash on stdin) in $root, in network, mount and process namespaces.
inside() {
  [ $# -gt 0 ] || set -- bash
  unshare --net --mount --pid --fork --kill-child bash -c '
    mount -t proc proc "$0/proc"; mount -t tmpfs tmp "$0/run"
    mknod -m 666 "$0/dev/null" c 1 3 2>/dev/null
    exec chroot "$0" "$@"' "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C "$@"
}

# guest: boot a kernel with $root as its root, run bash on stdin in it, print the output. Disk: /dev/ubda. No udev.
# The kernel is Debian's User-mode Linux, an ordinary process. $root needs bash, coreutils, mount, kmod and iproute2.
guest() {
  local modules
  [ -d "$boot" ] || extract "$boot" testing "user-mode-linux=$kernel" libc6 libgcc-s1
  modules=$(basename "$boot"/usr/lib/uml/modules/*)
  mkdir -p "$root/lib/modules" "$root/sys" "$root/proc" "$root/run" "$root/tmp" "$boot"/{proc,tmp,dev,guest}
  cp -r "$boot/usr/lib/uml/modules/$modules" "$root/lib/modules/"
  chroot "$root" depmod "$modules"
  cat >"$root/script"
  cat >"$root/init" <<'INIT'
#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C DM_DISABLE_UDEV=1
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mount -t tmpfs run /run; mount -t tmpfs tmp /tmp; mkdir -p /run/lock/lvm
ip link set lo up
for module in configfs dm-mod dm-thin-pool target_core_mod target_core_iblock target_core_file iscsi_target_mod; do
  modprobe $module
done 2>/run/modules
mount -t configfs config /sys/kernel/config
bash /script >/out 2>&1; echo $? >/status
sync; echo o >/proc/sysrq-trigger; sleep 60
INIT
  chmod +x "$root/init"
  rm -f "$boot/disk"
  truncate -s 8G "$boot/disk"
  timeout -k 5 300 unshare --mount bash -c '
    mount -t proc proc "$0/proc"; mount -t tmpfs tmp "$0/tmp"; mount --rbind /dev "$0/dev"
    mount --bind "$1" "$0/guest"; shift; HOME=/ exec chroot "$0" "$@"' "$boot" "$root" \
    /usr/bin/linux.uml mem=1G seccomp=auto uml_dir=/tmp/ umid=guest quiet con=null con0=null,fd:1 ubd0=/disk \
    rootfstype=hostfs rootflags=/guest rw init=/init </dev/null >"$work/console" 2>&1 || true
  [ -s "$root/status" ] || { tail -n 5 "$work/console" >&2; unknown "the guest did not come to its end"; }
  cat "$root/out"
}

# same WHAT SEEN EXPECTED: end with 1 if what was seen is not what the finding says.
same() {
  if [ "$2" != "$3" ]; then
    printf 'CHANGED: %s\n--- expected\n%s\n--- seen\n%s\n' "$1" "$3" "$2"
    exit 1
  fi
  printf 'as described: %s\n' "$1"
}
