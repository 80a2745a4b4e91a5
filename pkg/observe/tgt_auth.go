package observe

import (
	"slices"

	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

// TargetAuth is what a target of tgtd asks of whoever logs in, and how it proves
// itself. Passwords cannot be read from tgtd. So that a new one is noticed, the
// target carries a mark: a salted hash over all its users and passwords, set when
// all of them are in place, see [ondisk.NewPasswordMark].
type TargetAuth struct {
	// Accounts are the users who may log in, any of them as any admitted initiator;
	// none: no password is asked for.
	Accounts []ondisk.Account `json:"accounts,omitempty"`
	// Own is as whom the target proves itself; empty: it does not.
	Own ondisk.Account `json:"own,omitzero"`
}

// Needed reports whether a password is asked for.
func (a TargetAuth) Needed() bool { return len(a.Accounts) > 0 }

// Usernames returns the users who may log in, sorted.
func (a TargetAuth) Usernames() []string {
	var names []string
	for _, account := range a.Accounts {
		names = append(names, account.Username)
	}
	slices.Sort(names)
	return names
}

// NewMark returns a mark with a salt of its own.
func (a TargetAuth) NewMark() (string, error) { return ondisk.NewPasswordMark(a.Accounts, a.Own) }

// HasAuth reports whether a target has these accounts, with these passwords.
func (t Target) HasAuth(want TargetAuth) bool {
	if !want.Needed() {
		return len(t.Accounts) == 0 && t.OwnAccount == "" && t.AuthMark == ""
	}
	if len(t.Accounts) == 0 || t.Accounts[0] != ondisk.GuardAccount || t.OwnAccount != want.Own.Username ||
		!slices.Equal(slices.Sorted(slices.Values(t.Accounts[1:])), want.Usernames()) {
		return false
	}
	return ondisk.PasswordMarkFits(t.AuthMark, want.Accounts, want.Own)
}
