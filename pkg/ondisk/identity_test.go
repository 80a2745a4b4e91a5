package ondisk

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("The UUID of a namespace", func() {
	It("has version 8 and the variant of RFC 9562, whatever the logical volume", func() {
		seen := map[string]bool{}
		for i := range 500 {
			uuid := NamespaceUUID(fmt.Sprintf("v6uDCZ-MqeH-Tgyg-EKDa-knId-XTCS-%06d", i))
			Expect(uuid).To(MatchRegexp(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`))
			Expect(seen[uuid]).To(BeFalse())
			seen[uuid] = true
		}
	})
	It("never changes: initiators have it in their configuration", func() {
		Expect(NamespaceUUID("v6uDCZ-MqeH-Tgyg-EKDa-knId-XTCS-ilWqSX")).To(Equal("27597e39-cf89-8b03-9bb6-370ec73df089"))
		Expect(NamespaceUUID("v6uDCZMqeHTgygEKDaknIdXTCSilWqSX")).To(Equal(NamespaceUUID("v6uDCZ-MqeH-Tgyg-EKDa-knId-XTCS-ilWqSX")))
	})
	It("is not told from the unit serial", func() {
		serial := UnitSerial("v6uDCZ-MqeH-Tgyg-EKDa-knId-XTCS-ilWqSX")
		Expect(NamespaceUUID("v6uDCZ-MqeH-Tgyg-EKDa-knId-XTCS-ilWqSX")[:8]).NotTo(Equal(serial[:8]))
	})
	It("gives the NGUID", func() {
		Expect(NamespaceNGUID("01234567-89ab-8def-8123-456789abcdef")).To(Equal("0123456789ab8def8123456789abcdef"))
	})
})
