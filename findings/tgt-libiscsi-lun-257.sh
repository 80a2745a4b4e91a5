#!/bin/bash
# Software: tgt 1.0.85 (Debian 12's tgt 1:1.0.85-1+deb12u1), libiscsi 1.19.0 (Debian 12's libiscsi-bin 1.19.0-3)
#
# A target has LUN 1 and LUN 257. Who opens LUN 257 by libiscsi (which QEMU's iscsi:// uses as well) is connected with
# LUN 1, the other disk. No error is given. tgt speaks of LUN 257 in flat addressing, 0x4101,
# which libiscsi lists as LUN 16641; under that number it can be opened. libiscsi sends a number as it is written in the
# URL: 257 is 0x0101, LUN 1 on bus 1 in peripheral addressing, and tgt does not look at the bus.
#
# Seen (LUN 1 has 1 MiB, LUN 257 has 4 MiB):
#
#   Lun:1    Type:DIRECT_ACCESS (Size:1023k)
#   Lun:16641 Type:DIRECT_ACCESS (Size:3M)
#   LUN 1: 1048576 bytes
#   LUN 257: 1048576 bytes
#   LUN 16641: 4194304 bytes
. "$(dirname "$0")/lib.sh"

unpack bookworm tgt=1:1.0.85-1+deb12u1 libiscsi-bin=1.19.0-3 bash coreutils grep iproute2
seen=$(inside <<'EOT'
ip link set lo up
tgtd --foreground --iscsi portal=127.0.0.1:3260 >/tmp/tgtd.log 2>&1 &
for try in {1..50}; do tgtadm --op show --mode sys >/dev/null 2>&1 && break; sleep 0.1; done
iqn=iqn.2003-01.org.example:target
tgtadm --op new --mode target --tid 1 --targetname $iqn
tgtadm --op bind --mode target --tid 1 --initiator-address ALL
truncate -s 1M /tmp/1
truncate -s 4M /tmp/257
for lun in 1 257; do tgtadm --op new --mode logicalunit --tid 1 --lun $lun --backing-store /tmp/$lun; done
iscsi-ls --show-luns iscsi://127.0.0.1 | grep DIRECT
for lun in 1 257 16641; do
  printf "LUN $lun: "
  iscsi-readcapacity16 iscsi://127.0.0.1/$iqn/$lun | grep -oE 'Total size:[0-9]+' | tr -dc '0-9'
  echo " bytes"
done
EOT
)
same "libiscsi opens LUN 1 where LUN 257 was asked for" "$seen" "Lun:1    Type:DIRECT_ACCESS (Size:1023k)
Lun:16641 Type:DIRECT_ACCESS (Size:3M)
LUN 1: 1048576 bytes
LUN 257: 1048576 bytes
LUN 16641: 4194304 bytes"
