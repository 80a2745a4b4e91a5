package plan

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("The traits of fabrics", func() {
	It("are known of whatever serves a protocol", func() {
		for _, tgt := range []bool{false, true} {
			for _, p := range spec.Protocols() {
				f := Input{TGT: tgt}.fabricOf(p)
				Expect(traitsOf).To(HaveKey(f.Fabric), "%s", p)
				Expect(f.identify).NotTo(BeNil(), "%s", p)
			}
		}
	})
	// A protocol that is not decided on is served as iscsi.
	It("are those of what is to serve a protocol", func() {
		type by struct {
			fabric    observe.Fabric
			transport observe.Transport
		}
		served := map[spec.Protocol]by{
			spec.ProtocolISCSI:    {observe.ISCSI, observe.TCP},
			spec.ProtocolISER:     {observe.ISCSI, observe.RDMA},
			spec.ProtocolNVMeTCP:  {observe.NVMe, observe.TCP},
			spec.ProtocolNVMeRDMA: {observe.NVMe, observe.RDMA},
			spec.ProtocolFC:       {observe.FC, ""},
		}
		for _, p := range spec.Protocols() {
			Expect(served).To(HaveKey(p), "say here what serves it")
			f := Input{}.fabricOf(p)
			Expect(by{f.Fabric, f.transport}).To(Equal(served[p]), "%s", p)
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
