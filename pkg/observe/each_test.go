package observe

import (
	"errors"
	"fmt"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("Reading objects", func() {
	names := make([]string, 3*readers+1)
	for i := range names {
		names[i] = fmt.Sprint("object", i)
	}

	It("reads several at once, each once, and returns those that it finds", func() {
		together := make(chan struct{}) // the first wait for each other
		var mu sync.Mutex
		read := map[string]int{}
		values, err := readEach(names, func(name string) (string, bool, error) {
			mu.Lock()
			read[name]++
			if len(read) == readers {
				close(together)
			}
			mu.Unlock()
			select {
			case <-together:
			case <-time.After(20 * time.Second):
				return "", false, errors.New("they are read one by one")
			}
			return "value of " + name, name != "object2", nil
		})
		Expect(err).NotTo(HaveOccurred())
		Expect(values).To(HaveLen(len(names) - 1))
		Expect(values).NotTo(HaveKey("object2"))
		for _, name := range names {
			Expect(read).To(HaveKeyWithValue(name, 1))
			if name != "object2" {
				Expect(values).To(HaveKeyWithValue(name, "value of "+name))
			}
		}
	})
	It("fails with the error of the first that cannot be read", func() {
		values, err := readEach(names, func(name string) (string, bool, error) {
			if name == "object3" || name == "object8" || name == "object9" {
				return "", false, errors.New("cannot read " + name)
			}
			return "", true, nil
		})
		Expect(err).To(MatchError("cannot read object3"))
		Expect(values).To(BeNil())
	})
	It("finds nothing among none", func() {
		Expect(readEach(nil, func(string) (string, bool, error) { return "", true, nil })).To(BeEmpty())
	})
})
