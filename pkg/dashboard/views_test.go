package dashboard

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

func volume(name string, phase status.Phase, reason, message string) status.Object {
	return status.Object{Kind: spec.KindVolume, Name: name, Phase: phase, Reason: reason, Message: message, Volume: &status.Volume{Pool: "fast"}}
}

var _ = Describe("What needs somebody", func() {
	It("has objects of one message in one group, the worst first, and last those that wait for others", func() {
		objects := []status.Object{
			volume("w1", status.Blocked, status.ReasonNotReady, "waiting for Pool/fast"), volume("w2", status.Blocked, status.ReasonNotReady, "waiting for Pool/fast"),
			volume("a", status.Blocked, status.ReasonNotOwned, "vg0/a exists"), volume("bb", status.Blocked, status.ReasonNotOwned, "vg0/bb exists"),
			volume("c", status.Failed, status.ReasonNoSpace, "cannot extend vg0/c"),
			volume("d", status.Deleting, status.ReasonRemoving, "removing"),
		}
		var got []string
		for _, g := range groupsOf(objects).Groups {
			got = append(got, fmt.Sprintf("%s %s %d %s", g.Phase, g.Reason, g.Count, g.Message))
		}
		Expect(got).To(Equal([]string{
			"Failed NoSpace 1 cannot extend vg0/c", "Blocked NotOwned 2 vg0/a exists", "Blocked DependencyNotReady 2 waiting for Pool/fast", "Deleting Removing 1 removing",
		}))
	})

	It("has an example for a reason with many messages, and names a few of many objects", func() {
		var objects []status.Object
		for i := range 500 {
			objects = append(objects, volume(fmt.Sprintf("v%03d", i), status.Failed, status.ReasonNoSpace, fmt.Sprintf("%d extents are missing", i)))
		}
		list := groupsOf(objects)
		Expect(list.Groups).To(HaveLen(1))
		g := list.Groups[0]
		Expect(g.Example).To(BeTrue())
		Expect(g.Message).To(Equal("0 extents are missing"))
		Expect(g.IDs).To(HaveLen(3))
		Expect(g.More()).To(Equal(497))
		Expect(g.URL).To(Equal("/objects?phase=Failed&reason=NoSpace"))
	})

	It("is bounded, and counts the rest", func() {
		var objects []status.Object
		for i := range maxGroups + 7 {
			objects = append(objects, volume("v", status.Failed, fmt.Sprintf("Reason%02d", i), ""))
		}
		list := groupsOf(objects)
		Expect(list.Groups).To(HaveLen(maxGroups))
		Expect(list.More).To(Equal(7))
	})

	DescribeTable("is summed up", func(r status.Report, warnings, busy int, sentence string, calm bool) {
		got, isCalm := verdict(r, warnings, busy)
		Expect(got).To(Equal(sentence))
		Expect(isCalm).To(Equal(calm))
	},
		Entry(nil, status.Report{Objects: []status.Object{volume("a", status.Failed, "", ""), volume("b", status.Ready, "", "")}}, 1, 1, "1 of 2 objects needs you", false),
		Entry(nil, status.Report{Objects: []status.Object{volume("a", status.Failed, "", ""), volume("b", status.Blocked, "", "")}}, 0, 0, "2 of 2 objects need you", false),
		Entry(nil, status.Report{Findings: make([]status.Finding, 2)}, 1, 0, "2 mistakes in the spec files", false),
		Entry(nil, status.Report{}, 1, 0, "1 warning about this node", false),
		Entry(nil, status.Report{Objects: []status.Object{volume("a", status.Progressing, "", "")}}, 0, 1, "1 object being changed", true),
		Entry(nil, status.Report{Objects: []status.Object{volume("a", status.Ready, "", "")}}, 0, 0, "Everything is as declared", true),
		Entry(nil, status.Report{}, 0, 0, "No object is declared", true),
	)
})

