package e2e

import (
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = It("Files that arrive one after the other once the agent runs cost no volume, however long they take in all", func(ctx SpecContext) {
	names := []string{"pool", "a", "b", "c"}
	put := func(name string) {
		GinkgoHelper()
		document := thickPool
		if name != "pool" {
			document = volume(name, "slow", "16Mi", "deletionPolicy: Delete")
		}
		specs(ctx, name+".yaml", document)
	}
	there := func() string { return sh(ctx, "lvs --noheadings -o lv_name,lv_uuid vg0 | sort") }
	for _, name := range names {
		put(name)
	}
	agent()
	allReady(ctx, len(names))
	var contents []string
	for _, name := range names[1:] {
		fill(ctx, "/dev/vg0/"+name, "precious-"+name, 4)
		contents = append(contents, content(ctx, "/dev/vg0/"+name, 16))
	}
	before := there()
	began := time.Now()
	rounds(ctx, 2)
	// Each file comes well within the grace period, on a slow machine too.
	grace := max(4*time.Second, 3*time.Since(began)).Round(time.Second)

	By(fmt.Sprintf("an empty directory for longer than the grace period, %s", grace))
	kill(ctx)
	sh(ctx, "rm /specs/*.yaml")
	log := agent("--deletion-grace", grace.String())
	began = time.Now()
	Eventually(ctx, func() time.Duration {
		rounds(ctx, 1)
		return time.Since(began)
	}).Should(BeNumerically(">", grace))
	Expect(there()).To(Equal(before))

	By("then one file after the other, the Pool's first")
	for began = time.Now(); len(names) > 0 || time.Since(began) < grace; names = names[min(1, len(names)):] {
		if len(names) > 0 {
			put(names[0])
		}
		rounds(ctx, 2)
		Expect(there()).To(Equal(before))
	}
	allReady(ctx, 4)
	Expect(there()).To(Equal(before))
	for i, name := range []string{"a", "b", "c"} {
		Expect(content(ctx, "/dev/vg0/"+name, 16)).To(Equal(contents[i]), name)
	}
	Expect(string(log.Contents())).NotTo(Or(ContainSubstring(`"change":"RemoveLV"`), ContainSubstring(`"change":"StartClearing"`)))

	By("and a file that goes away then still takes its volume with it")
	remove(ctx, "c.yaml")
	Eventually(ctx, func() string { return sh(ctx, "lvs --noheadings -o lv_name vg0 | xargs") }).Should(Equal("a b"))
	Expect(strings.Count(there(), "\n")).To(Equal(1))
}, NodeTimeout(limit))
