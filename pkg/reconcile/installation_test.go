package reconcile_test

import (
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	. "github.com/volreconciler/volreconciler/pkg/reconcile"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
)

var _ = Describe("An installation", func() {
	var dir, memory string
	BeforeEach(func() {
		dir = GinkgoT().TempDir()
		memory = filepath.Join(dir, "identities.json")
	})
	open := func() *Installation {
		GinkgoHelper()
		i, err := OpenInstallation(dir, memory, "node-1.example.com")
		Expect(err).NotTo(HaveOccurred())
		return i
	}
	established := func() *Installation {
		GinkgoHelper()
		i := open()
		Expect(i.Establish()).To(Succeed())
		return i
	}
	current := func(i *Installation) plan.Installation {
		GinkgoHelper()
		now, err := i.Current()
		Expect(err).NotTo(HaveOccurred())
		return now
	}

	It("keeps its identifier and its name, whatever the node is called later", func() {
		id := established().ID
		Expect(id).To(MatchRegexp(`^[0-9a-f]{16}$`))
		again, err := OpenInstallation(dir, memory, "node-2")
		Expect(err).NotTo(HaveOccurred())
		Expect(again.Establish()).To(Succeed())
		Expect(current(again)).To(Equal(current(open())))
		Expect(again.ID).To(Equal(id))
		Expect(again.Name).To(Equal("node-1.example.com"))
	})
	It("is another one in another directory", func() {
		id := established().ID
		dir = GinkgoT().TempDir()
		Expect(established().ID).NotTo(Equal(id))
	})
	It("writes nothing until it is established, and has an identifier that nobody else has until then", func() {
		now := current(open())
		Expect(now.ID).To(Equal("new"))
		Expect(now.Adopts).To(BeEmpty())
		Expect(os.ReadDir(dir)).To(BeEmpty())
	})
	It("has an identifier also while it cannot be stored, and keeps that", func() {
		i := open()
		Expect(os.Remove(dir)).To(Succeed())
		Expect(os.WriteFile(dir, nil, 0o600)).To(Succeed())
		Expect(i.Establish()).NotTo(Succeed())
		id := i.ID
		Expect(id).To(MatchRegexp(`^[0-9a-f]{16}$`))
		Expect(os.Remove(dir)).To(Succeed())
		Expect(i.Establish()).To(Succeed())
		Expect(i.ID).To(Equal(id))
		Expect(open().ID).To(Equal(id))
	})
	It("makes a name of a node's that tags can hold", func() {
		i, err := OpenInstallation(dir, memory, "naïve node#1")
		Expect(err).NotTo(HaveOccurred())
		Expect(i.Tag()).To(Equal("volreconciler/by=new:na--ve-node-1"))
	})

	It("takes over what does not say who made it, where an older agent was at work", func() {
		Expect(os.WriteFile(memory, []byte("{}"), 0o600)).To(Succeed())
		Expect(current(open()).Adopts).To(Equal([]string{plan.Unmarked}))
		Expect(current(established()).Adopts).To(Equal([]string{plan.Unmarked}))
		Expect(current(open()).Adopts).To(Equal([]string{plan.Unmarked}))
		Expect(open().Adopted([]string{plan.Unmarked})).To(Succeed())
		Expect(current(open()).Adopts).To(BeEmpty())
	})
	It("does so also if it was killed while it was established", func() {
		Expect(os.WriteFile(memory, []byte("{}"), 0o600)).To(Succeed())
		Expect(established().ID).NotTo(BeEmpty())
		Expect(os.Remove(filepath.Join(dir, InstallationFile))).To(Succeed())
		Expect(current(established()).Adopts).To(Equal([]string{plan.Unmarked}))
	})
	It("takes over what it is asked to, once", func() {
		i := established()
		Expect(i.Adopt("00000000cafecafe")).To(Succeed())
		Expect(i.Adopt("00000000cafecafe")).To(Succeed())
		Expect(current(i).Adopts).To(Equal([]string{"00000000cafecafe"}))
		Expect(i.Adopted([]string{"00000000cafecafe", "0000000000000000"})).To(Succeed())
		Expect(current(i).Adopts).To(BeEmpty())
	})
	DescribeTable("takes over nothing that is no installation", func(id string) {
		Expect(established().Adopt(id)).To(MatchError(ContainSubstring("16 hexadecimal digits")))
		Expect(os.ReadDir(dir)).To(HaveLen(1))
	},
		Entry("", ""), Entry("", "new"), Entry("", "../identities.json"), Entry("", "00000000CAFECAFE"), Entry("", "."))

	DescribeTable("is not guessed", func(content, what string) {
		Expect(os.WriteFile(filepath.Join(dir, InstallationFile), []byte(content), 0o600)).To(Succeed())
		_, err := OpenInstallation(dir, memory, "node")
		Expect(err).To(MatchError(ContainSubstring(what)))
	},
		Entry("from nothing", "", "volreconciler adopt-node"),
		Entry("from half a file", `{"version": 1, "id": "00000000`, "Restore it"),
		Entry("without an identifier", `{"version": 1}`, "16 hexadecimal digits"),
		Entry("from something else", `{"version": 1, "id": "node-1"}`, "16 hexadecimal digits"),
		Entry("with a name that tags cannot hold", `{"version": 1, "id": "00000000cafecafe", "name": "a b"}`, "its name"),
		Entry("from a later version", `{"version": 2, "id": "00000000cafecafe"}`, "later volreconciler"))
})
