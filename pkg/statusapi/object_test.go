package statusapi_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile"
	"github.com/volreconciler/volreconciler/pkg/reconcile/execute"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
	"github.com/volreconciler/volreconciler/pkg/statusapi"
)

// invalidNode is a node with objects that are all invalid.
type invalidNode []spec.ID

func (invalidNode) Observe(context.Context, ...string) observe.State { return observe.State{} }

func (n invalidNode) Load(context.Context) spec.Set {
	set := spec.Set{Invalid: map[spec.ID]error{}}
	for _, id := range n {
		set.Invalid[id] = errors.New("no")
	}
	return set
}

var _ = Describe("The answer about some objects", func() {
	var handler http.Handler
	var loop *reconcile.Loop
	BeforeEach(func(ctx SpecContext) {
		node := invalidNode{
			{Kind: spec.KindExport, Name: "db"}, {Kind: spec.KindVolume, Name: "db"}, {Kind: spec.KindVolume, Name: "a"},
			{Kind: spec.KindVolume, Name: "z"}, {Kind: spec.KindPool, Name: "fast"},
		}
		memory, err := reconcile.OpenMemory(filepath.Join(GinkgoT().TempDir(), "identities.json"))
		Expect(err).NotTo(HaveOccurred())
		loop = &reconcile.Loop{
			Source: node, Observer: node, Executor: &execute.Executor{}, Memory: memory, Status: &status.Board{}, Log: logr.Discard(),
		}
		handler = statusapi.Handler(ctx, statusapi.Source{Status: loop.Status})
	})
	ask := func(path string) (int, string) {
		r := httptest.NewRecorder()
		handler.ServeHTTP(r, httptest.NewRequest(http.MethodGet, path, nil))
		text, err := io.ReadAll(r.Body)
		Expect(err).NotTo(HaveOccurred())
		return r.Code, string(text)
	}

	It("waits for the first pass", func() {
		code, _ := ask("/v1/objects/Volume/db")
		Expect(code).To(Equal(http.StatusServiceUnavailable))
	})

	DescribeTable("has these", func(ctx SpecContext, path string, code int, contained, missing string) {
		loop.Pass(ctx)
		got, text := ask(path)
		Expect(got).To(Equal(code))
		Expect(text).To(ContainSubstring(contained))
		Expect(text).NotTo(ContainSubstring(missing))
	},
		Entry("one", "/v1/objects/Volume/db", 200, `{"kind":"Volume","name":"db",`, "Export"),
		Entry("one, of a kind in another case", "/v1/objects/export/db", 200, `{"kind":"Export","name":"db",`, "Volume"),
		Entry("none of that name", "/v1/objects/Volume/x", 404, "Volume/x does not exist", "{"),
		Entry("none of that kind", "/v1/objects/Disk/db", 404, "Disk/db does not exist", "{"),
		Entry("those of a kind", "/v1/status?kind=Volume", 200, `"name":"z"`, "Export"),
		Entry("one with the status of the node", "/v1/status?kind=Volume&name=db", 200, `"objects":[{"kind":"Volume","name":"db"`, `"name":"a"`),
		Entry("none with the status of the node", "/v1/status?kind=Volume&name=x", 200, `"objects":[]`, "Volume"),
		Entry("all", "/v1/status", 200, `"kind":"Pool"`, "Snapshot"),
	)
})
