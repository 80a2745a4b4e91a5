package restic_test

import (
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/restic"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// restic from 0.17 on tries for 15 minutes to reach a server that refuses connections.
var _ = DescribeTable("a repository that does not answer", func(ctx SpecContext, retries string, ask func(SpecContext, restic.Repository) error, want error) {
	program := filepath.Join(GinkgoT().TempDir(), "restic")
	script := `#!/bin/sh
for n in ` + retries + `; do echo 'Stat(<config/>) returned error, retrying after 1ms: connect: connection refused' >&2; done
[ -n "$RESTIC_SLEEPS" ] && exec sleep 60
echo '[]'
`
	Expect(os.WriteFile(program, []byte(script), 0o700)).To(Succeed())
	r := restic.Repository{URL: "rest:http://127.0.0.1:9/", Password: spec.NewSecret("x"), Program: program}
	if want != nil {
		r.Environment = map[string]spec.Secret{"RESTIC_SLEEPS": spec.NewSecret("1")}
	}
	err := ask(ctx, r)
	if want == nil {
		Expect(err).NotTo(HaveOccurred())
		return
	}
	Expect(err).To(MatchError(want))
},
	Entry("is not asked for minutes what is in it", "1 2 3 4 5", func(ctx SpecContext, r restic.Repository) error {
		_, err := r.Snapshots(ctx)
		return err
	}, restic.ErrUnreachable),
	Entry("may be slow", "1 2 3 4", func(ctx SpecContext, r restic.Repository) error {
		_, err := r.Snapshots(ctx)
		return err
	}, nil),
	Entry("is waited for by everything else", "1 2 3 4 5 6 7 8 9", func(ctx SpecContext, r restic.Repository) error {
		return r.Check(ctx, "")
	}, nil),
)
