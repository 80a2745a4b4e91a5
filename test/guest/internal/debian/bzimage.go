package debian

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os/exec"
)

// sizeTrailer is what the kernel's build appends to its compressed image: the
// size of what is in it, 32 bits. zstd takes it for more input, and fails.
const sizeTrailer = 4

// decompressors read standard input and are found by the first bytes of what
// they unpack.
var decompressors = []struct {
	magic string
	argv  []string
}{
	{"\xfd7zXZ\x00", []string{"xz", "-dc", "--single-stream"}},
	{"\x28\xb5\x2f\xfd", []string{"zstd", "-dcq"}},
}

// decompressKernel unpacks the kernel proper of a bzImage.
func decompressKernel(ctx context.Context, image []byte) ([]byte, error) {
	payload, err := kernelPayload(image)
	if err != nil {
		return nil, err
	}
	payload = payload[:max(0, len(payload)-sizeTrailer)]
	for _, d := range decompressors {
		if !bytes.HasPrefix(payload, []byte(d.magic)) {
			continue
		}
		var kernel, stderr bytes.Buffer
		cmd := exec.CommandContext(ctx, d.argv[0], d.argv[1:]...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(payload), &kernel, &stderr
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("unpack the kernel: %s: %w\n%s", d.argv[0], err, stderr.String())
		}
		return kernel.Bytes(), nil
	}
	return nil, fmt.Errorf("unpack the kernel: unknown compression % x", payload[:min(len(payload), 6)])
}

// kernelPayload finds the compressed kernel in a bzImage by the header that the
// x86 boot protocol (version 2.08 and up) describes.
func kernelPayload(image []byte) ([]byte, error) {
	const header, end = 0x1f1, 0x250
	if len(image) < end || string(image[0x202:0x206]) != "HdrS" {
		return nil, errors.New("not a bzImage")
	}
	setupSectors := int(image[header])
	if setupSectors == 0 {
		setupSectors = 4
	}
	start := (setupSectors+1)*512 + int(binary.LittleEndian.Uint32(image[0x248:]))
	size := int(binary.LittleEndian.Uint32(image[0x24c:]))
	if start+size > len(image) {
		return nil, errors.New("truncated bzImage")
	}
	return image[start : start+size], nil
}
