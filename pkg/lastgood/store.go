package lastgood

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/volreconciler/volreconciler/pkg/durable"
	"github.com/volreconciler/volreconciler/pkg/safepath"
)

const (
	// version is that of the files. Others are not read.
	version = 1
	// maxText is how much text is kept in all, and maxFile how large a file may be that is read:
	// in one, a text of the largest spec file may take six times as much.
	maxText = 64 << 20
	maxFile = 8 << 20
	// manyFiles is from how many files on one flush of the file system is cheaper than one each.
	manyFiles = 16
)

// Store keeps texts in a directory of its own, a file each. It is for one goroutine.
type Store struct {
	dir      string
	readOnly bool
	maxText  int64
	// files are those in the directory, by their names.
	files map[string]file
}

// file is what is kept of one file; of what cannot be understood it is nothing.
type file struct {
	path   string
	digest [sha256.Size]byte
	size   int64
}

// content is what is in a file.
type content struct {
	Version int    `json:"version"`
	File    string `json:"file"`
	SHA256  string `json:"sha256"`
	Text    string `json:"text"`
}

// New returns the store in a directory, which need not exist.
func New(dir string) *Store { return &Store{dir: dir, maxText: maxText} }

// ReadOnly returns a store in which nothing is changed.
func ReadOnly(dir string) *Store {
	s := New(dir)
	s.readOnly = true
	return s
}

// Kept returns the texts that are kept, by the paths of their files. It must be called once, and
// before Keep.
func (s *Store) Kept() (map[string][]byte, error) {
	texts := map[string][]byte{}
	s.files = map[string]file{}
	if err := safepath.CheckDir(s.dir); errors.Is(err, fs.ErrNotExist) {
		return texts, nil
	} else if err != nil {
		return texts, err
	}
	names, err := os.ReadDir(s.dir)
	if err != nil {
		return texts, err
	}
	for _, name := range names {
		s.files[name.Name()] = file{}
		if c, whole := s.read(name.Name()); whole {
			s.files[name.Name()] = file{c.File, sha256.Sum256([]byte(c.Text)), int64(len(c.Text))}
			texts[c.File] = []byte(c.Text)
		}
	}
	return texts, nil
}

// read reads one of the files. It reports false if it is not as it was written.
func (s *Store) read(name string) (content, bool) {
	var c content
	f, err := safepath.OpenFile(filepath.Join(s.dir, name), os.O_RDONLY, 0)
	if err != nil {
		return c, false
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil || json.Unmarshal(data, &c) != nil {
		return c, false
	}
	sum := sha256.Sum256([]byte(c.Text))
	return c, c.Version == version && c.SHA256 == hex.EncodeToString(sum[:]) && name == nameOf(c.File)
}

// nameOf is the name under which a file is kept.
func nameOf(path string) string {
	sum := sha256.Sum256([]byte(path))
	return hex.EncodeToString(sum[:16]) + ".json"
}

// Keep keeps the texts of files, by their paths, where nil stands for the one that is kept, and
// what is kept of the files in stay. All else is removed. Only what has changed is written. After an
// error it must be called again with the same texts; what was kept by then is not written anew.
func (s *Store) Keep(texts map[string][]byte, stay map[string]bool) error {
	if s.readOnly {
		return nil
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(s.files)) {
		path := s.files[name].path
		if _, wanted := texts[path]; path == "" || !wanted && !stay[path] {
			errs = append(errs, s.remove(name))
		}
	}
	changed := map[string]content{} // by name
	for path, text := range texts {
		if text == nil {
			continue
		}
		if sum := sha256.Sum256(text); s.files[nameOf(path)].digest != sum {
			changed[nameOf(path)] = content{version, path, hex.EncodeToString(sum[:]), string(text)}
		}
	}
	if len(changed) > 0 {
		errs = append(errs, s.write(changed))
	}
	return errors.Join(errs...)
}

// write writes files, each in one step, so that a crash leaves the old or the new one.
func (s *Store) write(changed map[string]content) error {
	if err := safepath.MakeDir(s.dir); err != nil {
		return err
	}
	tooMuch := s.dropExcess(changed)
	written := map[string]string{} // temporary names
	defer func() {
		for _, temporary := range written {
			_ = os.Remove(temporary)
		}
	}()
	for _, name := range slices.Sorted(maps.Keys(changed)) {
		temporary, err := s.writeOne(changed[name], len(changed) < manyFiles)
		if err != nil {
			return err
		}
		written[name] = temporary
	}
	if len(changed) >= manyFiles {
		if err := syncAll(s.dir); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(changed)) {
		if err := os.Rename(written[name], filepath.Join(s.dir, name)); err != nil {
			return err
		}
		c := changed[name]
		s.files[name] = file{c.File, sha256.Sum256([]byte(c.Text)), int64(len(c.Text))}
		delete(written, name)
	}
	return errors.Join(tooMuch, durable.SyncDir(s.dir))
}

// dropExcess takes out what there is no room for. What such a file said before is not kept either:
// it is not the last.
func (s *Store) dropExcess(changed map[string]content) error {
	var total int64
	for name, f := range s.files {
		if _, replaced := changed[name]; !replaced {
			total += f.size
		}
	}
	var excess []string
	for _, name := range slices.Sorted(maps.Keys(changed)) {
		if size := int64(len(changed[name].Text)); total+size <= s.maxText {
			total += size
			continue
		}
		excess = append(excess, changed[name].File)
		delete(changed, name)
		if err := s.remove(name); err != nil {
			return err
		}
	}
	if len(excess) == 0 {
		return nil
	}
	return fmt.Errorf("the store is limited to %dMi; files that do not fit: %d, for example %s", s.maxText>>20, len(excess), excess[0])
}

// writeOne writes a file under a temporary name, and returns that.
func (s *Store) writeOne(c content, flush bool) (temporary string, err error) {
	data, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp(s.dir, "*.tmp") // 0600
	if err != nil {
		return "", err
	}
	_, err = f.Write(append(data, '\n'))
	if flush {
		err = errors.Join(err, f.Sync())
	}
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

func (s *Store) remove(name string) error {
	if err := os.Remove(filepath.Join(s.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	delete(s.files, name)
	return nil
}

// syncAll has all that was written to the file system of a directory reach its device.
func syncAll(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return unix.Syncfs(int(f.Fd()))
}
