package format

import (
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/cespare/xxhash/v2"
)

// digestsHeader is the first line. It is as long as the others, so that every line can be made by itself.
var digestsHeader = fmt.Sprintf("%-*s\n", digestLine-1, "volreconciler digests 1 xxh64")

// digestLine is the length of a line: a digest, two spaces, the path of a slice.
const digestLine = 16 + 2 + nameLength + 1 + nameLength + 1

// DigestsSize is the size of the file digests. It does not depend on the digests.
func (x *Index) DigestsSize() int64 { return int64(len(x.Present)+1) * digestLine }

// ReadDigests fills b with what the file digests has at an offset, and returns how much that is.
func (x *Index) ReadDigests(b []byte, offset int64) int {
	n := 0
	for n < len(b) && offset < x.DigestsSize() {
		m := copy(b[n:], x.digestLine(int(offset / digestLine))[offset%digestLine:])
		n, offset = n+m, offset+int64(m)
	}
	return n
}

func (x *Index) digestLine(line int) string {
	if line == 0 {
		return digestsHeader
	}
	return fmt.Sprintf("%016x  %s\n", x.Digests[line-1], x.Path(int(x.Present[line-1])))
}

// DigestList is a file digests that was read before its slices were known: digests comes before times in
// the order of names.
type DigestList struct {
	sums []uint64
	text uint64 // the hash of the whole file
}

// ReadDigestList reads a file digests of at most size bytes.
func ReadDigestList(r io.Reader, size int64) (DigestList, error) {
	var list DigestList
	if size%digestLine != 0 || size < digestLine || size/digestLine > MaxSize/largeSlice+1 {
		return list, fmt.Errorf("digests: a size of %d bytes is not possible", size)
	}
	text, line := xxhash.New(), make([]byte, digestLine)
	for i := range size / digestLine {
		if _, err := io.ReadFull(r, line); err != nil {
			return list, fmt.Errorf("digests, line %d: %w", i+1, noEnd(err))
		}
		_, _ = text.Write(line)
		if i == 0 {
			continue
		}
		sum, err := strconv.ParseUint(string(line[:16]), 16, 64)
		if err != nil {
			return list, fmt.Errorf("digests, line %d: not a digest", i+1)
		}
		list.sums = append(list.sums, sum)
	}
	list.text = text.Sum64()
	return list, nil
}

// SetDigests sets the digests of a list. It refuses one that is not, byte by byte, what ReadDigests
// gives for the slices of the index.
func (x *Index) SetDigests(list DigestList) error {
	if len(list.sums) != len(x.Present) {
		return fmt.Errorf("digests: %d lines for %d slices", len(list.sums), len(x.Present))
	}
	x.Digests = list.sums
	text := xxhash.New()
	for line := range len(x.Present) + 1 {
		_, _ = text.WriteString(x.digestLine(line))
	}
	if text.Sum64() != list.text {
		return errors.New("digests: not of the slices in times")
	}
	return nil
}

func noEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
