package main

import (
	"errors"
	"fmt"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// discovery returns the credentials for discovering this node's iSCSI targets; nil if
// that is not configured, and so is not changed. The passwords are read each time,
// so that a new one counts from the next pass on.
func (s *settings) discovery() (*change.Auth, error) {
	if s.discoveryUser == "" {
		if s.discoveryFile+s.discoveryMutualUser+s.discoveryMutualFile != "" {
			return nil, errors.New("discovery-username is required with the other discovery settings; set it, or remove them")
		}
		return nil, nil //nolint:nilnil // nothing is asked for, and nothing is wrong
	}
	auth := change.Auth{Username: s.discoveryUser, MutualUsername: s.discoveryMutualUser}
	var err error
	if auth.Password, err = s.password("discovery-password-file", s.discoveryFile); err != nil {
		return nil, err
	}
	if s.discoveryMutualUser == "" {
		return &auth, nil
	}
	if auth.MutualPassword, err = s.password("discovery-mutual-password-file", s.discoveryMutualFile); err != nil {
		return nil, err
	}
	if s.backend != backendFake && auth.Password == auth.MutualPassword {
		return nil, errors.New("discovery-mutual-password-file contains the same password as discovery-password-file; the two must differ (RFC 7143, section 12.1.3)")
	}
	return &auth, nil
}

// password reads the password in the file of a setting. A fake node has none,
// because it would end up in its file.
func (s *settings) password(setting, file string) (spec.Secret, error) {
	switch {
	case file == "":
		return spec.Secret{}, fmt.Errorf("%s is required; set it to a file with the password", setting)
	case s.backend == backendFake:
		return spec.NewSecret(spec.Redacted), nil
	}
	password, err := spec.ReadSecret(file)
	if err != nil {
		return spec.Secret{}, fmt.Errorf("%s: %w", setting, err)
	}
	return password, nil
}
