package lio

import (
	"context"
	"path"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// setDiscoveryAuth changes what discovery asks for. The credentials are set before they
// are enforced, and removed when they no longer are: in between, no initiator can
// discover targets that could not before and cannot afterwards.
func (a *Actuator) setDiscoveryAuth(ctx context.Context, c change.SetDiscoveryAuth) error {
	if err := checkCredentials(c.Auth); err != nil {
		return err
	}
	if err := a.loadCore(ctx); err != nil {
		return err
	}
	if err := a.makeDriverDir(ctx, observe.ISCSIDir, "iscsi_target_mod"); err != nil {
		return err
	}
	credentials := []aclWrite{
		{"userid", orNull(c.Auth.Username)},
		{"password", orNull(c.Auth.Password.Reveal())},
		{"userid_mutual", orNull(c.Auth.MutualUsername)},
		{"password_mutual", orNull(c.Auth.MutualPassword.Reveal())},
	}
	enforce := aclWrite{"enforce_discovery_auth", flag(c.Auth.Needed())}
	writes := append(credentials, enforce)
	if !c.Auth.Needed() {
		writes = append([]aclWrite{enforce}, credentials...)
	}
	for _, w := range writes {
		if err := a.host.WriteFile(path.Join(observe.DiscoveryDir, w.attribute), []byte(w.value)); err != nil {
			return err
		}
	}
	return nil
}
