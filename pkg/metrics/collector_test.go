package metrics

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/volreconciler/volreconciler/pkg/reconcile"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// gathered returns all series but those of histograms, as "name{label=value,…}" without the prefix. The
// registry checks that each is described.
func gathered(c *Collector) map[string]float64 {
	GinkgoHelper()
	registry := prometheus.NewPedanticRegistry()
	Expect(registry.Register(c)).To(Succeed())
	families, err := registry.Gather()
	Expect(err).NotTo(HaveOccurred())
	series := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetType() == dto.MetricType_HISTOGRAM {
				series[strings.TrimPrefix(f.GetName(), namespace)+"_count"] = float64(m.GetHistogram().GetSampleCount())
				continue
			}
			var words []string
			for _, l := range m.GetLabel() {
				words = append(words, l.GetName()+"="+l.GetValue())
			}
			name := strings.TrimPrefix(f.GetName(), namespace)
			if len(words) > 0 {
				name += "{" + strings.Join(words, ",") + "}"
			}
			series[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return series
}

// metricsOf returns what a collector answers.
func metricsOf(c *Collector) string {
	GinkgoHelper()
	answer := httptest.NewRecorder()
	c.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	Expect(answer.Code).To(Equal(http.StatusOK))
	Expect(answer.Header().Get("Content-Length")).To(Equal(strconv.Itoa(answer.Body.Len())))
	return answer.Body.String()
}

const gib = 1 << 30

// busy is the place of the Volume of that name in everything.
const busy = 9

// everything has an object of each kind, and whatever may be said of them.
func everything() []status.Object {
	return []status.Object{
		{Kind: spec.KindExport, Name: "db", Phase: status.Ready, Reason: "AsDesired", Export: &status.Export{Protocol: "iscsi", Sessions: []string{"a"}, Connections: make([]status.Connection, 2)}},
		{Kind: spec.KindImage, Name: "golden", Phase: status.Failed, Reason: "SourceInvalid", Message: "in no label"},
		{Kind: spec.KindPool, Name: "fast", Phase: status.Ready, Reason: "AsDesired", Pool: &status.Pool{
			VolumeGroup: "vg0", ThinPool: "pool0", Size: 100 * gib, Free: 60 * gib, Allocated: 40 * gib, Provisioned: 300 * gib,
			MetadataSize: gib, MetadataPercent: 25, DataPercent: 40, ChunkSize: 64 << 10, LVMMetadataFree: 500_000,
		}},
		{Kind: spec.KindPool, Name: "slow", Phase: status.Ready, Reason: "AsDesired", Pool: &status.Pool{VolumeGroup: "vg1", Size: 10 * gib, Free: 4 * gib, Allocated: 6 * gib}},
		{Kind: spec.KindRepository, Name: "offsite", Phase: status.Ready, Reason: "AsDesired", Repository: &status.Repository{
			Backups: 9, Read: time.Unix(1_600_000_000, 0), Pruned: time.Unix(1_500_000_000, 0), Checked: time.Unix(1_400_000_000, 0),
		}},
		{Kind: spec.KindSnapshot, Name: "before", Phase: status.Ready, Reason: "AsDesired", Snapshot: &status.Volume{
			Size: gib, Allocated: gib / 2, COWSize: gib / 2, DataPercent: 80, Active: true, Pool: "slow", Device: "253:8",
		}},
		{Kind: spec.KindSnapshot, Name: "hourly-20261129t013500z", Phase: status.Blocked, Reason: "DependencyNotReady"},
		{Kind: spec.KindSnapshot, Name: "hourly-20261129t003500z", Phase: status.Ready, Reason: "AsDesired", Snapshot: &status.Volume{
			Size: gib, Allocated: gib / 4, COWSize: gib / 4, DataPercent: 50, Active: true, Device: "253:9", LVUUID: "b00-uuid",
		}},
		{Kind: spec.KindSnapshotSchedule, Name: "hourly", Phase: status.Failed, Reason: status.ReasonBackupTooOld, Schedule: &status.Schedule{
			Volumes: 2, Snapshots: 5, Last: time.Unix(1_700_000_000, 0), Next: time.Unix(1_700_003_600, 0),
			Backups: []status.VolumeBackups{{Volume: "busy", Count: 4, Last: time.Unix(1_699_000_000, 0), TooOld: true, Drilled: time.Unix(1_698_000_000, 0)}, {Volume: "other"}},
		}},
		{Kind: spec.KindVolume, Name: "busy", Phase: status.Progressing, Reason: "Converging",
			Volume:   &status.Volume{Size: 8 * gib, Allocated: 2 * gib, Active: true, Pool: "fast", Device: "253:7", LVUUID: "f00-uuid", DevicePath: "/dev/vg0/busy"},
			Progress: &status.Progress{Type: "Populate", Done: gib, Total: 8 * gib}},
		{Kind: spec.KindVolume, Name: "deleted", Phase: status.Deleting, Reason: status.ReasonInTrash, Volume: &status.Volume{Size: 50 * gib, Pool: "fast"}},
		{Kind: spec.KindVolume, Name: "many", Phase: status.Blocked, Reason: status.ReasonTooManyDeletions},
		{Kind: spec.KindVolume, Name: "other", Phase: status.Orphaned, Reason: status.ReasonNotDeclared, Volume: &status.Volume{Size: gib, Allocated: gib, Active: true, Pool: "slow"}},
	}
}

func published(objects []status.Object) *status.Board {
	board := &status.Board{}
	board.Publish(objects, []status.Finding{{Message: "a mistake"}}, status.PassCost{}, time.Unix(1_700_000_000, 0))
	board.SetRead(time.Unix(1_700_000_000, 0), nil, 3)
	return board
}

// stats are those of the device of the volume busy, and of another.
const stats = "   7       0 loop0 1 1 1 1 1 1 1 1 0 0 0 0 0 0 0\n" +
	" 253       7 dm-7 18 0 208 1500 334 0 1424 250 0 0 1750 0 0 0 0 0 0\n"

var _ = Describe("The collector", func() {
	It("tells what a report says", func() {
		c := New(published(everything()), files{diskstats: stats}, Build{"v1", "c0ffee", "go1"})
		c.PassEnded(status.PassCost{Seconds: 2}, true)
		c.StepTried(spec.ID{}, "GrowVolume", reconcile.StepDone)
		c.StepTried(spec.ID{}, "GrowVolume", reconcile.StepFailed)
		c.DriftCorrected(spec.ID{Kind: spec.KindExport})
		Expect(gathered(c)).To(Equal(map[string]float64{
			"build_info{commit=c0ffee,goversion=go1,version=v1}":                  1,
			"pass_duration_seconds_count":                                         1,
			"pass_last_success_timestamp_seconds":                                 1_700_000_000,
			"findings":                                                            1,
			"audit_misses_total":                                                  3,
			"deletions_blocked":                                                   1,
			"changes_total{result=done,type=GrowVolume}":                          1,
			"changes_total{result=failed,type=GrowVolume}":                        1,
			"drift_corrections_total{kind=Export}":                                1,
			"drift_corrections_total{kind=Image}":                                 0,
			"drift_corrections_total{kind=Pool}":                                  0,
			"drift_corrections_total{kind=Snapshot}":                              0,
			"drift_corrections_total{kind=Volume}":                                0,
			"drift_corrections_total{kind=Backup}":                                0,
			"drift_corrections_total{kind=Repository}":                            0,
			"drift_corrections_total{kind=SnapshotSchedule}":                      0,
			"objects{kind=Export,phase=Ready,reason=AsDesired}":                   1,
			"objects{kind=Image,phase=Failed,reason=SourceInvalid}":               1,
			"objects{kind=Pool,phase=Ready,reason=AsDesired}":                     2,
			"objects{kind=Snapshot,phase=Ready,reason=AsDesired}":                 2,
			"objects{kind=Volume,phase=Progressing,reason=Converging}":            1,
			"objects{kind=Repository,phase=Ready,reason=AsDesired}":               1,
			"objects{kind=Snapshot,phase=Blocked,reason=DependencyNotReady}":      1,
			"objects{kind=SnapshotSchedule,phase=Failed,reason=BackupTooOld}":     1,
			"objects{kind=Volume,phase=Deleting,reason=InTrash}":                  1,
			"objects{kind=Volume,phase=Blocked,reason=TooManyDeletions}":          1,
			"objects{kind=Volume,phase=Orphaned,reason=NotDeclared}":              1,
			"object_ready{kind=Export,name=db}":                                   1,
			"object_ready{kind=Image,name=golden}":                                0,
			"object_ready{kind=Pool,name=fast}":                                   1,
			"object_ready{kind=Pool,name=slow}":                                   1,
			"object_ready{kind=Snapshot,name=before}":                             1,
			"object_ready{kind=Volume,name=busy}":                                 0,
			"object_ready{kind=Repository,name=offsite}":                          1,
			"object_ready{kind=SnapshotSchedule,name=hourly}":                     0,
			"snapshot_cow_used_ratio{kind=Snapshot,name=hourly-20261129t003500z}": .5, // nothing else has its name
			"scheduled_snapshots_blocked":                                         1,
			"schedule_snapshots{schedule=hourly}":                                 5,
			"schedule_last_snapshot_timestamp_seconds{schedule=hourly}":           1_700_000_000,
			"schedule_next_run_timestamp_seconds{schedule=hourly}":                1_700_003_600,
			"schedule_backups{schedule=hourly,volume=busy}":                       4,
			"schedule_last_backup_timestamp_seconds{schedule=hourly,volume=busy}": 1_699_000_000,
			"schedule_last_drill_timestamp_seconds{schedule=hourly,volume=busy}":  1_698_000_000,
			"schedule_backup_too_old{schedule=hourly,volume=busy}":                1,
			"schedule_backups{schedule=hourly,volume=other}":                      0,
			"schedule_backup_too_old{schedule=hourly,volume=other}":               0,
			"repository_readable{repository=offsite}":                             1,
			"repository_backups{repository=offsite}":                              9,
			"repository_read_timestamp_seconds{repository=offsite}":               1_600_000_000,
			"repository_pruned_timestamp_seconds{repository=offsite}":             1_500_000_000,
			"repository_checked_timestamp_seconds{repository=offsite}":            1_400_000_000,
			"object_ready{kind=Volume,name=many}":                                 0,
			"export_sessions{export=db,protocol=iscsi}":                           2,
			"job_done_bytes{kind=Volume,name=busy}":                               gib,
			"job_total_bytes{kind=Volume,name=busy}":                              8 * gib,
			"pool_size_bytes{pool=fast}":                                          100 * gib,
			"pool_free_bytes{pool=fast}":                                          60 * gib,
			"pool_allocated_bytes{pool=fast}":                                     40 * gib,
			"pool_provisioned_bytes{pool=fast}":                                   300 * gib,
			"pool_trash_bytes{pool=fast}":                                         38 * gib, // 40 less the 2 of busy
			"pool_thin_data_used_bytes{pool=fast}":                                40 * gib,
			"pool_thin_data_size_bytes{pool=fast}":                                100 * gib,
			"pool_thin_metadata_used_bytes{pool=fast}":                            gib / 4,
			"pool_thin_metadata_size_bytes{pool=fast}":                            gib,
			"pool_thin_chunk_bytes{pool=fast}":                                    64 << 10,
			"pool_lvm_metadata_free_bytes{pool=fast}":                             500_000,
			"pool_size_bytes{pool=slow}":                                          10 * gib,
			"pool_free_bytes{pool=slow}":                                          4 * gib,
			"pool_allocated_bytes{pool=slow}":                                     6 * gib,
			"pool_trash_bytes{pool=slow}":                                         0,
			"pool_lvm_metadata_free_bytes{pool=slow}":                             0,
			"volume_size_bytes{kind=Snapshot,name=before}":                        gib,
			"volume_allocated_bytes{kind=Snapshot,name=before}":                   gib / 2,
			"snapshot_cow_used_ratio{kind=Snapshot,name=before}":                  .8,
			"volume_size_bytes{kind=Volume,name=busy}":                            8 * gib,
			"volume_allocated_bytes{kind=Volume,name=busy}":                       2 * gib,
			"volume_io_reads_total{kind=Volume,name=busy}":                        18,
			"volume_io_read_bytes_total{kind=Volume,name=busy}":                   208 * 512,
			"volume_io_read_seconds_total{kind=Volume,name=busy}":                 1.5,
			"volume_io_writes_total{kind=Volume,name=busy}":                       334,
			"volume_io_written_bytes_total{kind=Volume,name=busy}":                1424 * 512,
			"volume_io_write_seconds_total{kind=Volume,name=busy}":                .25,
			"volume_size_bytes{kind=Volume,name=deleted}":                         50 * gib,
			"volume_size_bytes{kind=Volume,name=other}":                           gib,
			"volume_allocated_bytes{kind=Volume,name=other}":                      gib,
		}))
	})
	It("says little before the first report", func() {
		series := gathered(New(&status.Board{}, files{}, Build{}))
		Expect(series).To(HaveKey(HavePrefix("build_info")))
		Expect(series).NotTo(HaveKey("findings"))
		Expect(series).NotTo(HaveKey("pass_last_success_timestamp_seconds"))
	})
	It("knows no success while a part of the machine cannot be read", func() {
		c := New(published(nil), files{}, Build{})
		c.PassEnded(status.PassCost{}, false)
		Expect(gathered(c)).To(And(HaveKeyWithValue("pass_duration_seconds_count", 1.), Not(HaveKey("pass_last_success_timestamp_seconds"))))
	})
	It("does not invent the usage of a thin pool that is inactive", func() {
		objects := everything()
		objects[2].Pool.UsageUnknown, objects[2].Pool.Free = true, 0
		series := gathered(New(published(objects), files{}, Build{}))
		Expect(series).To(HaveKey("pool_thin_data_size_bytes{pool=fast}"))
		for _, name := range []string{"pool_free_bytes", "pool_allocated_bytes", "pool_thin_data_used_bytes", "pool_thin_metadata_used_bytes"} {
			Expect(series).NotTo(HaveKey(name+"{pool=fast}"), name)
			Expect(series).To(Or(HaveKey(name+"{pool=slow}"), Not(HaveKey(ContainSubstring(name)))))
		}
		Expect(series).To(HaveKeyWithValue("pool_trash_bytes{pool=fast}", 50.*gib))
	})
	It("answers although an object is there twice", func() {
		objects := everything()
		Expect(gathered(New(published(slices.Insert(objects, busy, objects[busy])), files{}, Build{}))).To(HaveKey("volume_size_bytes{kind=Volume,name=busy}"))
	})
	It("has at most the promised number of series for a volume, and only short words in labels", func() {
		o := everything()[busy]
		o.Kind, o.Snapshot, o.Volume = spec.KindSnapshot, o.Volume, nil
		o.Snapshot.COWSize = gib
		c := New(published([]status.Object{o}), files{diskstats: stats}, Build{})
		n := 0
		for name := range gathered(c) {
			Expect(name).NotTo(ContainSubstring("uuid"))
			Expect(name).NotTo(ContainSubstring("/dev"))
			if strings.Contains(name, "name=busy") {
				n++
			}
		}
		Expect(n).To(Equal(MaxPerVolume))
	})
	It("does not make the agent read the machine", func() {
		board := published(everything())
		board.SetMaxAge(time.Nanosecond)
		gathered(New(board, files{}, Build{}))
		Expect(board.Asked()).NotTo(Receive())
		board.Freshen(canceled())
		Expect(board.Asked()).To(Receive()) // as others do
	})
	It("gathers itself what a registry gathers from it", func() {
		c := New(published(everything()), files{diskstats: stats}, Build{"v1", "c0ffee", "go1"})
		c.StepTried(spec.ID{}, "GrowVolume", reconcile.StepDone)
		registry := prometheus.NewPedanticRegistry()
		Expect(registry.Register(c)).To(Succeed())
		want, err := registry.Gather()
		Expect(err).NotTo(HaveOccurred())
		texts := func(families []*dto.MetricFamily) []string {
			var texts []string
			for _, f := range families {
				texts = append(texts, f.String())
			}
			return texts
		}
		for range 3 { // in the same memory
			got, done, err := c.Gather()
			Expect(err).NotTo(HaveOccurred())
			Expect(texts(got)).To(Equal(texts(want)))
			done()
		}
		few := New(published(everything()[:1]), files{}, Build{})
		few.gatherings.Put(c.gatherings.Get())
		Expect(metricsOf(few)).NotTo(ContainSubstring("pool_"))
	})
	DescribeTable("keeps whatever is in a name within its label", func(name, want string) {
		objects := everything()
		objects[busy].Name = name
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(metricsOf(New(published(objects), files{diskstats: stats}, Build{Version: name}))))
		Expect(err).NotTo(HaveOccurred())
		Expect(families).NotTo(HaveKey("evil"))
		for _, family := range []string{"object_ready", "volume_size_bytes", "volume_io_reads_total", "build_info"} {
			Expect(families[namespace+family].GetMetric()).To(ContainElement(HaveField("Label", ContainElement(HaveField("Value", HaveValue(Equal(want)))))), family)
		}
	},
		Entry("quotes and braces", `a"} 1 {b="`, `a"} 1 {b="`),
		Entry("the end of a line", "a\nevil 1\n# HELP evil x", "a\nevil 1\n# HELP evil x"),
		Entry("a carriage return", "a\r\nevil 1", "a\r\nevil 1"),
		Entry("backslashes", `a\n\"b\`, `a\n\"b\`),
		Entry("bytes that are no UTF-8", "a\xff\xfeb", "a\uFFFDb"),
	)
	It("answers those who accept gzip with the same, compressed", func() {
		c := New(published(everything()), files{diskstats: stats}, Build{})
		plain := metricsOf(c)
		request := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		request.Header.Set("Accept-Encoding", "gzip")
		handler := c.Handler()
		handler.ServeHTTP(httptest.NewRecorder(), request) // the next one has its memory
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, request)
		Expect(answer.Header().Get("Content-Length")).To(Equal(strconv.Itoa(answer.Body.Len())))
		unpacked, err := gzip.NewReader(answer.Body)
		Expect(err).NotTo(HaveOccurred())
		Expect(io.ReadAll(unpacked)).To(BeEquivalentTo(plain))
	})
	It("answers in the format of Prometheus", func() {
		text := metricsOf(New(published(everything()), files{}, Build{}))
		Expect(text).To(ContainSubstring("# HELP volreconciler_findings "))
		Expect(text).To(ContainSubstring("\nvolreconciler_findings 1\n"))
	})
})