var _ = Describe("The filter", func() {
	objects := []status.Object{volume("alpha", status.Ready, status.ReasonAsDesired, ""), volume("beta", status.Failed, status.ReasonNoSpace, "No room"),
		{Kind: spec.KindExport, Name: "alpha", Phase: status.Ready, Labels: map[string]string{"team": "shop"}, Export: &status.Export{
			Target: "iqn.x", Sessions: []string{"iqn.one"}, Connections: []status.Connection{{Address: "192.0.2.1"}}}},
		{Kind: spec.KindPool, Name: "fast", Phase: status.Ready, Pool: &status.Pool{}}}
	DescribeTable("finds", func(query string, want ...string) {
		values, err := url.ParseQuery(query)
		Expect(err).NotTo(HaveOccurred())
		var got []string
		for _, row := range objectsOf(objects, filterFrom(values)).Rows {
			got = append(got, row.ID().String())
		}
		Expect(strings.Join(got, " ")).To(Equal(strings.Join(want, " ")))
	},
		Entry("all", "", "Volume/alpha", "Volume/beta", "Export/alpha", "Pool/fast"),
		Entry("a kind", "kind=Export", "Export/alpha"),
		Entry("a phase", "phase=Failed", "Volume/beta"),
		Entry("a reason", "reason=NoSpace", "Volume/beta"),
		Entry("a pool and what is in it", "pool=fast", "Volume/alpha", "Volume/beta", "Pool/fast"),
		Entry("a name, in any case", "q=ALPHA", "Volume/alpha", "Export/alpha"),
		Entry("a kind and a name", "q=volume/al", "Volume/alpha"),
		Entry("all words", "q=room+beta", "Volume/beta"),
		Entry("not one word of two", "q=room+alpha"),
		Entry("a label", "q=team=shop", "Export/alpha"),
		Entry("an initiator", "q=iqn.one", "Export/alpha"),
		Entry("an address", "q=192.0.2.1", "Export/alpha"),
		Entry("the worst first", "sort=worst", "Volume/beta", "Volume/alpha", "Export/alpha", "Pool/fast"),
		Entry("a page that there is", "page=99", "Volume/alpha", "Volume/beta", "Export/alpha", "Pool/fast"),
		Entry("a page that is none", "page=-x", "Volume/alpha", "Volume/beta", "Export/alpha", "Pool/fast"),
	)

	It("has pages that follow each other", func() {
		var many []status.Object
		for i := range 2*perPage + 1 {
			many = append(many, volume(fmt.Sprintf("v%03d", i), status.Ready, "", ""))
		}
		seen, next := 0, filter{Kind: spec.KindVolume, Page: 1}.URL()
		for next != "" {
			u, err := url.Parse(next)
			Expect(err).NotTo(HaveOccurred())
			list := objectsOf(many, filterFrom(u.Query()))
			Expect(list.First).To(Equal(seen + 1))
			seen += len(list.Rows)
			Expect(list.Last).To(Equal(seen))
			next = list.Next
		}
		Expect(seen).To(Equal(len(many)))
	})
})

var _ = Describe("The events", func() {
	It("have pages that follow each other, the newest first", func() {
		var events []status.Event
		for i := range 2*perPage + 5 {
			events = append(events, status.Event{ID: int64(i + 1), Kind: spec.KindVolume, Name: fmt.Sprint("v", i), Type: status.Changed})
		}
		last, seen, address := int64(len(events)+1), 0, "/events?kind=Volume"
		for address != "" {
			u, err := url.Parse(address)
			Expect(err).NotTo(HaveOccurred())
			var before int64
			_, _ = fmt.Sscan(u.Query().Get("before"), &before)
			list := eventsOf(events, spec.Kind(u.Query().Get("kind")), "", before)
			for _, row := range list.Rows {
				Expect(row.Event.ID).To(Equal(last - 1))
				last--
				seen++
			}
			address = list.Older
		}
		Expect(seen).To(Equal(len(events)))
		Expect(eventsOf(events, "", "volume/v17", 0).Total).To(Equal(11), "v17 and v170 to v179")
	})
})

var _ = Describe("A pool", func() {
	It("is drawn with one scale, and says what nobody knows", func() {
		trashed := volume("t", status.Deleting, status.ReasonInTrash, "")
		trashed.Volume.DeletedAt = time.Now()
		live := volume("v", status.Ready, "", "")
		live.Volume.Allocated, live.Volume.Active = 50, true
		pools := poolsOf([]status.Object{live, trashed, {Kind: spec.KindPool, Name: "fast", Pool: &status.Pool{
			ThinPool: "p", Size: 100, Free: 4, DataPercent: 96, MetadataPercent: 10, Provisioned: 200, ProvisionedAfter: 200}}})
		Expect(pools).To(HaveLen(1))
		p := pools[0]
		Expect(p.Pressure()).To(Equal("Nearly full"))
		widths := map[string]int{}
		for _, b := range p.Bars {
			widths[b.Name] = b.Width
			if b.Name != "Metadata" {
				Expect(b.Mark).To(Equal(500), b.Name)
			}
		}
		Expect(widths).To(Equal(map[string]int{"Allocated": 480, "Provisioned": 1000, "Volumes": 250, "Snapshots": 0, "Trash": 0, "Metadata": 100}))
		Expect(p.Trash.describe("object")).To(Equal("unknown, 1 object"))
		Expect(p.warning()).To(ContainSubstring("96.0% of the thin pool"))
	})
	It("without thin volumes is as full as its volume group", func() {
		p := status.Pool{VolumeGroup: "vg", Size: 200, Free: 30}
		Expect(usedPercent(p)).To(Equal(85.0))
		Expect(usedPercent(status.Pool{ThinPool: "p", UsageUnknown: true, Size: 5})).To(BeZero())
	})
})

var _ = Describe("Texts", func() {
	DescribeTable("are short", func(got, want string) { Expect(got).To(Equal(want)) },
		Entry(nil, formatBytes(20<<30), "20Gi"), Entry(nil, formatBytes(1500), "1.5Ki"), Entry(nil, formatBytes(7), "7 B"),
		Entry(nil, formatPercent(99.99), "99.9%"), Entry(nil, formatPercent(100), "100.0%"),
		Entry(nil, digits(1234567), "1,234,567"), Entry(nil, digits(999), "999"), Entry(nil, count(1, "LUN"), "1 LUN"), Entry(nil, count(1000, "LUN"), "1,000 LUNs"),
		Entry(nil, clip(3, "äöüß"), "äöü…"), Entry(nil, clip(4, "äöüß"), "äöüß"), Entry(nil, visible("a\x1b\u202eb\n"), "a\ufffd\ufffdb\n"),
		Entry(nil, age(time.Unix(100000, 0), time.Unix(99000, 0)), "16m"), Entry(nil, age(time.Unix(100000, 0), time.Time{}), ""),
	)
})
