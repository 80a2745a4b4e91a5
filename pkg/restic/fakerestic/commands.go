package fakerestic

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/volreconciler/volreconciler/pkg/restic"
)

// backup reads what has changed by type, size, mtime, ctime or inode since the parent, and copies the rest from there.
func (f *Restic) backup(ctx context.Context, r *repository, i invocation) error {
	at, err := time.ParseInLocation("2006-01-02 15:04:05", i.last("--time"), time.UTC)
	if err != nil {
		return failure{1, "Fatal: " + err.Error()}
	}
	before := map[string]node{}
	if id := i.last("--parent"); id != "" {
		f.mu.Lock()
		parent := r.find(id)
		f.mu.Unlock()
		if parent == nil {
			return failure{1, fmt.Sprintf("Fatal: invalid id %q: no matching ID found for prefix %q", id, id)}
		}
		for _, n := range parent.nodes {
			before[n.path] = n
		}
	}
	s := &snapshot{Snapshot: restic.Snapshot{Time: at, Host: i.last("--host"), Tags: slices.Clone(i.flags["--tag"]), Paths: []string{i.dir}}}
	incomplete, err := f.read(ctx, i, s, before)
	if err != nil {
		return err
	}
	var processed, added int64
	for _, n := range s.nodes {
		processed += n.size
		if old, ok := before[n.path]; !ok || string(old.content) != string(n.content) {
			added += n.size
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.full && added > 0 {
		return failure{1, "Fatal: unable to save snapshot: write data/00: no space left on device"}
	}
	s.ID = r.newID(s)
	r.snapshots = append(r.snapshots, s)
	shown := s.ID
	if !f.New {
		shown = s.ID[:8]
	}
	line, err := json.Marshal(map[string]any{"message_type": "summary", "snapshot_id": shown, "data_added": added, "total_bytes_processed": processed})
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(i.stdout, "%s\n", line)
	if incomplete {
		return failure{3, "Warning: at least one source file could not be read"}
	}
	return nil
}

// read walks over the directory in the order of names.
func (f *Restic) read(ctx context.Context, i invocation, s *snapshot, before map[string]node) (incomplete bool, err error) {
	files := 0
	err = filepath.WalkDir(i.dir, func(path string, _ fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return killed{syscall.EINTR} // by SIGINT, which removes the lock
		}
		if err != nil {
			incomplete = true
			return nil //nolint:nilerr // restic goes on
		}
		if path == i.dir {
			return nil
		}
		info, err := os.Lstat(path)
		if err != nil {
			incomplete = true
			return nil //nolint:nilerr // restic goes on
		}
		n := newNode(strings.TrimPrefix(path, i.dir), info)
		if !n.dir {
			if f.takeKill(files) {
				return killed{errors.New("signal: killed")}
			}
			files++
			old, ok := before[n.path]
			if ok && !old.dir && old.size == n.size && old.mtime.Equal(n.mtime) && old.ctime.Equal(n.ctime) && old.inode == n.inode {
				n.content = old.content
			} else if n.content, err = f.readFile(path, n.path); err != nil {
				incomplete = true
				_, _ = fmt.Fprintf(i.stderr, "error: read %s: %v\n", path, err)
				return nil
			}
		}
		s.nodes = append(s.nodes, n)
		return nil
	})
	return incomplete, err
}

// readFile reads a file, unless it is the one that cannot be read this time.
func (f *Restic) readFile(path, name string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.unreadable == name {
		f.unreadable = ""
		return nil, syscall.EIO
	}
	return os.ReadFile(path)
}

func newNode(path string, info fs.FileInfo) node {
	n := node{path: path, dir: info.IsDir(), mtime: info.ModTime()}
	if !n.dir {
		n.size = info.Size()
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		n.inode, n.ctime = st.Ino, time.Unix(st.Ctim.Unix())
	}
	return n
}

// takeKill reports whether this is where the program is to be killed.
func (f *Restic) takeKill(files int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.killAt < 0 || files < f.killAt {
		return false
	}
	f.killAt = -1
	return true
}

func (f *Restic) snapshots(_ context.Context, r *repository, i invocation) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	found := []restic.Snapshot{}
	for _, s := range r.snapshots {
		if wanted := i.last("--tag"); wanted == "" || hasAll(s.Tags, strings.Split(wanted, ",")) {
			found = append(found, s.Snapshot)
		}
	}
	return json.NewEncoder(i.stdout).Encode(found)
}

func hasAll(tags, wanted []string) bool {
	return !slices.ContainsFunc(wanted, func(w string) bool { return !slices.Contains(tags, w) })
}

// dump writes a file, or what is in a directory as a tar stream.
func (f *Restic) dump(ctx context.Context, r *repository, i invocation) error {
	f.mu.Lock()
	s := r.find(i.names[0])
	f.mu.Unlock()
	if s == nil {
		return failure{1, fmt.Sprintf("invalid id %q: no matching ID found for prefix %q", i.names[0], i.names[0])}
	}
	under := strings.TrimSuffix(i.names[1], "/") + "/"
	found := under == "/"
	archive := tar.NewWriter(i.stdout)
	for _, n := range s.nodes {
		if ctx.Err() != nil {
			return killed{syscall.EINTR}
		}
		if n.path == i.names[1] {
			if !n.dir {
				_, err := i.stdout.Write(n.content)
				return err
			}
			found = true
		}
		if strings.HasPrefix(n.path, under) {
			if err := writeTar(archive, n); err != nil {
				return err
			}
		}
	}
	if !found {
		return failure{1, fmt.Sprintf("Fatal: cannot dump file: path %q not found in snapshot", i.names[1])}
	}
	return archive.Close()
}

func writeTar(archive *tar.Writer, n node) error {
	header := tar.Header{Name: strings.TrimPrefix(n.path, "/"), Mode: 0o400, ModTime: n.mtime, Size: n.size, Typeflag: tar.TypeReg}
	if n.dir {
		header.Name, header.Typeflag = header.Name+"/", tar.TypeDir
	}
	if err := archive.WriteHeader(&header); err != nil {
		return err
	}
	_, err := archive.Write(n.content)
	return err
}

func (f *Restic) forget(_ context.Context, r *repository, i invocation) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range i.names {
		s := r.find(id)
		if s == nil {
			_, _ = fmt.Fprintf(i.stderr, "Ignoring %q: no matching ID found for prefix %q\n", id, id)
			continue
		}
		r.snapshots = slices.DeleteFunc(r.snapshots, func(o *snapshot) bool { return o == s })
	}
	return nil
}

func (f *Restic) prune(context.Context, *repository, invocation) error {
	if f.takeKill(1 << 30) {
		return killed{errors.New("signal: killed")}
	}
	return nil
}

func (f *Restic) check(_ context.Context, r *repository, _ invocation) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.damaged {
		return failure{1, "Fatal: repository contains errors"}
	}
	return nil
}

func (f *Restic) stats(_ context.Context, r *repository, i invocation) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var size restic.Size
	for _, s := range r.snapshots {
		for _, n := range s.nodes {
			size.Bytes, size.Blobs = size.Bytes+n.size, size.Blobs+1
		}
	}
	return json.NewEncoder(i.stdout).Encode(size)
}

// last is the last value of a flag, or empty.
func (i invocation) last(flag string) string {
	values := i.flags[flag]
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}
