#!/bin/bash
# Software: LIO (target_core_file, target_core_iblock) of Linux 7.2.7, as in Debian's user-mode-linux 7.2um1
#
# A fileio backstore on a block device that is mounted, or read-only, is enabled without a word, and can be exported.
# The iblock backstore, the other one for block devices, refuses both: "busy", and "permission denied".
#
# Seen (status of `echo 1 >enable`, and what the kernel says):
#
#   mounted, iblock: 1 Device or resource busy
#   mounted, fileio: 0
#   read-only, iblock: 1 Permission denied
#   read-only, fileio: 0
. "$(dirname "$0")/lib.sh"
kernel=7.2um1

unpack bookworm bash coreutils mount kmod iproute2 e2fsprogs util-linux
seen=$(guest <<'EOT'
modprobe loop
truncate -s 16M /tmp/mounted /tmp/read-only
losetup /dev/loop0 /tmp/mounted
losetup --read-only /dev/loop1 /tmp/read-only
mkfs.ext4 -q /dev/loop0
mkdir /tmp/mnt
mount /dev/loop0 /tmp/mnt
core=/sys/kernel/config/target/core
try() { # NAME DEVICE BACKSTORE KEY
  local status=0
  mkdir -p $core/$3_0/$1
  echo $4=$2 >$core/$3_0/$1/control
  said=$({ echo 1 >$core/$3_0/$1/enable; } 2>&1) || status=$?
  echo "$1, $3:" $status ${said##*: }
}
try mounted /dev/loop0 iblock udev_path
try mounted /dev/loop0 fileio fd_dev_name
try read-only /dev/loop1 iblock udev_path
try read-only /dev/loop1 fileio fd_dev_name
EOT
)
same "fileio takes a device that iblock refuses" "$seen" "mounted, iblock: 1 Device or resource busy
mounted, fileio: 0
read-only, iblock: 1 Permission denied
read-only, fileio: 0"
