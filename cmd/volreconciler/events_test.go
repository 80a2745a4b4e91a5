package main

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
	"github.com/volreconciler/volreconciler/pkg/statusapi"
)

var _ = Describe("The events of an agent", func() {
	var board *status.Board
	var socket string
	object := func(phase status.Phase, reason string) status.Object {
		return status.Object{Kind: spec.KindExport, Name: "db", Phase: phase, Reason: reason}
	}
	publish := func(objects ...status.Object) {
		board.Publish(objects, nil, status.PassCost{}, time.Now())
	}
	BeforeEach(func() {
		board, socket = &status.Board{}, filepath.Join(GinkgoT().TempDir(), "s")
		listener, err := statusapi.Listen(socket)
		Expect(err).NotTo(HaveOccurred())
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = statusapi.Serve(ctx, listener, statusapi.Source{Status: board}) // it ends when the spec does
		}()
		DeferCleanup(func() { cancel(); <-ended })
	})

	It("say who had caused a drift, also of an object that is gone", func(ctx SpecContext) {
		drifted := object(status.Ready, "AsDesired")
		drifted.Drift = &status.Drift{
			Time: time.Now(), Change: "enable target db", Corrected: 1,
			By: &status.Actor{PID: 4711, Command: "targetcli", UID: 0, User: "root", LoginUID: 1000, LoginUser: "alice"},
		}
		publish(object(status.Ready, "AsDesired"))
		publish(drifted)
		const drift = "drift corrected: enable target db; last written by targetcli (pid 4711, uid 0 root, login uid 1000 alice)"

		var described strings.Builder
		Expect(describeEvents(ctx, &described, screen{}, statusapi.NewClient(socket), drifted.ID())).To(Succeed())
		Expect(described.String()).To(MatchRegexp(`^Events:\n  \S+  \Q` + drift + `\E\n$`))
		publish()
		var out strings.Builder
		v := eventsView{client: statusapi.NewClient(socket), socket: socket, selected: selection{kind: spec.KindExport, name: "db"}, out: &out}
		Expect(v.show(ctx)).To(Succeed())
		Expect(out.String()).To(MatchRegexp(`^\S+  Export/db: \Q` + drift + `\E\n\S+  Export/db: deleted, was Ready \(AsDesired\)\n$`))
	})

	It("are those since a time", func(ctx SpecContext) {
		publish(object(status.Failed, "NoSpace"))
		var out strings.Builder
		v := eventsView{client: statusapi.NewClient(socket), out: &out, since: time.Now().Add(time.Minute), json: true}
		Expect(v.show(ctx)).To(Succeed())
		Expect(out.String()).To(MatchJSON(`{"events": []}`))
	})

	It("are not described more than ten at a time, on a screen without colours in the way", func(ctx SpecContext) {
		for n := range 30 {
			o := object(status.Blocked, "Vanished")
			if n%2 == 0 {
				o = object(status.Failed, "NoSpace")
			}
			o.Message = strings.Repeat("word ", 30)
			publish(o)
		}
		var out strings.Builder
		Expect(describeEvents(ctx, &out, screen{painter: painter{true}, width: 80}, statusapi.NewClient(socket), object("", "").ID())).To(Succeed())
		Expect(strings.Count(out.String(), ", was ")).To(Equal(maxDescribed))
		for line := range strings.Lines(out.String()) {
			Expect(widthOf(strings.TrimSpace(line))).To(BeNumerically("<=", 80))
		}
	})

	It("are no part of the description by an agent that has none", func(ctx SpecContext) {
		old, err := net.Listen("unix", filepath.Join(GinkgoT().TempDir(), "s"))
		Expect(err).NotTo(HaveOccurred())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = http.Serve(old, http.NotFoundHandler()) // it ends when the spec does
		}()
		DeferCleanup(func() { _ = old.Close(); <-ended })
		var out strings.Builder
		Expect(describeEvents(ctx, &out, screen{}, statusapi.NewClient(old.Addr().String()), object("", "").ID())).To(Succeed())
		Expect(out.String()).To(BeEmpty())
	})
})
