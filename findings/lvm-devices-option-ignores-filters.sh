#!/bin/bash
# Software: LVM 2.03.16 (Debian 12's lvm2 2.03.16-2) and 2.03.31 (Debian 13's lvm2 2.03.31-2)
#
# `--devices` is described as overriding the devices file, for one command. It overrides the filters as well: a device
# that `devices/filter` or `devices/global_filter` rejects, so that no command of the node touches it, is used by a
# command that names it with --devices. Who gives LVM a list of devices to keep it from others has to apply the
# node's filters to that list himself. `--config devices/filter=…` is no such way around: a global_filter still counts.
#
# Seen, with two physical volumes of which the named setting rejects /dev/loop0:
#
#   filter: /dev/ubda
#   filter, with --devices /dev/loop0: /dev/loop0
#   global_filter: /dev/ubda
#   global_filter, with --devices /dev/loop0: /dev/loop0
#   global_filter, with a filter that accepts all: /dev/ubda
. "$(dirname "$0")/lib.sh"
kernel=7.2um1

look() {
  guest <<'EOT'
modprobe loop
truncate -s 64M /tmp/disk
losetup /dev/loop0 /tmp/disk
{ vgcreate vg /dev/ubda && vgcreate other /dev/loop0; } >/dev/null
reject='["r|/dev/loop0|"]'
pvs() { command pvs --noheadings -o pv_name "$@" 2>&1; }
for setting in filter global_filter; do
  printf 'devices { %s = %s }\n' $setting "$reject" > /etc/lvm/lvmlocal.conf
  echo "$setting:" $(pvs)
  echo "$setting, with --devices /dev/loop0:" $(pvs --devices /dev/loop0)
done
echo "global_filter, with a filter that accepts all:" $(pvs --config 'devices/filter=["a|.*|"]')
EOT
}

seen="filter: /dev/ubda
filter, with --devices /dev/loop0: /dev/loop0
global_filter: /dev/ubda
global_filter, with --devices /dev/loop0: /dev/loop0
global_filter, with a filter that accepts all: /dev/ubda"
for of in bookworm:2.03.16-2 trixie:2.03.31-2; do
  unpack "${of%:*}" lvm2="${of#*:}" bash coreutils mount kmod iproute2 sed
  same "LVM ${of#*:}: --devices goes past the filters" "$(look)" "$seen"
done
