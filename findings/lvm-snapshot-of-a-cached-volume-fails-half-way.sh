#!/bin/bash
# Software: LVM 2.03.16 (Debian 12's lvm2 2.03.16-2) and, for comparison, 2.03.31 (Debian 13's lvm2 2.03.31-2), Linux 7.2.7
#
# `lvcreate -s` of an active volume with a cache (a cachevol) fails in 2.03.16: LVM runs cache_check on the cache that is
# in use, and that one refuses. What remains is a logical volume of the name and size that were asked for, which is no
# snapshot: whoever looks for the name alone takes it for one. 2.03.31 makes the snapshot.
#
# Seen:
#
#   LVM 2.03.16: lvcreate ends with 5
#     snap, attributes -wi, origin none, inactive
#   LVM 2.03.31: lvcreate ends with 0
#     snap, attributes swi, origin data, active
. "$(dirname "$0")/lib.sh"
kernel=7.2um1

try() {
  unpack "$1" "lvm2=$2" thin-provisioning-tools dmsetup bash coreutils mount kmod iproute2
  seen=$(guest <<'EOT'
{
  for m in dm-cache dm-cache-smq dm-snapshot; do modprobe $m; done
  for i in 0 1; do dmsetup create disk$i --table "0 400000 linear /dev/ubda $((100000 + i * 1000000))"; done
  dmsetup mknodes
  vgcreate vg /dev/mapper/disk0 /dev/mapper/disk1
  lvcreate -y -Zn -Wn -L 64m -n data vg /dev/mapper/disk0
  lvcreate -y -Zn -Wn -an -L 32m -n fast vg /dev/mapper/disk1
  lvconvert -y --type cache --cachevol fast vg/data
  lvcreate -y -s -L 16m -n snap vg/data
  status=$?
} >/dev/null 2>&1
field() { lvs --noheadings -o "$1" vg/snap 2>/dev/null | tr -d ' '; }
attributes=$(field lv_attr) origin=$(field origin) active=$(field lv_active)
echo "lvcreate ends with $status"
echo "snap, attributes ${attributes:0:3}, origin ${origin:-none}, ${active:-inactive}"
EOT
  )
  same "LVM $2: a snapshot of a cached volume" "$seen" "$3"
}

try bookworm 2.03.16-2 "lvcreate ends with 5
snap, attributes -wi, origin none, inactive"
try trixie 2.03.31-2 "lvcreate ends with 0
snap, attributes swi, origin data, active"
