package image

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
)

// Checksum is what a file must hash to. It is of the file as it lies there or is
// downloaded: of a compressed image, of the compressed file. The zero
// Checksum is none.
type Checksum struct {
	// Algorithm is sha256 or sha512.
	Algorithm string
	// Hex is the sum in lower-case hexadecimal digits.
	Hex string
}

// SHA256 and SHA512 are the algorithms.
const (
	SHA256 = "sha256"
	SHA512 = "sha512"
)

// ParseChecksum reads the digits of a checksum as sha256sum and sha512sum print them.
func ParseChecksum(algorithm, digits string) (Checksum, error) {
	c := Checksum{Algorithm: algorithm, Hex: strings.ToLower(digits)}
	var want int
	switch algorithm {
	case SHA256:
		want = sha256.Size
	case SHA512:
		want = sha512.Size
	default:
		return Checksum{}, fmt.Errorf("unknown checksum algorithm %q: use sha256 or sha512", algorithm)
	}
	if b, err := hex.DecodeString(c.Hex); err != nil || len(b) != want {
		return Checksum{}, fmt.Errorf("%q is not a %s: write %d hexadecimal digits", digits, algorithm, 2*want)
	}
	return c, nil
}

// IsZero tells whether there is no checksum.
func (c Checksum) IsZero() bool { return c == Checksum{} }

// String is the checksum as ALGORITHM:DIGITS.
func (c Checksum) String() string {
	if c.IsZero() {
		return ""
	}
	return c.Algorithm + ":" + c.Hex
}

// New returns the hash to compute; sha256 if there is no checksum.
func (c Checksum) New() hash.Hash {
	if c.Algorithm == SHA512 {
		return sha512.New()
	}
	return sha256.New()
}

// Check refuses another sum with [ErrChecksum]. No checksum accepts everything.
func (c Checksum) Check(h hash.Hash) error {
	if c.IsZero() {
		return nil
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != c.Hex {
		return refuse(ErrChecksum, fmt.Sprintf("%s is %s, expected %s", c.Algorithm, got, c.Hex),
			"check the image's publisher and checksum (of the file as downloaded, before decompression)")
	}
	return nil
}
