package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
)

// Register logs in, registers a key that is kept, reserves the LUN for those who are
// registered, and logs out: a key is there for hosts that are not.
func (k *kernel) Register(ctx context.Context, target, portal, initiator, password string, lun int, key string) error {
	return k.persist(ctx, target, portal, initiator, password, lun,
		"--register-ignore --param-sark="+key+" --param-aptpl", "--reserve --prout-type=7 --param-rk="+key)
}

// Unregister clears all keys, of sessions that have ended too.
func (k *kernel) Unregister(ctx context.Context, target, portal, initiator, password string, lun int) error {
	const own = "0xffff"
	return k.persist(ctx, target, portal, initiator, password, lun, "--register-ignore --param-sark="+own, "--clear --param-rk="+own)
}

func (k *kernel) persist(ctx context.Context, target, portal, initiator, password string, lun int, commands ...string) error {
	GinkgoHelper()
	var settings []string
	if password != "" {
		settings = chap("u", password)
	}
	if r := login(ctx, target, strings.Replace(portal, "0.0.0.0", "127.0.0.1", 1), initiator, settings...); r.ExitCode != 0 {
		return errors.New("login: " + r.Stderr)
	}
	defer logout(ctx, target, initiator)
	device := sh(ctx, fmt.Sprintf(`for s in /sys/class/iscsi_session/session*; do
		[ "$(cat $s/targetname)" = %s ] && ls $s/device/target*/*:%d/block; done; true`, target, lun))
	if device == "" {
		return fmt.Errorf("no LUN %d in %s", lun, target)
	}
	for _, c := range commands {
		if r := try(ctx, "sg_persist --out "+c+" /dev/"+device+" 2>&1"); r.ExitCode != 0 {
			return errors.New(c + ": " + r.Stdout)
		}
	}
	return nil
}
