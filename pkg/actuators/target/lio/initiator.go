package lio

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/actuators/target/internal/refuse"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// addInitiator makes an ACL. Until its authentication is set the group's holds,
// so the group must ask for one: an ACL without credentials then lets nobody in
// (chap_server_open in drivers/target/iscsi/iscsi_target_auth.c).
func (a *Actuator) addInitiator(c change.AddInitiator) error {
	dir, err := a.openTarget(c.Target)
	if err != nil {
		return err
	}
	if err := checkCredentials(c.Auth); err != nil {
		return err
	}
	if dir.Fabric == observe.FC {
		if err := checkNoAuth(c.Target, c.Auth); err != nil {
			return err
		}
		return a.makeDir(dir.ACL(c.Initiator))
	}
	attrib, err := observe.ReadTPGAttrib(a.host, dir)
	if err != nil {
		return err
	}
	if !attrib.Authentication && !attrib.GenerateNodeACLs {
		return refuse.Stale("target %s does not require authentication", c.Name)
	}
	if err := a.makeACL(dir, c.Initiator); err != nil {
		return err
	}
	return a.writeAuth(dir, c.Initiator, c.Auth)
}

// makeACL makes an ACL that shows nothing yet. The kernel keeps what it made for an initiator while
// the group let anybody in, also when its session has ended, and shows it nowhere. An ACL takes that
// over, and with it the LUNs of then, mapped or not (core_tpg_add_initiator_node_acl in
// drivers/target/target_core_tpg.c). So it is made, removed with all that, and made anew; but not
// if there is a session, which would end.
func (a *Actuator) makeACL(dir observe.TargetDir, initiator string) error {
	acl := dir.ACL(initiator)
	if _, err := a.host.ReadDir(acl); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dynamic, err := observe.ReadDynamicSessions(a.host, dir)
	if err != nil {
		return err
	}
	if err := a.makeDir(acl); err != nil || slices.Contains(dynamic, initiator) {
		return err
	}
	if err := a.remove(acl); err != nil {
		return err
	}
	return a.makeDir(acl)
}

func (a *Actuator) setAuth(c change.SetAuth) error {
	dir, err := a.openTarget(c.Target)
	if err != nil {
		return err
	}
	if err := checkCredentials(c.Auth); err != nil {
		return err
	}
	if dir.Fabric == observe.FC {
		return checkNoAuth(c.Target, c.Auth)
	}
	return a.writeAuth(dir, c.Initiator, c.Auth)
}

// checkNoAuth refuses what Fibre Channel has no authentication for.
func checkNoAuth(t change.Target, auth change.Auth) error {
	if auth.Needed() {
		return fmt.Errorf("%w: target %s cannot require passwords, because Fibre Channel has none", change.ErrUnsupported, t.Name)
	}
	return nil
}

func (a *Actuator) writeAuth(target observe.TargetDir, initiator string, auth change.Auth) error {
	dir := target.ACL(initiator)
	for _, w := range authWrites(auth) {
		err := a.host.WriteFile(path.Join(dir, w.attribute), []byte(w.value))
		if errors.Is(err, fs.ErrNotExist) && w.attribute == authentication {
			err = a.withoutOwnAuthentication(dir, auth)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// withoutOwnAuthentication is for kernels before 6.0, on which an ACL has no
// authentication attribute and the group's holds.
func (a *Actuator) withoutOwnAuthentication(acl string, auth change.Auth) error {
	if _, err := a.host.ReadDir(acl); errors.Is(err, fs.ErrNotExist) {
		return refuse.Stale("the ACL of %s no longer exists", path.Base(acl))
	}
	if auth.Needed() {
		return nil
	}
	return fmt.Errorf("this kernel, older than 6.0, cannot admit %s without authentication", path.Base(acl))
}

// authentication says whether an ACL asks for authentication, whatever its
// group says.
const authentication = "attrib/authentication"

// aclWrite sets an attribute of an ACL. Values may be secret.
type aclWrite struct{ attribute, value string }

// authWrites returns the writes that give an ACL its authentication, whatever
// it has now. To ask for one comes before the credentials, to ask for none
// before they are removed: in between no initiator can log in that neither could
// before nor can afterwards. Sessions are not affected: credentials are checked at
// login only.
//
// Values have no newline at their end, because the kernel would keep it.
func authWrites(auth change.Auth) []aclWrite {
	return []aclWrite{
		{authentication, flag(auth.Needed())},
		{"auth/userid", orNull(auth.Username)},
		{"auth/password", orNull(auth.Password.Reveal())},
		{"auth/userid_mutual", orNull(auth.MutualUsername)},
		{"auth/password_mutual", orNull(auth.MutualPassword.Reveal())},
	}
}

const null = "NULL"

// orNull returns what the kernel takes for an unset credential if it is empty.
func orNull(credential string) string {
	if credential == "" {
		return null
	}
	return credential
}

func (a *Actuator) removeInitiator(c change.RemoveInitiator) error {
	dir, exists, err := a.findTarget(c.Target)
	if err != nil || !exists {
		return err
	}
	if err := a.checkIdle(dir, c.Idle); err != nil {
		return err
	}
	dynamic, err := observe.ReadDynamicSessions(a.host, dir)
	if err != nil {
		return err
	}
	if slices.Contains(dynamic, c.Initiator) {
		// It logged in while the target admitted anybody. An ACL adopts its
		// session, and ends it when it is removed.
		if err := a.makeDir(dir.ACL(c.Initiator)); err != nil {
			return err
		}
	}
	return a.dropACL(dir.ACL(c.Initiator))
}

func (a *Actuator) dropACL(acl string) error {
	if err := a.unmap(acl, func(observe.MappedLUN) bool { return true }); err != nil {
		return err
	}
	return a.remove(acl)
}
