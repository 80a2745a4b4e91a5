#!/bin/bash
# Software: LVM 2.03.16 (Debian 12's lvm2 2.03.16-2) and 2.03.31 (Debian 13's lvm2 2.03.31-2)
#
# `tags { hosttags=1 }`, with no volume_list, limits activation to logical volumes that have the tag of the host.
# `lvcreate` of any other then fails, and blames a volume_list that nobody set. `lvchange -ay` of one does nothing,
# without a message, and ends with 0.
#
# Seen:
#
#   lvcreate: 5 Volume vg/b is not active locally (volume_list activation filter?).
#   lvchange -ay: 0
#   lv_active: []
#   lvchange -ay, with the tag: 0
#   lv_active: [active]
. "$(dirname "$0")/lib.sh"
kernel=7.2um1

for release in "bookworm 2.03.16-2" "trixie 2.03.31-2"; do
  unpack "${release% *}" "lvm2=${release#* }" bash coreutils mount kmod iproute2
  seen=$(guest <<'EOT'
echo node >/proc/sys/kernel/hostname
{ vgcreate vg /dev/ubda && lvcreate -an -Zn -l 1 -n a vg; } >/dev/null 2>&1
mkdir /tmp/lvm
echo 'tags { hosttags=1 }' >/tmp/lvm/lvm.conf
export LVM_SYSTEM_DIR=/tmp/lvm
try() {
  local what=$1 said
  shift
  mapfile -t said <<<"$("$@" 2>&1; echo $?)"
  echo "$what:" ${said[-1]} $([ ${#said[@]} = 1 ] || echo "${said[0]}")
}
active() { echo "lv_active: [$(lvs --noheadings -o lv_active vg/a | tr -d ' ')]"; }
try lvcreate lvcreate -l 1 -n b vg
try "lvchange -ay" lvchange -ay vg/a
active
lvchange --addtag node vg/a >/dev/null
try "lvchange -ay, with the tag" lvchange -ay vg/a
active
EOT
  )
  same "LVM ${release#* }: host tags keep volumes inactive" "$seen" \
    "lvcreate: 5 Volume vg/b is not active locally (volume_list activation filter?).
lvchange -ay: 0
lv_active: []
lvchange -ay, with the tag: 0
lv_active: [active]"
done
