package observe

import (
	"os"
	"regexp"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("Fabrics", func() {
	It("are all that there are, and have targets", func() {
		source, err := os.ReadFile("state_target.go")
		Expect(err).NotTo(HaveOccurred())
		var names []Fabric
		for _, constant := range regexp.MustCompile(`(?m)^\t\w+ +Fabric = "(.*?)"`).FindAllStringSubmatch(string(source), -1) {
			names = append(names, Fabric(constant[1]))
		}
		Expect(fabrics).To(ConsistOf(names))

		state := State{NVMe: map[string]Target{"nvme": {}}, TGT: map[string]Target{"tgt": {}}}
		state.LIO.ISCSI, state.LIO.FC = map[string]Target{"iscsi": {}}, map[string]Target{"fc": {}}
		system := map[Fabric]System{ISCSI: LIO, FC: LIO, NVMe: NVMet, TGTISCSI: TGT}
		for _, f := range fabrics {
			Expect(state.Targets(f)).To(HaveKey(string(f)), "State.Targets does not know them")
			Expect(system).To(HaveKey(f), "say here what serves it")
			Expect(f.System()).To(Equal(system[f]), "%s", f)
		}
	})
})
