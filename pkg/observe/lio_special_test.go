package observe

import (
	"testing/fstest"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = DescribeTable("What a backstore of somebody else shows that ours cannot",
	func(file, text, special string) {
		files := fstest.MapFS{}
		for name, usual := range map[string]string{
			"wwn/vendor_id": "LIO-ORG", "wwn/company_id": "0x001405", "attrib/pi_prot_type": "0", "attrib/block_size": "512",
			"attrib/hw_block_size": "512", "alua/default_tg_pt_gp/alua_access_state": "0",
		} {
			files["b/"+name] = &fstest.MapFile{Data: []byte(usual + "\n")}
		}
		files["b/"+file] = &fstest.MapFile{Data: []byte(text + "\n")}
		found, err := readSpecialties(&recordedFiles{tree: files}, "/b")
		Expect(err).NotTo(HaveOccurred())
		if special == "" {
			Expect(found).To(BeEmpty())
		} else {
			Expect(found).To(ConsistOf(special))
		}
	},
	Entry("nothing", "wwn/vendor_id", "LIO-ORG", ""),
	Entry("another vendor", "wwn/vendor_id", "ACME", "vendor ACME"),
	Entry("another company", "wwn/company_id", "0x00a0b8", "company id 0x00a0b8"),
	Entry("protection information", "attrib/pi_prot_type", "1", "protection type 1"),
	Entry("another block size", "attrib/block_size", "4096", "block size 4096"),
	Entry("a path that is not active", "alua/default_tg_pt_gp/alua_access_state", "2", "ALUA state 2"),
	Entry("another group of ports", "alua/standby/alua_access_state", "2", "ALUA group standby"),
)
