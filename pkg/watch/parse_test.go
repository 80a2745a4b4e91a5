package watch

import (
	"encoding/binary"
	"strings"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = DescribeTable("Uevents",
	func(message string, expected uevent, ok bool) {
		got, parsed := parseUevent([]byte(strings.ReplaceAll(message, " ", "\x00")))
		Expect(parsed).To(Equal(ok))
		Expect(got).To(Equal(expected))
	},
	Entry("a disk", "add@/devices/virtual/block/dm-3 ACTION=add DEVPATH=/devices/virtual/block/dm-3 SUBSYSTEM=block MAJOR=253 MINOR=3 DEVNAME=dm-3 DEVTYPE=disk SEQNUM=9 ",
		uevent{action: "add", subsystem: "block", name: "dm-3"}, true),
	Entry("of an old kernel", "change@/block/sda SUBSYSTEM=block DEVNAME=/dev/sda ",
		uevent{action: "change", subsystem: "block", name: "sda"}, true),
	Entry("a device in a directory", "remove@/x SUBSYSTEM=block DEVNAME=cciss/c0d0 ",
		uevent{action: "remove", subsystem: "block", name: "cciss/c0d0"}, true),
	Entry("a module", "add@/module/nvmet ACTION=add DEVPATH=/module/nvmet SUBSYSTEM=module SEQNUM=9 ",
		uevent{action: "add", subsystem: "module"}, true),
	Entry("of udev", "libudev \xfe\xed\xca\xfe SUBSYSTEM=block DEVNAME=/dev/sda ", uevent{}, false),
	Entry("without variables", "add@/x", uevent{}, false),
	Entry("nothing", "", uevent{}, false),
)

var _ = Describe("Events of fanotify", func() {
	It("are told from what is none", func() {
		event := make([]byte, 24)
		binary.NativeEndian.PutUint32(event, 24)
		binary.NativeEndian.PutUint16(event[6:], 24)
		binary.NativeEndian.PutUint64(event[8:], 2)
		binary.NativeEndian.PutUint32(event[16:], 7)
		binary.NativeEndian.PutUint32(event[20:], 4711)
		e, length := parseFanotify(event)
		Expect(length).To(Equal(24))
		Expect(e).To(Equal(fanotifyEvent{mask: 2, fd: 7, pid: 4711}))
		binary.NativeEndian.PutUint32(event, 25)
		_, length = parseFanotify(event)
		Expect(length).To(BeZero())
	})
})

func FuzzParseUevent(f *testing.F) {
	f.Add([]byte("add@/devices/virtual/block/dm-3\x00SUBSYSTEM=block\x00DEVNAME=dm-3\x00"))
	f.Add([]byte("libudev\x00\xfe\xed"))
	f.Fuzz(func(t *testing.T, message []byte) {
		if u, ok := parseUevent(message); ok && u.subsystem == "" {
			t.Errorf("%q: no subsystem", message)
		}
	})
}

func FuzzParseFanotify(f *testing.F) {
	f.Add(append(make([]byte, 16), make([]byte, 40)...))
	f.Fuzz(func(t *testing.T, event []byte) {
		if len(event) < 24 {
			return
		}
		if _, length := parseFanotify(event); length != 0 && (length < 24 || length > len(event)) {
			t.Errorf("length %d of %d", length, len(event))
		}
	})
}

func FuzzParseStat(f *testing.F) {
	f.Add("7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 0 12345 1 1")
	f.Fuzz(func(t *testing.T, content string) {
		if s, ok := parseStat(content); ok && !strings.Contains(content, "("+s.command+")") {
			t.Errorf("%q: command %q", content, s.command)
		}
	})
}
