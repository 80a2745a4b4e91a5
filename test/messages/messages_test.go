package messages

import (
	"flag"
	"strings"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

const root = "../.."

// update writes the tables anew: what is missing is added without an example.
var update = flag.Bool("update", false, "add what is missing to the tables, and remove what is no longer in the code")

func TestMessages(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "messages")
}

var _ = Describe("Messages", func() {
	for _, a := range areas {
		It("have an example in the table of "+a.name, func() {
			messages, err := collect(root, a)
			Expect(err).NotTo(HaveOccurred())
			Expect(messages).NotTo(BeEmpty())
			have, err := readTable(a)
			Expect(err).NotTo(HaveOccurred())
			if *update {
				have = have.updated(messages)
				Expect(have.write(a)).To(Succeed())
			}
			Expect(texts(have.entries)).To(Equal(texts(have.updated(messages).entries)), "run this with -update, and write the examples")
		})

		It("keep the form rules in "+a.name, func() {
			have, err := readTable(a)
			Expect(err).NotTo(HaveOccurred())
			words, err := readRetired()
			Expect(err).NotTo(HaveOccurred())
			var wrong []string
			for _, e := range have.entries {
				for _, c := range complaints(e, words) {
					wrong = append(wrong, e.file+": "+e.text+"\n      "+c)
				}
			}
			Expect(wrong).To(BeEmpty(), "%d:\n%s", len(wrong), strings.Join(wrong, "\n"))
		})
	}
})

// texts are what a table and the code must have in common, in order.
func texts(entries []entry) (list []string) {
	for _, e := range entries {
		list = append(list, string(e.kind)+": "+e.text)
	}
	return list
}
