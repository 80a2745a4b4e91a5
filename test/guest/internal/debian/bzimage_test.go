package debian

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os/exec"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// bzImage is a kernel image with one setup sector and the payload right after.
func bzImage(payload string) []byte {
	image := make([]byte, 1024, 1024+len(payload))
	image[0x1f1] = 1
	copy(image[0x202:], "HdrS")
	binary.LittleEndian.PutUint32(image[0x24c:], uint32(len(payload)))
	return append(image, payload...)
}

var _ = Describe("the kernel image", func() {
	It("has its payload where the header says", func() {
		Expect(kernelPayload(bzImage("payload"))).To(Equal([]byte("payload")))
	})

	DescribeTable("is refused",
		func(image []byte, reason string) {
			_, err := kernelPayload(image)
			Expect(err).To(MatchError(ContainSubstring(reason)))
		},
		Entry("when it is none", []byte("\x7fELF"), "not a bzImage"),
		Entry("when it lacks the header", make([]byte, 4096), "not a bzImage"),
		Entry("when it is cut off", bzImage("payload")[:1028], "truncated"),
	)

	DescribeTable("is unpacked up to the size that follows it",
		func(ctx SpecContext, argv ...string) {
			var payload bytes.Buffer
			compress := exec.CommandContext(ctx, argv[0], argv[1:]...)
			compress.Stdin, compress.Stdout = strings.NewReader("the kernel proper"), &payload
			if err := compress.Run(); errors.Is(err, exec.ErrNotFound) {
				Skip(err.Error())
			} else {
				Expect(err).NotTo(HaveOccurred())
			}
			payload.WriteString("\x11\x00\x00\x00")
			Expect(decompressKernel(ctx, bzImage(payload.String()))).To(Equal([]byte("the kernel proper")))
		},
		Entry("from xz", "xz", "-c", "--check=crc32"),
		Entry("from zstd", "zstd", "-cq"),
	)

	It("is refused when nobody knows its compression", func(ctx SpecContext) {
		_, err := decompressKernel(ctx, bzImage("unknown"))
		Expect(err).To(MatchError(ContainSubstring("unknown compression")))
	})
})
