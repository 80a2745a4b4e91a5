#!/bin/bash
# Software: python3-rtslib-fb 2.1.75-2.1 (Debian 12), the library of targetcli
#
# An upgrade of the package, also to a build of the same version, removes all targets and backstores of the running
# kernel, and with them the disks of all connected initiators: its script restarts the service that loads the saved
# configuration, and what that service runs when it stops is `targetctl clear`. What was not saved does not come back.
# Other packages of Debian leave a one-shot service alone that only restores something at boot.
#
# Seen, with an invoke-rc.d that only prints what it is asked for:
#
#   upgrade, postinst: rtslib-fb-targetctl restart
#   ExecStop=/usr/bin/targetctl clear
. "$(dirname "$0")/lib.sh"

unpack bookworm python3-rtslib-fb=2.1.75-2.1 dash coreutils
deb=pool/main/p/python-rtslib-fb/python3-rtslib-fb_2.1.75-2.1_all.deb
/usr/lib/apt/apt-helper download-file "${mirror%/}/$deb" "$work/package.deb" \
  SHA256:2f855d63747df8b91cca58148af6c7d5e3370689de798ed1545660ed9beea941 >"$work/download.log" 2>&1 ||
  unknown "cannot download $deb"
dpkg-deb --control "$work/package.deb" "$root/scripts"

mkdir -p "$root/proc" "$root/run" "$root/dev"

# Programs that the scripts of the package call, which are of no interest here.
for name in update-rc.d deb-systemd-helper py3compile; do
  printf '#!/bin/sh\n' >"$root/usr/bin/$name"
done
printf '#!/bin/sh\necho "$*"\n' >"$root/usr/bin/invoke-rc.d"
chmod +x "$root"/usr/bin/{update-rc.d,deb-systemd-helper,py3compile,invoke-rc.d}

same "an upgrade restarts the service" \
  "$(echo "upgrade, postinst: $(inside /scripts/postinst configure 2.1.75-2)")" \
  "upgrade, postinst: rtslib-fb-targetctl restart"
same "a stop of the service clears everything" \
  "$(grep -h ^ExecStop "$root"/lib/systemd/system/rtslib-fb-targetctl.service)" \
  "ExecStop=/usr/bin/targetctl clear"