var _ = DescribeTable("Whether a Repository can be read", func(o status.Object, want float64, isKnown bool) {
	value, known := isReadable(&o)
	Expect(known).To(Equal(isKnown))
	Expect(value).To(Equal(want))
},
	Entry("it was read", repository(status.Ready, status.ReasonAsDesired, true), 1., true),
	Entry("it was read, and could not be pruned", repository(status.Failed, "PruneRepositoryFailed", true), 1., true),
	Entry("it was read once, and cannot be read now", repository(status.Failed, status.ReasonObservationFailed, true), 0., true),
	Entry("it was never read since the start", repository(status.Failed, status.ReasonObservationFailed, false), 0., true),
	Entry("it is gone", repository(status.Blocked, status.ReasonVanished, true), 0., true),
	Entry("it cannot be created", repository(status.Failed, "InitRepositoryFailed", false), 0., true),
	Entry("it is being read or created for the first time", repository(status.Progressing, status.ReasonConverging, false), 0., false),
	Entry("it is suspended", repository(status.Suspended, status.ReasonSuspended, true), 0., false),
)

func repository(phase status.Phase, reason string, read bool) status.Object {
	r := &status.Repository{}
	if read {
		r.Read = time.Unix(1_700_000_000, 0)
	}
	return status.Object{Kind: spec.KindRepository, Phase: phase, Reason: reason, Repository: r}
}

