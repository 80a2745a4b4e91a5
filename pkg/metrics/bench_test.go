package metrics

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// BenchmarkScrape answers /metrics of a node with as many objects: half of them volumes, and half their exports.
func BenchmarkScrape(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var stats strings.Builder
			var objects []status.Object
			for i := range n / 2 {
				objects = append(objects, status.Object{Kind: spec.KindExport, Name: fmt.Sprintf("v%06d", i), Phase: status.Ready, Reason: status.ReasonAsDesired, Export: &status.Export{Protocol: "iscsi"}})
				_, _ = fmt.Fprintf(&stats, " 253 %7d dm-%d 18 0 208 1500 334 0 1424 250 0 0 1750 0 0 0 0 0 0\n", i, i)
			}
			for i := range n / 2 {
				objects = append(objects, status.Object{Kind: spec.KindVolume, Name: fmt.Sprintf("v%06d", i), Phase: status.Ready, Reason: status.ReasonAsDesired, Volume: &status.Volume{
					Size: gib, Allocated: gib / 2, Active: true, Pool: "fast", Device: fmt.Sprintf("253:%d", i),
				}})
			}
			handler := New(published(objects), files{diskstats: stats.String()}, Build{}).Handler()
			request := httptest.NewRequest(http.MethodGet, "/metrics", nil)
			b.ReportAllocs()
			for b.Loop() {
				answer := httptest.NewRecorder()
				handler.ServeHTTP(answer, request)
				if answer.Code != http.StatusOK {
					b.Fatal(answer.Body.String())
				}
				b.ReportMetric(float64(answer.Body.Len())/1024, "KiB")
			}
		})
	}
}
