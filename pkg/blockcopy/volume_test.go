package blockcopy

import (
	"context"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("What is opened for a logical volume", func() {
	const uuid = "v6uDCZ-MqeH-Tgyg-EKDa-knId-XTCS-ilWqSX"

	DescribeTable("is told by what device-mapper says of it", func(mapped string, matches bool) {
		dir := GinkgoT().TempDir()
		if mapped != "" {
			Expect(os.WriteFile(filepath.Join(dir, "uuid"), []byte(mapped+"\n"), 0o600)).To(Succeed())
			Expect(os.WriteFile(filepath.Join(dir, "name"), []byte("vg0-other\n"), 0o600)).To(Succeed())
		}
		err := checkMapped(dir, uuid)
		if matches {
			Expect(err).NotTo(HaveOccurred())
			return
		}
		Expect(err).To(MatchError(ErrOtherDevice))
	},
		Entry("the one", "LVM-W7pXt4EOX8uYnEJNKFR624CEV5U0B7eyv6uDCZMqeHTgygEKDaknIdXTCSilWqSX", true),
		Entry("another of the same group", "LVM-W7pXt4EOX8uYnEJNKFR624CEV5U0B7eyv6uDCZMqeHTgygEKDaknIdXTCSilWqSY", false),
		Entry("a part of it that LVM hides", "LVM-W7pXt4EOX8uYnEJNKFR624CEV5U0B7eyv6uDCZMqeHTgygEKDaknIdXTCSilWqSX-real", false),
		Entry("somebody else's", "CRYPT-LUKS2-x", false),
		Entry("a disk", "", false),
	)

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
			Expect(err).To(MatchError(ErrOtherDevice))
		}
		_, err := Clear{Device: target, UUID: uuid, Size: 3}.Run(ctx)
		Expect(err).To(MatchError(ErrOtherDevice))
		_, err = Reading{Path: target, UUID: uuid, Size: 3}.Digest(ctx)
		Expect(err).To(MatchError(ErrOtherDevice))
		_, err = Claim(target, uuid)
		Expect(err).To(MatchError(ErrOtherDevice))
		Expect(os.ReadFile(target)).To(BeEquivalentTo("old"))
	})
})
