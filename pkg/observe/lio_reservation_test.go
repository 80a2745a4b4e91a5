package observe

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("persistent reservations", func() {
	It("are read as the kernel shows them", func() {
		Expect(parseRegistrations("SPC-3 PR Registrations:\nNone\n")).To(BeEmpty())
		Expect(parseRegistrations("SPC-3 PR Registrations:\n" +
			"iSCSI Node: iqn.2003-01.org.example:init1,i,0x00023d000001 Key: 0x0000000000abc123 PRgen: 0x00000000\n" +
			"FC Node: 20:00:00:11:22:33:44:55 Key: 0xffffffffffffffff PRgen: 0x00000002\n")).To(Equal([]Registration{
			{Initiator: "iqn.2003-01.org.example:init1", SID: "00023d000001", Key: 0xabc123},
			{Initiator: "naa.2000001122334455", Key: 0xffffffffffffffff},
		}))
	})
	It("are read as the kernel keeps them", func() {
		const one = "PR_REG_START: 0\ninitiator_fabric=iSCSI\ninitiator_node=iqn.2003-01.org.example:init1\ninitiator_sid=00023d000001\n" +
			"sa_res_key=11256099\nres_holder=1\nres_type=05\nres_scope=00\nres_all_tg_pt=0\nmapped_lun=0\n" +
			"target_fabric=iSCSI\ntarget_node=iqn.2003-01.org.example:x\ntpgt=1\nport_rtpi=1\ntarget_lun=0\nPR_REG_END: 0\n"
		kept := parseKept(one + "\x00")
		Expect(kept).To(HaveLen(1))
		Expect(kept[0].Registration).To(Equal(Registration{Initiator: "iqn.2003-01.org.example:init1", SID: "00023d000001", Key: 0xabc123, Target: "iqn.2003-01.org.example:x"}))
		Expect(kept[0].Fields).To(And(HaveLen(14), ContainElements("res_type=05", "target_lun=0")))
		Expect(kept[0].String()).To(Equal("iqn.2003-01.org.example:init1 (key 0xabc123)"))

		Expect(parseKept("No Registrations or Reservations\n\x00")).To(BeEmpty())
		Expect(parseKept("")).To(BeEmpty(), "cut off by a power failure")
		Expect(parseKept(one[:60])).To(BeEmpty(), "cut off by a power failure")
	})
	It("name the target of those that are kept, once for each", func() {
		r := Registration{Initiator: "iqn.2003-01.org.example:init1", SID: "00023d000001", Key: 0xabc}
		by := func(target string) KeptRegistration {
			k := KeptRegistration{Registration: r}
			k.Target = target
			return k
		}
		all := []Registration{r, r, r, {Initiator: r.Initiator, SID: r.SID, Key: 0xdef}}
		addTargetNames(all, []KeptRegistration{by("iqn.2003-01.org.example:x"), by("iqn.2003-01.org.example:y")})
		x, y := r, r
		x.Kept, x.Target, y.Kept, y.Target = true, "iqn.2003-01.org.example:x", true, "iqn.2003-01.org.example:y"
		Expect(all).To(Equal([]Registration{x, y, r, {Initiator: r.Initiator, SID: r.SID, Key: 0xdef}}))
	})
	It("may be more than the kernel shows in one page", func() {
		text := "SPC-3 PR Registrations:\n"
		var kept []KeptRegistration
		for n := range 40 {
			k := KeptRegistration{Registration: Registration{Initiator: fmt.Sprintf("iqn.2003-01.org.example:initiator-of-a-cluster-%d", n), SID: "00023d000001", Key: 0xabc, Target: "iqn.2003-01.org.example:x"}}
			kept = append(kept, k)
			line := fmt.Sprintf("iSCSI Node: %s,i,0x%s Key: 0x%016x PRgen: 0x00000000\n", k.Initiator, k.SID, k.Key)
			if len(text)+len(line) < 4096 {
				text += line
			}
		}
		shown := len(parseRegistrations(text))
		Expect(shown).To(BeNumerically("<", 40))
		Expect(registrationsIn(text, nil, 65536)).To(HaveLen(shown))
		all := registrationsIn(text, kept, 4096)
		Expect(all).To(HaveLen(40))
		Expect(all).To(HaveEach(HaveField("Kept", true)))
		all = registrationsIn(text, nil, 4096)
		Expect(all).To(HaveLen(shown + 1))
		Expect(all[shown].String()).To(Equal("others that the kernel does not show"))
		Expect(registrationsIn("SPC-3 PR Registrations:\nNone\n", kept, 4096)).To(BeEmpty())
	})
	It("do not name the target where the kernel keeps more than there is, which another target took along", func() {
		r := Registration{Initiator: "iqn.2003-01.org.example:init1", SID: "00023d000001", Key: 0xabc}
		by := func(target string) KeptRegistration {
			k := KeptRegistration{Registration: r}
			k.Target = target
			return k
		}
		one := []Registration{r}
		addTargetNames(one, []KeptRegistration{by("iqn.2003-01.org.example:gone"), by("iqn.2003-01.org.example:x")})
		Expect(one).To(Equal([]Registration{{Initiator: r.Initiator, SID: r.SID, Key: r.Key, Kept: true}}))

		one = []Registration{r}
		addTargetNames(one, []KeptRegistration{by("iqn.2003-01.org.example:x"), by("iqn.2003-01.org.example:x")})
		Expect(one[0].Target).To(Equal("iqn.2003-01.org.example:x"))
	})
})