var _ = DescribeTable("Space in the trash", func(thin bool, allocated uint64, want int, volumes ...status.Volume) {
	pool := &status.Pool{Size: 100, Allocated: allocated}
	if thin {
		pool.ThinPool = "pool0"
	}
	objects := []status.Object{{Kind: spec.KindPool, Name: "p", Pool: pool}}
	for i := range volumes {
		reason := status.ReasonAsDesired
		if !volumes[i].DeletedAt.IsZero() {
			reason = status.ReasonInTrash
		}
		volumes[i].Pool = "p"
		objects = append(objects, status.Object{Kind: spec.KindVolume, Name: fmt.Sprint(i), Reason: reason, Volume: &volumes[i]})
	}
	Expect(trashOf(objects)["p"]).To(BeEquivalentTo(want))
},
	Entry("none", true, uint64(50), 0, status.Volume{Size: 50, Active: true, Allocated: 50}),
	Entry("thick: the sizes", false, uint64(50), 30, status.Volume{Size: 30, Allocated: 30, DeletedAt: time.Unix(1, 0)}),
	Entry("thin: the sizes, where there is that much", true, uint64(90), 30, status.Volume{Size: 30, DeletedAt: time.Unix(1, 0)}, status.Volume{Size: 99, Active: true, Allocated: 40}),
	Entry("thin: no more than what active volumes leave", true, uint64(50), 10, status.Volume{Size: 30, DeletedAt: time.Unix(1, 0)}, status.Volume{Size: 99, Active: true, Allocated: 40}),
	Entry("thin: nothing if snapshots share all", true, uint64(50), 0, status.Volume{Size: 30, DeletedAt: time.Unix(1, 0)}, status.Volume{Size: 99, Active: true, Allocated: 80}),
)
