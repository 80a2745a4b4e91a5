#!/bin/bash
# Software: QEMU 7.2 (Debian 12's qemu-utils 1:7.2+dfsg-7+deb12u18+b3) and 10.0 (Debian 13's 1:10.0.13+ds-0+deb13u1)
#
# `qemu-img dd skip=S count=C` copies C-S blocks, not C: skipped blocks count. It ends with 0 and says nothing. `dd`
# with the same words copies C blocks; the manual of qemu-img says that count is "the number of input blocks to copy".
#
# Seen, with a file of four blocks, a to d:
#
#   dd skip=1 count=2: bc
#   qemu-img dd skip=1 count=2: b
#   qemu-img dd skip=2 count=2: nothing
. "$(dirname "$0")/lib.sh"

for release in "bookworm 1:7.2+dfsg-7+deb12u18+b3" "trixie 1:10.0.13+ds-0+deb13u1"; do
  unpack "${release% *}" "qemu-utils=${release#* }" bash coreutils
  seen=$(inside <<'EOT'
cd /tmp
for block in a b c d; do head -c 512 /dev/zero | tr '\0' $block; done >in
look() { [ -s out ] && tr -s a-d <out || printf nothing; echo; rm -f out; }
printf 'dd skip=1 count=2: '
dd if=in of=out bs=512 skip=1 count=2 2>/dev/null && look
for skip in 1 2; do
  printf "qemu-img dd skip=$skip count=2: "
  qemu-img dd -f raw -O raw if=in of=out bs=512 skip=$skip count=2 && look
done
EOT
  )
  same "qemu-utils ${release#* }: count includes what is skipped" "$seen" "dd skip=1 count=2: bc
qemu-img dd skip=1 count=2: b
qemu-img dd skip=2 count=2: nothing"
done
