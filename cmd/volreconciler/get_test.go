package main

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile"
	"github.com/volreconciler/volreconciler/pkg/reconcile/execute"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
	"github.com/volreconciler/volreconciler/pkg/statusapi"
)

// transcript is output that is looked at while it is written.
type transcript struct {
	mu   sync.Mutex
	text strings.Builder
}

func (t *transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.Write(p)
}

func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}

var _ = Describe("get --watch", func() {
	It("shows what is selected again when that changes", func(ctx SpecContext) {
		node := &machine{volumes: map[string]observe.LogicalVolume{}, refusals: 1}
		memory, err := reconcile.OpenMemory(filepath.Join(GinkgoT().TempDir(), "identities.json"))
		Expect(err).NotTo(HaveOccurred())
		loop := &reconcile.Loop{
			Source: oneVolumeIn("vg0"), Observer: node, Memory: memory, Status: &status.Board{}, Log: logr.Discard(), Resync: time.Minute,
			Executor: &execute.Executor{Actuators: map[observe.System]change.Actuator{observe.LVM: node}},
		}
		served := newSettings()
		served.runtimeDir = GinkgoT().TempDir()
		socket := served.socket()
		stopServing, warnings, err := serve(served, answersFrom(loop, nil, "specs"), logr.Discard())
		Expect(warnings).To(BeEmpty())
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(stopServing)

		watching, stop := context.WithCancel(ctx)
		volumes, pools := &transcript{}, &transcript{}
		ended := make(chan error, 2)
		for kind, out := range map[spec.Kind]*transcript{spec.KindVolume: volumes, spec.KindPool: pools} {
			v := view{client: statusapi.NewClient(socket), socket: socket, selected: selection{kind: kind}, format: "table", out: out}
			go func() { ended <- v.watch(watching) }()
		}
		wait := loop.Pass(ctx)
		Eventually(ctx, volumes.String).Should(MatchRegexp(`Volume +db +Failed`))
		Eventually(ctx, pools.String).Should(MatchRegexp(`Pool +slow +Ready`))
		sleep(ctx, wait)
		loop.Pass(ctx) // creates it
		loop.Pass(ctx) // sees it
		Eventually(ctx, volumes.String).Should(MatchRegexp(`Volume +db +Ready`))
		Expect(strings.Count(pools.String(), "Pool")).To(Equal(1), "nothing has changed there")
		stop()
		Eventually(ctx, ended).Should(Receive(BeNil()))
		Eventually(ctx, ended).Should(Receive(BeNil()))
	}, SpecTimeout(20*time.Second))
})
