package metrics

import (
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/volreconciler/volreconciler/pkg/reconcile"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Files reads a file of the machine.
type Files interface {
	ReadFile(path string) ([]byte, error)
}

// Build is what the agent was built from.
type Build struct{ Version, Commit, Go string }

// Collector fills the metrics. It is the [reconcile.Meter] of the loop whose reports it reads, and is for
// concurrent use.
type Collector struct {
	board *status.Board
	files Files
	build Build

	passes  prometheus.Histogram
	changes *prometheus.CounterVec
	drifts  *prometheus.CounterVec
	// counted holds these three.
	counted    *prometheus.Registry
	gatherings sync.Pool // of *gathering

	mu          sync.Mutex
	lastSuccess time.Time
	history     history
}

var (
	_ prometheus.Collector = &Collector{}
	_ reconcile.Meter      = &Collector{}
)

// New returns a Collector that reads a board, and the statistics of devices from files.
func New(board *status.Board, files Files, build Build) *Collector {
	c := &Collector{
		board: board, files: files, build: build, counted: prometheus.NewRegistry(),
		passes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: namespace + "pass_duration_seconds", Help: helpOf(passSeconds),
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
		}),
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: namespace + "changes_total", Help: helpOf(changes)}, []string{"result", "type"}),
		drifts:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: namespace + "drift_corrections_total", Help: helpOf(drifts)}, []string{"kind"}),
	}
	c.counted.MustRegister(c.passes, c.changes, c.drifts)
	// Prometheus sees no increase in a series that begins with its first value.
	for _, kind := range spec.Kinds() {
		c.drifts.WithLabelValues(string(kind))
	}
	return c
}

func helpOf(d *prometheus.Desc) string {
	for _, m := range all {
		if m.desc == d {
			return m.Help
		}
	}
	return ""
}

// StepTried implements [reconcile.Meter].
func (c *Collector) StepTried(_ spec.ID, change string, result reconcile.StepResult) {
	c.changes.WithLabelValues(string(result), change).Inc()
}

// DriftCorrected implements [reconcile.Meter].
func (c *Collector) DriftCorrected(object spec.ID) {
	c.drifts.WithLabelValues(string(object.Kind)).Inc()
}

// PassEnded implements [reconcile.Meter]. It also notes how full the Pools are, for the forecast.
func (c *Collector) PassEnded(cost status.PassCost, complete bool) {
	report, _ := c.board.Report()
	c.passes.Observe(cost.Seconds)
	c.mu.Lock()
	defer c.mu.Unlock()
	if complete {
		c.lastSuccess = report.Time
	}
	c.history.note(report)
}

// Describe implements [prometheus.Collector].
func (c *Collector) Describe(to chan<- *prometheus.Desc) {
	for _, m := range all {
		to <- m.desc
	}
}

// Collect implements [prometheus.Collector].
func (c *Collector) Collect(to chan<- prometheus.Metric) {
	c.passes.Collect(to)
	c.changes.Collect(to)
	c.drifts.Collect(to)
	c.collect(func(d *prometheus.Desc, value float64, labels labels) {
		to <- sample{desc: d, value: value, labels: labels}
	})
}

// labels are the labels of a series, sorted. Series of one object share them.
type labels []*dto.LabelPair

// pair makes a label. Bytes that are no UTF-8 would spoil the whole scrape.
func pair(name, value string) *dto.LabelPair {
	value = strings.ToValidUTF8(value, "\uFFFD")
	return &dto.LabelPair{Name: &name, Value: &value}
}

// emit is called with each series. Those of one metric are sorted by their labels.
type emit func(d *prometheus.Desc, value float64, labels labels)

// collect emits all that no metric of the client library holds.
func (c *Collector) collect(emit emit) {
	emit(buildInfo, 1, labels{pair("commit", c.build.Commit), pair("goversion", c.build.Go), pair("version", c.build.Version)})
	report, _ := c.board.Report()
	if report.Generation == 0 {
		return // nothing is known yet
	}
	c.mu.Lock()
	lastSuccess, forecasts := c.lastSuccess, c.history.forecasts()
	c.mu.Unlock()
	emitTime(passLastSuccess, lastSuccess, nil, emit)
	for _, f := range forecasts {
		emit(poolFullIn, f.seconds, labels{pair("pool", f.pool), pair("what", f.what)})
	}
	emit(findings, float64(len(report.Findings)), nil)
	emit(auditMisses, float64(report.AuditMisses), nil)
	collectCounts(report.Objects, emit)
	collectObjects(report.Objects, c.deviceStats(), emit)
}

// sample is a series for [prometheus.Collector].
type sample struct {
	desc   *prometheus.Desc
	labels labels
	value  float64
}

// Desc implements [prometheus.Metric].
func (s sample) Desc() *prometheus.Desc { return s.desc }

// Write implements [prometheus.Metric].
func (s sample) Write(to *dto.Metric) error {
	to.Label = s.labels
	if counters[s.desc] {
		to.Counter = &dto.Counter{Value: &s.value}
	} else {
		to.Gauge = &dto.Gauge{Value: &s.value}
	}
	return nil
}
