package device

import (
	"context"
	"io/fs"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host"
)

// node has the active logical volume vg0/db, without the link to it until somebody runs
// vgmknodes.
type node struct {
	host.Host
	mu     sync.Mutex
	linked bool
	leads  string
	works  bool
	ran    []string
}

func (n *node) Run(_ context.Context, argv ...string) (host.Output, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ran = append(n.ran, strings.Join(argv, " "))
	n.linked = n.works
	return host.Output{}, nil
}

func (n *node) Readlink(link string) (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if link == "/dev/vg0/db" && n.linked {
		return n.leads, nil
	}
	return "", fs.ErrNotExist
}

func (*node) ReadFile(file string) ([]byte, error) {
	switch file {
	case "/sys/class/block/dm-3/dm/name":
		return []byte("vg0-db\n"), nil
	case "/sys/class/block/dm-3/dm/uuid":
		return []byte("LVM-0123456789abcdefghijklmnopqrstuvNgKyJa8gzQlUek5xemjYFoJLBcOE6weK\n"), nil
	}
	return nil, fs.ErrNotExist
}

type named struct {
	fs.DirEntry
	name string
}

func (n named) Name() string { return n.name }

func (*node) ReadDir(string) ([]fs.DirEntry, error) {
	return []fs.DirEntry{named{name: "sda"}, named{name: "dm-3"}}, nil
}

var _ = Describe("a link that udev does not make", func() {
	BeforeEach(func() {
		was, pause := wait, patience
		wait, patience = 200*time.Millisecond, 50*time.Millisecond
		DeferCleanup(func() { wait, patience = was, pause })
	})
	DescribeTable("is made by LVM, with the others of the volume group", func(ctx SpecContext, leads string) {
		n := &node{works: true, leads: leads}
		Expect(Find(ctx, n, "/dev/vg0/db")).To(Equal(Volume{BlockDevice: "dm-3", UUID: "NgKyJa8gzQlUek5xemjYFoJLBcOE6weK"}))
		Expect(n.ran).To(Equal([]string{"lvm vgmknodes vg0"}))
	},
		Entry("as udev makes it", "../dm-3"),
		Entry("as LVM makes it", "/dev/mapper/vg0-db"),
	)
	It("is missed if LVM does not either", func(ctx SpecContext) {
		n := &node{}
		_, err := Find(ctx, n, "/dev/vg0/db")
		Expect(err).To(MatchError(ContainSubstring("though the logical volume is active")))
		Expect(n.ran).To(HaveLen(1))
	})
	It("is not asked for of what is not active", func(ctx SpecContext) {
		n := &node{works: true}
		_, err := Find(ctx, n, "/dev/vg0/other")
		Expect(err).To(MatchError(change.ErrStale))
		Expect(n.ran).To(BeEmpty())
	})
})

var _ = Describe("the logical volume behind a device", func() {
	const (
		vg = "0123456789abcdefghijklmnopqrstuv"
		lv = "NgKyJa8gzQlUek5xemjYFoJLBcOE6weK"
	)

	DescribeTable("has a name in device-mapper",
		func(device, want string) { Expect(mapperName(device)).To(Equal(want)) },
		Entry("plain", "/dev/vg0/db", "vg0-db"),
		Entry("with dashes", "/dev/my-vg/db-data", "my--vg-db--data"),
	)

	It("has its UUID in that of device-mapper", func() {
		Expect(parseMapperUUID("LVM-" + vg + lv)).To(Equal(lv))
	})

	DescribeTable("is not",
		func(uuid string) {
			_, err := parseMapperUUID(uuid)
			Expect(err).To(MatchError(ContainSubstring("does not belong to a logical volume")))
		},
		Entry("without a UUID", ""),
		Entry("of another tool", "CRYPT-LUKS2-"+vg+lv),
		Entry("an inner layer", "LVM-"+vg+lv+"-real"),
		Entry("too short", "LVM-"+vg),
	)

	DescribeTable("is compared with the one of the plan",
		func(want string, ok bool) {
			err := (Volume{UUID: lv}).Check("/dev/vg0/db", want)
			if ok {
				Expect(err).NotTo(HaveOccurred())
			} else {
				Expect(err).To(MatchError(change.ErrStale))
			}
		},
		Entry("unknown yet", "", true),
		Entry("as LVM writes it", "NgKyJa-8gzQ-lUek-5xem-jYFo-JLBc-OE6weK", true),
		Entry("without dashes", lv, true),
		Entry("another", strings.ToLower(lv), false),
	)
})
