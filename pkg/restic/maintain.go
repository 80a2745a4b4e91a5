package restic

import (
	"context"
	"errors"
	"fmt"
)

// Init makes a repository. One that exists is not changed, and is an error.
func (r Repository) Init(ctx context.Context) error {
	return r.run(ctx, invocation{args: []string{"init"}})
}

// Forget removes snapshots; what only they need is kept until [Repository.Prune]. One that does
// not exist is no error.
func (r Repository) Forget(ctx context.Context, ids ...string) error {
	if len(ids) == 0 {
		return nil // restic would look at its policy options
	}
	for _, id := range ids {
		if err := checkID(id); err != nil {
			return err
		}
	}
	err := r.run(ctx, invocation{args: append([]string{"forget"}, ids...)})
	if errors.Is(err, ErrNoSnapshot) {
		return nil
	}
	return err
}

// Prune removes what no snapshot needs. maxUnused is how much of that may stay, as restic's
// --max-unused takes it: 10%, 5G, 0, unlimited. Empty: restic's default, 5%.
func (r Repository) Prune(ctx context.Context, maxUnused string) error {
	args := []string{"prune"}
	if maxUnused != "" {
		args = append(args, "--max-unused="+maxUnused)
	}
	return r.run(ctx, invocation{args: args})
}

// Check checks that the repository is consistent. readDataSubset is how much of the data is
// read besides, as restic's --read-data-subset takes it: 2%, 1/10, 5G. Empty: none.
func (r Repository) Check(ctx context.Context, readDataSubset string) error {
	args := []string{"check"}
	if readDataSubset != "" {
		args = append(args, "--read-data-subset="+readDataSubset)
	}
	return r.run(ctx, invocation{args: args, reads: true})
}

// Unlock removes stale locks: those of processes of this host that are gone, and of others that
// were not refreshed for half an hour. Locks of others that work stay.
func (r Repository) Unlock(ctx context.Context) error {
	return r.run(ctx, invocation{args: []string{"unlock"}})
}

// Version returns the first line that the program prints of itself.
func (r Repository) Version(ctx context.Context) (string, error) {
	var out tail
	if err := r.run(ctx, invocation{args: []string{"version"}, stdout: &out}); err != nil {
		return "", fmt.Errorf("cannot find the version of restic: %w", err)
	}
	return out.String(), nil
}
