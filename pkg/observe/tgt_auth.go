package observe

import (
	"cmp"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// TargetAuth is what a target of tgtd asks of whoever logs in, and how it proves
// itself. Passwords cannot be read from tgtd. So that a new one is noticed, the
// target carries a mark: a salted hash over all its users and passwords, set when
// all of them are in place.
type TargetAuth struct {
	// Accounts are the users who may log in, any of them as any admitted initiator;
	// none: no password is asked for.
	Accounts []Account `json:"accounts,omitempty"`
	// Own is as whom the target proves itself; empty: it does not.
	Own Account `json:"own,omitzero"`
}

// Account is a user with a password.
type Account struct {
	Username string      `json:"username"`
	Password spec.Secret `json:"-"`
}

// GuardAccount is the user that comes first in each of our targets with accounts.
// Nobody knows its password. As long as it is bound, taking others away does not
// open the target. No user of a spec has a space in its name.
const GuardAccount = "volreconciler guard"

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

// authPrefix begins the mark of a target's passwords. The salt and the hash follow
// in hexadecimal digits, with a colon between.
const authPrefix = "volreconciler-auth:"

// saltSize is the salt's size in bytes (NIST SP 800-132 asks for 16).
const saltSize = 16

// hashRounds makes guessing a password from a mark slow. Only root can read marks,
// and each is computed once in every pass; it is what SCRAM (RFC 7677) asks for.
const hashRounds = 4096

// NewMark returns a mark with a salt of its own.
func (a TargetAuth) NewMark() (string, error) {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails
	return a.mark(salt)
}

func (a TargetAuth) mark(salt []byte) (string, error) {
	accounts := slices.SortedFunc(slices.Values(a.Accounts), func(a, b Account) int { return cmp.Compare(a.Username, b.Username) })
	var all strings.Builder
	for _, account := range append(accounts, a.Own) {
		// No text can be taken for another, whatever is in it.
		fmt.Fprintf(&all, "%q %q\n", account.Username, account.Password.Reveal())
	}
	hash, err := pbkdf2.Key(sha256.New, all.String(), salt, hashRounds, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("hash passwords: %w", err)
	}
	return authPrefix + hex.EncodeToString(salt) + ":" + hex.EncodeToString(hash), nil
}

// HasAuth reports whether a target has these accounts, with these passwords.
func (t Target) HasAuth(want TargetAuth) bool {
	if !want.Needed() {
		return len(t.Accounts) == 0 && t.OwnAccount == "" && t.AuthMark == ""
	}
	if len(t.Accounts) == 0 || t.Accounts[0] != GuardAccount || t.OwnAccount != want.Own.Username ||
		!slices.Equal(slices.Sorted(slices.Values(t.Accounts[1:])), want.Usernames()) {
		return false
	}
	text, _, _ := strings.Cut(strings.TrimPrefix(t.AuthMark, authPrefix), ":")
	salt, err := hex.DecodeString(text)
	if err != nil || len(salt) != saltSize {
		return false
	}
	mark, err := want.mark(salt)
	return err == nil && mark == t.AuthMark
}
