#!/bin/bash
# Software: LVM 2.03.16 (Debian 12's lvm2 2.03.16-2) and 2.03.31 (Debian 13's lvm2 2.03.31-2), Linux 7.2.7
#
# `lvchange -ay` refuses a striped volume one of whose disks is missing. The same volume as raid0, which has no copy of
# anything either, is activated without a word, half of its blocks missing: a read of the second stripe fails. lvmraid(7)
# says that activation_mode degraded, the default, does not activate a RAID volume that lacks data.
#
# Seen:
#
#   lvchange -ay striped: 5 Refusing activation of partial LV vg/striped.  Use '--activationmode partial' to override.
#   lvchange -ay raid0: 0
#   raid0: active, partial
#   first stripe: read; second stripe: Input/output error
. "$(dirname "$0")/lib.sh"
kernel=7.2um1

for release in "bookworm 2.03.16-2" "trixie 2.03.31-2"; do
  unpack "${release% *}" "lvm2=${release#* }" dmsetup grep bash coreutils mount kmod iproute2
  seen=$(guest <<'EOT'
{
  modprobe dm-raid
  for i in 0 1; do dmsetup create disk$i --table "0 400000 linear /dev/ubda $((100000 + i * 1000000))"; done
  dmsetup mknodes
  vgcreate vg /dev/mapper/disk0 /dev/mapper/disk1
  for kind in striped raid0; do lvcreate -y -Zn -Wn --type $kind -i 2 -I 64k -L 64m -n $kind vg; done
  vgchange -an vg
  dmsetup remove disk1
  rm -f /dev/mapper/disk1
} >/dev/null 2>&1
try() { lvchange -ay vg/$1 >/tmp/said 2>&1; echo "lvchange -ay $1:" $? $(grep -v WARNING /tmp/said); }
try striped
try raid0
echo "raid0: $(lvs --noheadings -o lv_active,lv_health_status --separator ', ' vg/raid0 2>/dev/null | tr -s ' ')"
dmsetup mknodes
part() { dd if=/dev/mapper/vg-raid0 of=/dev/null bs=64k count=1 skip=$1 2>&1 | grep -o 'Input/output error' || echo read; }
echo "first stripe: $(part 0); second stripe: $(part 1)"
EOT
  )
  same "LVM ${release#* }: raid0 is activated without one of its disks" "$seen" \
    "lvchange -ay striped: 5 Refusing activation of partial LV vg/striped. Use '--activationmode partial' to override.
lvchange -ay raid0: 0
raid0:  active, partial
first stripe: read; second stripe: Input/output error"
done
