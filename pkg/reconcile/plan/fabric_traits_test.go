package plan

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("The traits of fabrics", func() {
	It("are known of whatever serves a protocol", func() {
		for _, tgt := range []bool{false, true} {
			for _, p := range []spec.Protocol{spec.ProtocolISCSI, spec.ProtocolISER, spec.ProtocolFC, spec.ProtocolNVMeTCP, spec.ProtocolNVMeRDMA} {
				f := Input{TGT: tgt}.fabricOf(p)
				Expect(traitsOf).To(HaveKey(f.Fabric), "%s", p)
				Expect(f.identify).NotTo(BeNil(), "%s", p)
			}
		}
	})
	It("are all that a plan asks of one: no other file tells them apart", func() {
		names := regexp.MustCompile(`\bobserve\.(ISCSI|FC|NVMe|TGTISCSI)\b`)
		files, err := filepath.Glob("*.go")
		Expect(err).NotTo(HaveOccurred())
		for _, file := range files {
			if file == "fabric.go" || strings.HasSuffix(file, "_test.go") {
				continue
			}
			text, err := os.ReadFile(file)
			Expect(err).NotTo(HaveOccurred())
			Expect(names.FindAllString(string(text), -1)).To(BeEmpty(), file)
		}
	})
})
