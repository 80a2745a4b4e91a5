#!/bin/bash
# Software: LVM 2.03.31 (Debian 13's lvm2 2.03.31-2); LVM 2.03.16 (Debian 12's lvm2 2.03.16-2) does not do it
#
# While lvm.conf has use_devicesfile=0, Debian's default, any command renames /etc/lvm/devices/system.devices to
# system.devices-unused.DATE.TIME: a report such as `pvs` too, and without a message. A file that was made before the
# setting is turned on, or that some commands use by `--config devices/use_devicesfile=1`, is gone after the first `pvs`
# of anybody. Since a missing file means no restriction, those commands then use every device of the node.
#
# Seen, with a devices file that lists one of two physical volumes, and the lvm.conf of the package:
#
#   files: system.devices
#   pvs with the devices file: /dev/ubda
#   pvs: /dev/loop0 /dev/ubda
#   files: system.devices-unused.<date>          (2.03.16: system.devices)
#   pvs with the devices file: /dev/loop0 /dev/ubda          (2.03.16: /dev/ubda)
. "$(dirname "$0")/lib.sh"
kernel=7.2um1

look() {
  guest <<'EOT'
modprobe loop
truncate -s 64M /tmp/disk
losetup /dev/loop0 /tmp/disk
{ vgcreate vg /dev/ubda && vgcreate other /dev/loop0; } >/dev/null
mkdir -p /etc/lvm/devices
on="--config devices/use_devicesfile=1"
lvm lvmdevices $on -y --adddev /dev/ubda >/dev/null
rm -rf /etc/lvm/devices/backup
pvs() { command pvs --noheadings -o pv_name "$@" 2>&1; }
files() { printf '%s\n' "files: $(ls /etc/lvm/devices)" | sed 's/unused.*/unused.<date>/'; }
files
echo pvs with the devices file: $(pvs $on)
echo pvs: $(pvs)
files
echo pvs with the devices file: $(pvs $on)
EOT
}

unpack bookworm lvm2=2.03.16-2 bash coreutils mount kmod iproute2 sed
same "LVM 2.03.16-2 keeps the devices file" "$(look)" "files: system.devices
pvs with the devices file: /dev/ubda
pvs: /dev/loop0 /dev/ubda
files: system.devices
pvs with the devices file: /dev/ubda"

unpack trixie lvm2=2.03.31-2 bash coreutils mount kmod iproute2 sed
same "LVM 2.03.31-2: pvs renames the devices file" "$(look)" "files: system.devices
pvs with the devices file: /dev/ubda
pvs: /dev/loop0 /dev/ubda
files: system.devices-unused.<date>
pvs with the devices file: /dev/loop0 /dev/ubda"
