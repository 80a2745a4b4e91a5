package statusapi_test

import (
	"net/http"
	"net/http/httptest"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/statusapi"
)

var _ = Describe("The agent", func() {
	It("says which directories it reads, before its first pass has ended too", func(ctx SpecContext) {
		handler := statusapi.Handler(ctx, statusapi.Source{Status: &status.Board{}, Agent: func() statusapi.Agent {
			return statusapi.Agent{Specs: []string{"/etc/volreconciler/specs", "/srv/git/specs"}}
		}})
		r := httptest.NewRecorder()
		handler.ServeHTTP(r, httptest.NewRequest(http.MethodGet, "/v1/agent", nil))
		Expect(r.Code).To(Equal(http.StatusOK))
		Expect(r.Body.String()).To(MatchJSON(`{"specs": ["/etc/volreconciler/specs", "/srv/git/specs"]}`))
	})
})
