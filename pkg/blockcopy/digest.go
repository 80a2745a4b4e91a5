package blockcopy

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"

	"github.com/cespare/xxhash/v2"
)

// zeroSum is the hash of a whole block of zeroes.
var zeroSum = func() uint64 {
	h := xxhash.New()
	for range blockSize / grain {
		_, _ = h.Write(zeroes[:])
	}
	return h.Sum64()
}()

// digest combines the hashes of blocks in the order of their offsets.
type digest struct{ h hash.Hash }

func newDigest() *digest { return &digest{h: sha256.New()} }

// add adds n blocks that all have the same hash.
func (d *digest) add(sum uint64, n int64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], sum)
	for range n {
		_, _ = d.h.Write(b[:])
	}
}

// text ends the digest. "b1" names the definition: SHA-256 over the XXH64 of
// every MiB and the size, all big-endian.
func (d *digest) text(size int64) string {
	d.add(uint64(size), 1)
	return "b1:" + hex.EncodeToString(d.h.Sum(nil))
}

// Digest reads the first size bytes of a block device or regular file and returns
// the digest that a [Copy] with this content as its source returns. Equal digests
// mean equal content: it finds every accident, but XXH64 is no defence against
// somebody who makes two contents on purpose.
func Digest(ctx context.Context, path string, size int64, limit *Limiter) (string, error) {
	return Reading{Path: path, Size: size, Limit: limit}.Digest(ctx)
}

// Reading is a [Digest] that tells how far it is.
type Reading struct {
	Path string
	// UUID is as SourceUUID in [Copy].
	UUID string
	Size int64
	// Limit and Progress are those of [Copy]. Nothing is written, so the rate is 0.
	Limit    *Limiter
	Progress func(Progress)
}

// Digest reads, and returns the digest.
func (r Reading) Digest(ctx context.Context) (string, error) {
	source, err := openSized(r.Path, r.UUID, reading, r.Size)
	if err != nil {
		return "", err
	}
	defer source.close()
	e := &engine{size: r.Size, limit: r.Limit, take: dataSpans(source, r.Size, 0, blockSize), progress: r.Progress}
	blocks := &reader{source: source}
	e.work = func(ctx context.Context, m *buffers, s span) (outcome, error) {
		out, _, err := blocks.read(ctx, e, m, s)
		return out, err
	}
	result, err := e.run(ctx)
	if err == nil {
		err = source.checkSize(r.Size)
	}
	if err != nil {
		return "", fmt.Errorf("cannot compute the digest of %s: %w", r.Path, err)
	}
	return result.Digest, nil
}
