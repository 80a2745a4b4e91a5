package supportbundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"
)

const (
	// partLimit is how long a part may take: a storage that hangs is what bundles are made of.
	partLimit = time.Minute
	// maxPart is how much of a part is kept, in bytes.
	maxPart = 16 << 20
	// errorsFile is the entry with what could not be had.
	errorsFile = "errors.txt"
)

// File is an entry of the archive.
type File struct {
	Name string
	Data []byte
}

// Part is what one look at the node yields.
type Part struct {
	// Name is that of its entry, or of the directory of its entries; About says what it holds.
	Name, About string
	// Read returns the entries, also those that it has if there is an error. So far has the entries of the
	// parts before it. It is not waited for beyond a limit, so it must share nothing that changes.
	Read func(ctx context.Context, soFar func(name string) []byte) ([]File, error)
}

// Write reads the parts one after the other, and writes a compressed tar file with all entries in a directory.
// It returns how many parts are incomplete, or why the archive cannot be written.
func Write(ctx context.Context, w io.Writer, dir string, now time.Time, parts []Part) (incomplete int, err error) {
	a := &archive{dir: dir, at: now, entries: map[string][]byte{}}
	compressed := gzip.NewWriter(w)
	a.tar = tar.NewWriter(compressed)
	for _, p := range parts {
		files, err := p.readInTime(ctx, a.entries)
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if err != nil {
			incomplete++
			a.note(p.Name, err)
		}
		for _, f := range files {
			if err := a.add(f); err != nil {
				return incomplete, err
			}
		}
	}
	if len(a.errors) > 0 {
		if err := a.add(File{errorsFile, []byte(strings.Join(a.errors, ""))}); err != nil {
			return incomplete, err
		}
	}
	if err := a.tar.Close(); err != nil {
		return incomplete, err
	}
	return incomplete, compressed.Close()
}

// readInTime reads a part. One that takes too long is left behind.
func (p Part) readInTime(ctx context.Context, entries map[string][]byte) ([]File, error) {
	ctx, cancel := context.WithTimeout(ctx, partLimit)
	defer cancel()
	type result struct {
		files []File
		err   error
	}
	before := make(map[string][]byte, len(entries))
	for name, data := range entries {
		before[name] = data
	}
	done := make(chan result, 1)
	go func() {
		files, err := p.Read(ctx, func(name string) []byte { return before[name] })
		done <- result{files, err}
	}()
	select {
	case r := <-done:
		return r.files, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("not read, because it takes longer than %s", partLimit)
	}
}

type archive struct {
	tar     *tar.Writer
	dir     string
	at      time.Time
	entries map[string][]byte
	errors  []string
}

// note adds a line to the errors.
func (a *archive) note(name string, err error) {
	text := strings.Join(strings.Fields(Text(err.Error())), " ")
	a.errors = append(a.errors, name+": "+text+"\n")
}

// add adds an entry. Of one that is too long the end is kept, which is the latest of a log.
func (a *archive) add(f File) error {
	if len(f.Data) > maxPart {
		a.note(f.Name, fmt.Errorf("only the last %d of %d bytes are kept", maxPart, len(f.Data)))
		f.Data = bytes.ToValidUTF8(slices.Clone(f.Data[len(f.Data)-maxPart:]), nil)
	}
	a.entries[f.Name] = f.Data
	header := &tar.Header{Name: path.Join(a.dir, path.Join("/", f.Name)), Mode: 0o600, Size: int64(len(f.Data)), ModTime: a.at, Format: tar.FormatPAX}
	if err := a.tar.WriteHeader(header); err != nil {
		return err
	}
	_, err := a.tar.Write(f.Data)
	return err
}
