package tgt

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/actuators/target/internal/refuse"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
	"github.com/volreconciler/volreconciler/pkg/tgtadm"
)

// setAccounts gives a target its accounts. Passwords cannot be changed, so all of
// its accounts are made anew. They are those of all targets: where others of ours
// have one of the same name, it is bound again.
//
// The mark of the passwords is removed first and set last. If the agent dies in
// between, the next pass finds none and does it all again.
func (a *Actuator) setAccounts(ctx context.Context, c change.SetAccounts) error {
	a.shared.Lock()
	defer a.shared.Unlock()
	s, err := a.openAccounts(ctx, c.Target)
	if err != nil {
		return err
	}
	if observe.TGTTarget(*s.target, nil).HasAuth(c.Auth) {
		return nil
	}
	passwords := passwordsOf(c.Auth)
	if err := s.check(passwords); err != nil {
		return err
	}
	for _, mark := range observe.TGTAuthMarks(s.target.Access) {
		if err := a.tgt.ForbidAddress(ctx, s.target.ID, mark); err != nil {
			return err
		}
	}
	before := append(slices.Clone(s.target.Incoming), s.target.Outgoing)
	if err := s.clear(ctx, c.Auth.Needed()); err != nil {
		return err
	}
	for _, name := range before {
		if _, wanted := passwords[name]; !wanted {
			if err := s.discard(ctx, name); err != nil {
				return err
			}
		}
	}
	if !c.Auth.Needed() {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(passwords)) {
		if err := s.recreate(ctx, name, passwords[name]); err != nil {
			return err
		}
	}
	for _, name := range c.Auth.Usernames() {
		if err := a.tgt.BindAccount(ctx, s.target.ID, name, tgtadm.Incoming); err != nil {
			return err
		}
	}
	if own := c.Auth.Own.Username; own != "" {
		if err := a.tgt.BindAccount(ctx, s.target.ID, own, tgtadm.Outgoing); err != nil {
			return err
		}
	}
	mark, err := c.Auth.NewMark()
	if err != nil {
		return err
	}
	return a.tgt.AllowAddress(ctx, s.target.ID, mark)
}

// dropAccounts takes all accounts away from a target that nobody can log in to.
func (a *Actuator) dropAccounts(ctx context.Context, iqn string) error {
	a.shared.Lock()
	defer a.shared.Unlock()
	targets, err := a.tgt.Targets(ctx)
	if err != nil {
		return err
	}
	t := targetNamed(targets, iqn)
	if t == nil {
		return nil
	}
	s, err := a.accountsOf(ctx, targets, t)
	if err != nil {
		return err
	}
	if err := s.unbindOwn(ctx); err != nil {
		return err
	}
	// One by one, so that a crash leaves at most one behind of which nobody
	// knows any more whose it was.
	for len(t.Incoming) > 0 {
		last := t.Incoming[len(t.Incoming)-1]
		if err := a.tgt.UnbindAccounts(ctx, t.ID, t.Incoming, last); err != nil {
			return err
		}
		t.Incoming = t.Incoming[:len(t.Incoming)-1]
		if err := s.discard(ctx, last); err != nil {
			return err
		}
	}
	return nil
}

func passwordsOf(auth observe.TargetAuth) map[string]spec.Secret {
	passwords := map[string]spec.Secret{}
	for _, account := range auth.Accounts {
		passwords[account.Username] = account.Password
	}
	if auth.Own.Username != "" {
		passwords[auth.Own.Username] = auth.Own.Password
	}
	return passwords
}

// accounts are those of tgtd while those of one target are changed. It follows
// every change.
type accounts struct {
	tgt *tgtadm.Client
	// offline is that of the actuator, for the target.
	offline func(do func() error) error
	target  *tgtadm.Target
	others  []*tgtadm.Target
	// names are those of all accounts, and discovery those that are asked for in
	// discovery sessions.
	names, discovery []string
	debug            bool
}

func (a *Actuator) openAccounts(ctx context.Context, t change.Target) (*accounts, error) {
	targets, err := a.tgt.Targets(ctx)
	if err != nil {
		return nil, err
	}
	have := targetNamed(targets, t.Name)
	switch {
	case have == nil:
		return nil, refuse.Stale("target %s no longer exists", t.Name)
	case !isMarkedFor(have, t):
		return nil, newForeignError(t)
	}
	return a.accountsOf(ctx, targets, have)
}

func (a *Actuator) accountsOf(ctx context.Context, targets []tgtadm.Target, of *tgtadm.Target) (*accounts, error) {
	s := &accounts{tgt: a.tgt, target: of, offline: func(do func() error) error { return a.whileOffline(ctx, of, do) }}
	for i := range targets {
		if targets[i].Name != of.Name {
			s.others = append(s.others, &targets[i])
		}
	}
	var err error
	if s.names, err = a.tgt.Accounts(ctx); err != nil {
		return nil, err
	}
	system, err := a.tgt.System(ctx)
	s.discovery, s.debug = append(system.Discovery, system.DiscoveryOutgoing), system.Debug
	return s, err
}

