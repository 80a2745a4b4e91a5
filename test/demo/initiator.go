package main

import (
	"context"
	"errors"
	"fmt"
)

// greeting is what the initiator writes.
const greeting = "hello from the initiator"

// initiatorTools are what the host would do that the Export is for.
const initiatorTools = `
	N="iscsiadm -m node -T ` + target + ` -p 127.0.0.1:3260 -I demo"
	DISK=/dev/disk/by-path/ip-127.0.0.1:3260-iscsi-` + target + `-lun-0
	# The initiator has an interface of its own, so that its name is known.
	setUp() {
		iscsiadm -m iface -I demo -o new
		iscsiadm -m iface -I demo -o update -n iface.transport_name -v tcp
		iscsiadm -m iface -I demo -o update -n iface.initiatorname -v iqn.1993-08.org.debian:01:db-host
		# The password is set by each step.
		$N -o new
		$N -o update -n node.session.auth.authmethod -v CHAP
		$N -o update -n node.session.auth.username -v db
	} >/dev/null
	password() { $N -o update -n node.session.auth.password -v "$1"; }
	# The login has succeeded before the kernel finds the disk and udev names it.
	login() {
		$N --login >/dev/null
		for i in $(seq 300); do udevadm settle; [ ! -b $DISK ] || return 0; sleep 0.1; done
		echo "the disk did not appear: $DISK" >&2; return 1
	}
	# After the logout udev may still be at work.
	logout() { $N --logout >/dev/null; udevadm settle; }
	rescan() { $N -R >/dev/null; }
	sizeOf() { echo $(($(blockdev --getsize64 $DISK) / 1048576)); }
	readFile() { mount -r $DISK /mnt; cat /mnt/hello; umount /mnt; }
`

// initiator does something as the initiator, and returns what that writes.
func (d *demo) initiator(ctx context.Context, script string) (string, error) {
	return d.output(ctx, "set -e\n"+initiatorTools+script)
}

func (d *demo) wrongPassword() step {
	return step{
		title: "An initiator with a wrong password", does: "iscsiadm --login as user db, with a password that is not in the secret's file",
		expects: "the kernel refuses it",
		try: func(ctx context.Context) (string, error) {
			if _, err := d.initiator(ctx, "setUp; password a-guess-of-db"); err != nil {
				return "", err
			}
			refused, err := d.initiator(ctx, `if timeout 60 $N --login >/tmp/refused 2>&1; then echo "it was let in"; else grep -m1 -o 'authorization failure' /tmp/refused || cat /tmp/refused; fi`)
			if err == nil && refused != "authorization failure" {
				err = errors.New("it should have been an authorization failure")
			}
			return "login: " + refused, err
		},
	}
}

func (d *demo) useDisk() step {
	return step{
		title: "The initiator that the Export names", does: "logs in, makes a file system, writes a file, logs out and in again",
		expects: "a disk of " + sizeBefore + ", and the file after the second login",
		try: func(ctx context.Context) (string, error) {
			size, err := d.initiator(ctx, fmt.Sprintf("password demo-password-of-db; login; sizeOf; mkfs.ext4 -q $DISK; mount $DISK /mnt; echo %q > /mnt/hello; umount /mnt; logout", greeting))
			if err != nil {
				return "", err
			}
			said, err := d.initiator(ctx, "login; readFile; logout")
			saw := fmt.Sprintf("a disk of %s MiB; the file says %q", size, said)
			if err == nil && (size != "512" || said != greeting) {
				err = errors.New("it should have 512 MiB and what was written")
			}
			return saw, err
		},
	}
}
