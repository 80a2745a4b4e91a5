package lvdevice

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func TestLVDevice(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "lvdevice")
}

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
		Expect(err).To(MatchError(ErrOther))
	},
		Entry("the one", "LVM-W7pXt4EOX8uYnEJNKFR624CEV5U0B7eyv6uDCZMqeHTgygEKDaknIdXTCSilWqSX", true),
		Entry("another of the same group", "LVM-W7pXt4EOX8uYnEJNKFR624CEV5U0B7eyv6uDCZMqeHTgygEKDaknIdXTCSilWqSY", false),
		Entry("a part of it that LVM hides", "LVM-W7pXt4EOX8uYnEJNKFR624CEV5U0B7eyv6uDCZMqeHTgygEKDaknIdXTCSilWqSX-real", false),
		Entry("somebody else's", "CRYPT-LUKS2-x", false),
		Entry("a disk", "", false),
	)
})