// check refuses what cannot be done before anything is.
func (s *accounts) check(passwords map[string]spec.Secret) error {
	if s.debug && len(passwords) > 0 {
		return errors.New("tgtd runs with debug=on and would write passwords to its log; turn it off: " +
			"tgtadm --op update --mode sys --name debug --value off")
	}
	for _, name := range slices.Sorted(maps.Keys(passwords)) {
		if strings.Contains(name, ",") || len(name) > tgtadm.MaxName || len(passwords[name].Reveal()) > tgtadm.MaxName {
			return fmt.Errorf("%w: tgtd accepts user names without commas, and names and passwords of at most %d bytes; change user %q or its password",
				change.ErrUnsupported, tgtadm.MaxName, name)
		}
		if slices.Contains(s.discovery, name) {
			return fmt.Errorf("user %s is already tgtd's discovery account with another password; use another name", name)
		}
		for _, t := range s.others {
			incoming := slices.Contains(t.Incoming, name)
			switch {
			case !incoming && t.Outgoing != name:
			case observe.TGTMark(t.Access) == "":
				return fmt.Errorf("user %s already belongs to target %s, which is not managed by volreconciler (tgtd shares users between targets); use another name", name, t.Name)
			case incoming && t.Incoming[0] != ondisk.GuardAccount:
				return refuse.Stale("waiting for target %s, which also has user %s, to be corrected first", t.Name, name)
			}
		}
	}
	return nil
}

// clear removes all accounts from the target, except the guard if the target has to
// ask for passwords.
func (s *accounts) clear(ctx context.Context, guarded bool) error {
	if err := s.unbindOwn(ctx); err != nil {
		return err
	}
	t := s.target
	unbindAll := func() error { return s.tgt.UnbindAccounts(ctx, t.ID, t.Incoming, t.Incoming...) }
	var err error
	switch {
	case !guarded:
		err = unbindAll()
	case len(t.Incoming) > 0 && t.Incoming[0] == ondisk.GuardAccount:
		err = s.tgt.UnbindAccounts(ctx, t.ID, t.Incoming, t.Incoming[1:]...)
	case len(t.Incoming) == 0:
		err = s.bindGuard(ctx)
	default:
		// Somebody else's come first, and the guard has to.
		err = s.offline(func() error {
			if err := unbindAll(); err != nil {
				return err
			}
			return s.bindGuard(ctx)
		})
	}
	t.Incoming = nil
	return err
}

func (s *accounts) unbindOwn(ctx context.Context) error {
	if s.target.Outgoing == "" {
		return nil
	}
	err := s.tgt.UnbindOutgoing(ctx, s.target.ID, s.target.Outgoing)
	if err == nil {
		s.target.Outgoing = ""
	}
	return err
}

// bindGuard binds the account that nobody can use.
func (s *accounts) bindGuard(ctx context.Context) error {
	if !slices.Contains(s.names, ondisk.GuardAccount) {
		err := s.tgt.NewAccount(ctx, ondisk.GuardAccount, rand.Text())
		if err != nil && !errors.Is(err, tgtadm.ErrAccountExists) {
			return err
		}
		s.names = append(s.names, ondisk.GuardAccount)
	}
	return s.tgt.BindAccount(ctx, s.target.ID, ondisk.GuardAccount, tgtadm.Incoming)
}

// discard deletes an account that is bound nowhere any more.
func (s *accounts) discard(ctx context.Context, name string) error {
	used := slices.Contains(s.discovery, name) || slices.ContainsFunc(s.others, func(t *tgtadm.Target) bool {
		return t.Outgoing == name || slices.Contains(t.Incoming, name)
	})
	if used || name == ondisk.GuardAccount || !slices.Contains(s.names, name) {
		return nil
	}
	s.forget(name)
	return s.tgt.DeleteAccount(ctx, name)
}

func (s *accounts) forget(name string) {
	s.names = slices.DeleteFunc(s.names, func(n string) bool { return n == name })
}

// recreate makes an account with a password. An existing account of that name is bound
// to no target or to ours: it is deleted, and the new one is bound where it was.
func (s *accounts) recreate(ctx context.Context, name string, password spec.Secret) error {
	var incoming, outgoing []*tgtadm.Target
	for _, t := range s.others {
		if slices.Contains(t.Incoming, name) {
			if err := s.tgt.UnbindAccounts(ctx, t.ID, t.Incoming, name); err != nil {
				return err
			}
			t.Incoming = slices.DeleteFunc(t.Incoming, func(n string) bool { return n == name })
			incoming = append(incoming, t)
		}
		if t.Outgoing == name {
			if err := s.tgt.UnbindOutgoing(ctx, t.ID, name); err != nil {
				return err
			}
			t.Outgoing = ""
			outgoing = append(outgoing, t)
		}
	}
	if slices.Contains(s.names, name) {
		if err := s.tgt.DeleteAccount(ctx, name); err != nil {
			return err
		}
		s.forget(name)
	}
	if err := s.tgt.NewAccount(ctx, name, password.Reveal()); err != nil {
		return err
	}
	s.names = append(s.names, name)
	for _, t := range incoming {
		if err := s.tgt.BindAccount(ctx, t.ID, name, tgtadm.Incoming); err != nil {
			return err
		}
		t.Incoming = append(t.Incoming, name)
	}
	for _, t := range outgoing {
		if err := s.tgt.BindAccount(ctx, t.ID, name, tgtadm.Outgoing); err != nil {
			return err
		}
		t.Outgoing = name
	}
	return nil
}
