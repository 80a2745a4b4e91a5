package blockcopy

import (
	"context"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/lvdevice"
)

var _ = Describe("What is opened for a logical volume", func() {
	const uuid = "v6uDCZ-MqeH-Tgyg-EKDa-knId-XTCS-ilWqSX"

	It("is neither read nor written if it is something else", func(ctx context.Context) {
		dir := GinkgoT().TempDir()
		file := func(name, text string) string {
			path := filepath.Join(dir, name)
			Expect(os.WriteFile(path, []byte(text), 0o600)).To(Succeed())
			return path
		}
		source, target := file("source", "new"), file("target", "old")
		for _, c := range []Copy{
			{Source: source, Target: target, TargetUUID: uuid, Size: 3}, {Source: source, SourceUUID: uuid, Target: target, Size: 3},
		} {
			_, err := c.Run(ctx)
			Expect(err).To(MatchError(lvdevice.ErrOther))
		}
		_, err := Clear{Device: target, UUID: uuid, Size: 3}.Run(ctx)
		Expect(err).To(MatchError(lvdevice.ErrOther))
		_, err = Reading{Path: target, UUID: uuid, Size: 3}.Digest(ctx)
		Expect(err).To(MatchError(lvdevice.ErrOther))
		_, err = Claim(target, uuid)
		Expect(err).To(MatchError(lvdevice.ErrOther))
		Expect(os.ReadFile(target)).To(BeEquivalentTo("old"))
	})
})
