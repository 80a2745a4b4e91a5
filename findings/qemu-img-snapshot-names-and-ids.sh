#!/bin/bash
# Software: QEMU 7.2 (Debian 12's qemu-utils 1:7.2+dfsg-7+deb12u18+b3) and 10.0 (Debian 13's 1:10.0.13+ds-0+deb13u1)
#
# `qemu-img snapshot -a X` and `-d X` can mean two different snapshots of one image: -a looks for the id X before the
# name X, -d for the name alone. Where a snapshot has the id of another one as its name, `-a 1` reverts to the one whose
# id is 1, and `-d 1` deletes the one whose name is 1.
#
# Seen, with three snapshots (of content a, b, c) named old, 1, new:
#
#   ids and names: 1=old 2=1 3=new
#   content after -a 1: a
#   ids and names after -d 1: 1=old 3=new
#   -d 3: qemu-img: Could not delete snapshot '3': snapshot not found
#   content after -a 3: c
. "$(dirname "$0")/lib.sh"

for release in "bookworm 1:7.2+dfsg-7+deb12u18+b3" "trixie 1:10.0.13+ds-0+deb13u1"; do
  unpack "${release% *}" "qemu-utils=${release#* }" bash coreutils gawk
  seen=$(inside <<'EOT'
cd /tmp
list() { qemu-img snapshot -l image | gawk '$1 ~ /^[0-9]+$/ { printf " %s=%s", $1, $2 } END { print "" }'; }
content() { qemu-img convert -O raw image out && head -c 1 out; echo; }
qemu-img create -q -f qcow2 image 1M
for snapshot in old=0x61 1=0x62 new=0x63; do
  qemu-io -c "write -q -P ${snapshot#*=} 0 1M" image
  qemu-img snapshot -c ${snapshot%=*} image
done
echo "ids and names:$(list)"
qemu-img snapshot -a 1 image
echo "content after -a 1: $(content)"
qemu-img snapshot -d 1 image
echo "ids and names after -d 1:$(list)"
echo "-d 3: $(qemu-img snapshot -d 3 image 2>&1)"
qemu-img snapshot -a 3 image
echo "content after -a 3: $(content)"
EOT
  )
  same "qemu-utils ${release#* }: -a and -d take X for different snapshots" "$seen" "ids and names: 1=old 2=1 3=new
content after -a 1: a
ids and names after -d 1: 1=old 3=new
-d 3: qemu-img: Could not delete snapshot '3': snapshot not found
content after -a 3: c"
done
