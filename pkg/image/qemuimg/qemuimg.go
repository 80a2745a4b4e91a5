// Package qemuimg has qemu-img look at images, copies them to devices, and has it make
// images of devices.
//
// What lies in an image as it is, is copied by package blockcopy: qemu-img says where it lies,
// see map.go. The rest is copied by qemu-img.
//
// qemu-img reads only what package image has accepted before, and then under these
// rules. The driver of every layer is named, so that it never probes. Files
// and devices are handed over as descriptors that were opened here, so that nothing
// can be exchanged meanwhile. Backing files are switched off. It runs in a child
// process with limits for memory, processor time and open files. That process is killed
// with its process group when it is no longer wanted, and by the kernel
// when the agent dies.
//
// Start reading at [Tool.Check]. It turns a file into a [Source], and only a Source can be converted.
package qemuimg

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/volreconciler/volreconciler/pkg/image"
	"github.com/volreconciler/volreconciler/pkg/image/internal/limited"
)

// Tool runs qemu-img. The zero Tool is ready for use.
type Tool struct {
	// Path of the program; by default qemu-img is looked for in the usual
	// places.
	Path string
	// CheckTimeout is how long reading a header, or a map, may take; by default 30 seconds.
	CheckTimeout time.Duration
}

func (t Tool) argv(args ...string) []string {
	path := t.Path
	if path == "" {
		path = "qemu-img"
	}
	return append([]string{path}, args...)
}

// Source is an image that was inspected and confirmed.
type Source struct {
	file   *image.File
	header image.Header
}

// Header is what was found.
func (s Source) Header() image.Header { return s.header }

// Reading a header takes qemu-img some 20 ms and 11 MiB. An image that makes it use a
// thousand times more is not one (the limits are those that OpenStack uses).
const (
	checkMemory  = 1 << 30
	checkCPU     = 30 * time.Second
	checkOutput  = 1 << 20
	openFiles    = 128
	checkTimeout = 30 * time.Second
)

// Check inspects an image with our own parser, refuses it if its disk is larger
// than volume bytes (0: any size), and has qemu-img confirm what was found. wanted
// may be [image.Detect]; the format that the Source has is pinned. The file must
// stay open as long as the Source is used.
//
// An image that is refused is an [image.ErrRefused].
func (t Tool) Check(ctx context.Context, f *image.File, wanted image.Format, volume int64) (Source, error) {
	h, err := f.Inspect(wanted)
	if err != nil {
		return Source{}, err
	}
	if volume > 0 {
		if err := h.CheckFits(volume); err != nil {
			return Source{}, fmt.Errorf("%s: %w", f.Path(), err)
		}
	}
	out, err := t.info(ctx, f, h.Format)
	if err != nil {
		return Source{}, fmt.Errorf("%s: %w", f.Path(), err)
	}
	if err := out.checkHeader(h); err != nil {
		return Source{}, fmt.Errorf("%s: %w", f.Path(), err)
	}
	return Source{file: f, header: h}, nil
}

// sourceNode is an image on descriptor 3, as qemu's json: pseudo-protocol has it.
// Unlike --image-opts it can say "no backing file": null.
func sourceNode(format image.Format, noBacking bool) map[string]any {
	node := map[string]any{
		"driver":    string(format),
		"read-only": true,
		"file":      map[string]any{"driver": "file", "filename": "/proc/self/fd/3", "read-only": true},
	}
	if format == image.QCOW2 && noBacking {
		node["backing"] = nil
	}
	return node
}

func jsonName(node map[string]any) string {
	// Marshalling maps of strings, numbers, booleans and nil cannot fail.
	b, _ := json.Marshal(node)
	return "json:" + string(b)
}

// report is what `qemu-img info --output=json` says.
type report struct {
	VirtualSize     int64  `json:"virtual-size"`
	Format          string `json:"format"`
	BackingFilename string `json:"backing-filename"`
	FullBacking     string `json:"full-backing-filename"`
	Encrypted       bool   `json:"encrypted"`
	FormatSpecific  struct {
		Type string `json:"type"`
		Data struct {
			DataFile   string `json:"data-file"`
			Corrupt    bool   `json:"corrupt"`
			CreateType string `json:"create-type"`
			Extents    []struct {
				Filename string `json:"filename"`
			} `json:"extents"`
		} `json:"data"`
	} `json:"format-specific"`
}

// info asks for the header only. info neither opens backing files nor, since the fix
// of CVE-2024-4467, data files; and there are none, or we would not ask.
func (t Tool) info(ctx context.Context, f *image.File, format image.Format) (report, error) {
	out, err := t.ask(ctx, f.File, checkOutput, "info", "--output=json", jsonName(sourceNode(format, false)))
	if err != nil {
		return report{}, err
	}
	var r report
	if err := json.Unmarshal(out, &r); err != nil {
		return report{}, fmt.Errorf("cannot parse the output of qemu-img info: %w", err)
	}
	return r, nil
}

// ask runs qemu-img on an image, which is its descriptor 3, and returns what it prints.
func (t Tool) ask(ctx context.Context, f *os.File, most int, args ...string) ([]byte, error) {
	timeout := t.CheckTimeout
	if timeout <= 0 {
		timeout = checkTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %v", timeout))
	defer cancel()
	out := &bounded{max: most}
	err := limited.Run(ctx, limited.Command{
		Limits: limited.Limits{Memory: checkMemory, CPU: checkCPU, Files: openFiles},
		Argv:   t.argv(args...),
		Files:  []*os.File{f},
		Stdout: out,
	})
	return out.b.Bytes(), errors.Join(out.err, err)
}

func (r report) checkHeader(h image.Header) error {
	var detail string
	data := r.FormatSpecific.Data
	switch {
	case r.Format != string(h.Format):
		detail = fmt.Sprintf("format %q, but volreconciler detects %q", r.Format, h.Format)
	case r.VirtualSize != h.VirtualSize:
		detail = fmt.Sprintf("a disk of %d bytes, but volreconciler detects %d", r.VirtualSize, h.VirtualSize)
	case r.BackingFilename != "" || r.FullBacking != "":
		detail = "a backing file"
	case data.DataFile != "":
		detail = "an external data file"
	case r.Encrypted:
		detail = "encryption"
	case data.Corrupt:
		detail = "marked as corrupt"
	case data.CreateType != h.Variant:
		detail = fmt.Sprintf("type %q, but volreconciler detects %q", data.CreateType, h.Variant)
	case h.Format == image.VMDK && (len(data.Extents) != 1 || data.Extents[0].Filename != "/proc/self/fd/3"):
		detail = strconv.Itoa(len(data.Extents)) + " extents, or one in another file"
	default:
		return nil
	}
	return &image.Refusal{Reason: image.ErrDisagreement, Detail: "it finds " + detail, Advice: "do not use this image: it is damaged or malicious"}
}

// bounded keeps what is printed, up to a limit.
type bounded struct {
	b   bytes.Buffer
	max int
	err error
}

func (w *bounded) Write(p []byte) (int, error) {
	if w.b.Len()+len(p) > w.max {
		w.err = fmt.Errorf("qemu-img printed more than %d bytes", w.max)
		return 0, w.err
	}
	return w.b.Write(p)
}
