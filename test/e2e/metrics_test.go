package e2e

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// metric returns the value of one series, as /metrics has it. It fails unless there is exactly one.
func metric(ctx context.Context, series string) float64 {
	GinkgoHelper()
	text := sh(ctx, "curl -sf --unix-socket /run/volreconciler/agent.sock http://agent/metrics")
	var values []string
	for line := range strings.Lines(text) {
		if value, found := strings.CutPrefix(line, "volreconciler_"+series+" "); found {
			values = append(values, strings.TrimSpace(value))
		}
	}
	Expect(values).To(HaveLen(1), "%s in\n%s", series, text)
	return number(values[0])
}

func number(text string) float64 {
	GinkgoHelper()
	value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	Expect(err).NotTo(HaveOccurred())
	return value
}

var _ = It("Metrics have what LVM and the kernel say of a volume that an initiator writes to", func(ctx SpecContext) {
	specs(ctx, "all.yaml", thinPool, volume("data", "fast", "64Mi", ""), export("data", "{volume: data}"))
	agent()
	allReady(ctx, 3)
	Expect(metric(ctx, `export_sessions{export="data",protocol="iscsi"}`)).To(BeZero())
	written := metric(ctx, `volume_io_written_bytes_total{kind="Volume",name="data"}`)
	Expect(login(ctx, target("data"), loopback, dbHost).ExitCode).To(BeZero())
	fill(ctx, disk(ctx, "Volume/data"), "data", 16)
	passes(ctx, 2)

	Expect(metric(ctx, `export_sessions{export="data",protocol="iscsi"}`)).To(Equal(1.0))
	Expect(metric(ctx, `volume_io_written_bytes_total{kind="Volume",name="data"}`) - written).To(BeNumerically(">=", 16<<20))
	Expect(metric(ctx, `volume_io_writes_total{kind="Volume",name="data"}`)).To(BeNumerically(">", 0))
	for series, field := range map[string]string{
		`volume_size_bytes{kind="Volume",name="data"}`: "lv_size vg0/data",
		`pool_size_bytes{pool="fast"}`:                 "lv_size vg0/pool0",
		`pool_thin_data_size_bytes{pool="fast"}`:       "lv_size vg0/pool0",
		`pool_thin_metadata_size_bytes{pool="fast"}`:   "lv_metadata_size vg0/pool0",
		`pool_thin_chunk_bytes{pool="fast"}`:           "chunk_size vg0/pool0",
		`pool_lvm_metadata_free_bytes{pool="fast"}`:    "vg_mda_free vg0/pool0",
	} {
		want := number(sh(ctx, "lvs --noheadings --nosuffix --units b -o "+field))
		Expect(want).To(BeNumerically(">", 0), field)
		Expect(metric(ctx, series)).To(Equal(want), series)
	}
	for _, of := range []struct{ used, field, size string }{
		{`volume_allocated_bytes{kind="Volume",name="data"}`, "data_percent vg0/data", `volume_size_bytes{kind="Volume",name="data"}`},
		{`pool_thin_data_used_bytes{pool="fast"}`, "data_percent vg0/pool0", `pool_thin_data_size_bytes{pool="fast"}`},
		{`pool_thin_metadata_used_bytes{pool="fast"}`, "metadata_percent vg0/pool0", `pool_thin_metadata_size_bytes{pool="fast"}`},
	} {
		percent := number(sh(ctx, "lvs --noheadings -o "+of.field))
		Expect(percent).To(BeNumerically(">", 0), of.field)
		Expect(100*metric(ctx, of.used)/metric(ctx, of.size)).To(BeNumerically("~", percent, 0.01), fmt.Sprint(of))
	}
	logout(ctx, target("data"), dbHost)
}, NodeTimeout(limit))
