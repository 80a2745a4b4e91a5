#!/bin/bash
# Software: LVM 2.03.16 (Debian 12's lvm2 2.03.16-2) and 2.03.31 (Debian 13's lvm2 2.03.31-2)
#
# In a selection (-S, --select), "!=" with a time means "=". `lv_time!="2000-01-01"` selects none of the logical volumes
# that were created on other days, and `lv_time!="<today>"` selects those that were created today. The negation written
# as `!(lv_time="<today>")` works. `lvs -S help` lists time among the operands of "!=".
#
# Seen, with a volume group of one logical volume, "a", that was created today:
#
#   lv_time="2000-01-01":
#   lv_time!="2000-01-01":
#   lv_time="<today>": a
#   lv_time!="<today>": a
#   !(lv_time="<today>"):
. "$(dirname "$0")/lib.sh"
kernel=7.2um1

for release in "bookworm 2.03.16-2" "trixie 2.03.31-2"; do
  unpack "${release% *}" "lvm2=${release#* }" bash coreutils mount kmod iproute2
  seen=$(guest <<'EOT'
{ vgcreate vg /dev/ubda && lvcreate -l 1 -n a vg; } >/dev/null
today=$(date -d "$(lvs --noheadings -o lv_time vg/a)" +%Y-%m-%d)
while read -r selection; do
  echo "$selection:" $(lvs --noheadings -o lv_name -S "${selection/<today>/$today}" vg 2>&1)
done <<'SELECTIONS'
lv_time="2000-01-01"
lv_time!="2000-01-01"
lv_time="<today>"
lv_time!="<today>"
!(lv_time="<today>")
SELECTIONS
EOT
  )
  same "LVM ${release#* }: \"!=\" with a time selects what \"=\" selects" "$seen" 'lv_time="2000-01-01":
lv_time!="2000-01-01":
lv_time="<today>": a
lv_time!="<today>": a
!(lv_time="<today>"):'
done
