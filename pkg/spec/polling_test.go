package spec

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/go-logr/logr/funcr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("Without inotify", func() {
	It("changes are found by polling, and the log says so once", func(ctx SpecContext) {
		dir := GinkgoT().TempDir()
		lines := make(chan string, 10)
		log := funcr.New(func(_, args string) { lines <- args }, funcr.Options{})
		source := NewSource(dir, Options{Settle: time.Millisecond, Poll: 5 * time.Millisecond, Log: log})

		w := newWatcher(log)
		w.lose()
		w.complain(errors.New("again"))
		watching, cancel := context.WithCancel(ctx)
		defer cancel()
		wake := make(chan struct{}, 1)
		go source.watch(watching, w, wake)

		Eventually(ctx, wake).Should(Receive())
		Expect(source.Load(ctx).Findings).NotTo(BeEmpty())
		Expect(os.WriteFile(filepath.Join(dir, "x.yaml"), []byte("apiVersion: volreconciler/v1alpha1\nkind: Pool\nmetadata: {name: a}\nspec: {volumeGroup: vg0}\n"), 0o600)).To(Succeed())
		Eventually(ctx, wake).Should(Receive())
		Expect(source.Load(ctx).Pools).To(HaveKey("a"))

		Expect(lines).To(Receive(ContainSubstring("inotify has stopped")))
		Expect(lines).NotTo(Receive())
	}, SpecTimeout(5*time.Second))
})
