package ondisk

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

// Account is a user with a password.
type Account struct {
	Username string      `json:"username"`
	Password spec.Secret `json:"-"`
}

// GuardAccount is the user that comes first in each of our targets with accounts.
// Nobody knows its password. As long as it is bound, taking others away does not
// open the target. No user of a spec has a space in its name.
const GuardAccount = "volreconciler guard"

// passwordPrefix begins the mark of a target's passwords. The salt and the hash follow
// in hexadecimal digits, with a colon between.
const passwordPrefix = "volreconciler-auth:"

// saltSize is the salt's size in bytes (NIST SP 800-132 asks for 16).
const saltSize = 16

// hashRounds makes guessing a password from a mark slow. Only root can read marks,
// and each is computed once in every pass; it is what SCRAM (RFC 7677) asks for.
const hashRounds = 4096

// IsPasswordMark reports whether a text is a mark of passwords.
func IsPasswordMark(text string) bool { return strings.HasPrefix(text, passwordPrefix) }

// NewPasswordMark returns a mark, with a salt of its own, of the accounts of a target of
// tgtd and of the account with which it proves itself. The passwords cannot be read from
// tgtd: the mark shows whether they have changed.
func NewPasswordMark(accounts []Account, own Account) (string, error) {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails
	return passwordMark(accounts, own, salt)
}

// PasswordMarkFits reports whether a mark was made of these accounts.
func PasswordMarkFits(mark string, accounts []Account, own Account) bool {
	text, _, _ := strings.Cut(strings.TrimPrefix(mark, passwordPrefix), ":")
	salt, err := hex.DecodeString(text)
	if err != nil || len(salt) != saltSize {
		return false
	}
	want, err := passwordMark(accounts, own, salt)
	return err == nil && want == mark
}

func passwordMark(accounts []Account, own Account, salt []byte) (string, error) {
	sorted := slices.SortedFunc(slices.Values(accounts), func(a, b Account) int { return cmp.Compare(a.Username, b.Username) })
	var all strings.Builder
	for _, account := range append(sorted, own) {
		// No text can be taken for another, whatever is in it.
		fmt.Fprintf(&all, "%q %q\n", account.Username, account.Password.Reveal())
	}
	hash, err := pbkdf2.Key(sha256.New, all.String(), salt, hashRounds, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("cannot hash passwords: %w", err)
	}
	return passwordPrefix + hex.EncodeToString(salt) + ":" + hex.EncodeToString(hash), nil
}
