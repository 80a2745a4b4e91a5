package lio

import (
	"errors"
	"fmt"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/change"
)

// maxCredential is the length in bytes of the longest user name or password
// that the kernel keeps (MAX_USER_LEN in
// include/target/iscsi/iscsi_target_core.h).
const maxCredential = 255

// checkCredentials refuses credentials that the kernel would take for something
// else, or for none at all. The error never tells a password.
func checkCredentials(auth change.Auth) error {
	if !auth.Needed() || auth.Refused {
		return nil
	}
	err := errors.Join(
		checkCredential("user name", auth.Username),
		checkCredential("password", auth.Password.Reveal()),
	)
	if auth.MutualUsername == "" {
		return err
	}
	return errors.Join(err,
		checkCredential("mutual user name", auth.MutualUsername),
		checkCredential("mutual password", auth.MutualPassword.Reveal()),
	)
}

func checkCredential(what, value string) error {
	switch {
	case value == "":
		return fmt.Errorf("the %s is empty", what)
	case strings.HasPrefix(value, null):
		return fmt.Errorf("the %s begins with %s, which means none to the kernel", what, null)
	case len(value) > maxCredential:
		return fmt.Errorf("the %s is longer than %d bytes", what, maxCredential)
	case strings.ContainsRune(value, 0):
		return fmt.Errorf("the %s contains a NUL byte", what)
	}
	return nil
}
