package spec

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// maxSize is the largest size accepted. The kernel has sizes in a signed
// 64-bit number, so neither LVM nor a block device can be larger.
const maxSize Size = math.MaxInt64

// maxPercent is the largest share of a volume group for a thin pool: the pool's
// metadata, and the spare that LVM keeps for repairing it, come out of the same
// volume group.
const maxPercent = 95

const (
	sizeForm = "a whole number with a unit, for example 20Gi or 1500M, or plain bytes" +
		" (K, M, G, T, P, E are powers of 1000; Ki, Mi, Gi, Ti, Pi, Ei powers of 1024)"
	percentForm = "a whole percentage of the volume group from 1% to 95%, like 80%"
)

// unit is a suffix of a size.
type unit struct {
	suffix string
	bytes  Size
}

// binaryUnits returns the powers of 1024, the largest first.
func binaryUnits() []unit {
	return []unit{
		{"Ei", 1 << 60}, {"Pi", 1 << 50}, {"Ti", 1 << 40}, {"Gi", 1 << 30}, {"Mi", 1 << 20}, {"Ki", 1 << 10},
	}
}

// decimalUnits returns the powers of 1000, the largest first.
func decimalUnits() []unit {
	return []unit{{"E", 1e18}, {"P", 1e15}, {"T", 1e12}, {"G", 1e9}, {"M", 1e6}, {"K", 1e3}}
}

// ParseSize reads a size: a whole number of bytes, or of one of the units K, M,
// G, T, P, E (powers of 1000) and Ki, Mi, Gi, Ti, Pi, Ei (powers of 1024).
//
// Zero, signs, fractions, exponents, other bases, leading zeros and digit
// separators are errors, and so is what does not fit: YAML gives some of them a
// meaning of its own (010 is 8), and a size must never be a surprise.
func ParseSize(text string) (Size, error) {
	digits := text[:countDigits(text)]
	suffix := text[len(digits):]
	bytes, known := unitBytes(suffix)
	switch {
	case text == "":
		return 0, errors.New("the size is empty; write " + sizeForm)
	case text[0] == '-':
		return 0, fmt.Errorf("%s is negative; write %s", quote(text), sizeForm)
	case strings.HasPrefix(suffix, ".") && digits != "":
		return 0, fmt.Errorf("%s is a fraction; write %s. Use the next smaller unit, for example 1536Mi for 1.5Gi", quote(text), sizeForm)
	case digits == "" || !known:
		return 0, fmt.Errorf("%s is not a size; write %s", quote(text), sizeForm)
	case len(digits) > 1 && digits[0] == '0':
		return 0, fmt.Errorf("%s has a leading zero, which some programs read as octal; write %s", quote(text), sizeForm)
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || Size(n) > maxSize/bytes {
		return 0, fmt.Errorf("%s is too large; the size must be less than 8Ei (2^63 bytes)", quote(text))
	}
	if n == 0 {
		return 0, fmt.Errorf("%s is not a size; it must be greater than zero", quote(text))
	}
	return Size(n) * bytes, nil
}

// ParseSizeOrPercent reads what [ParseSize] reads, or a whole percentage from
// 1% to 95%.
func ParseSizeOrPercent(text string) (SizeOrPercent, error) {
	digits, isPercent := strings.CutSuffix(text, "%")
	if !isPercent {
		size, err := ParseSize(text)
		if err != nil {
			return SizeOrPercent{}, fmt.Errorf("%w; or %s", err, percentForm)
		}
		return SizeOrPercent{Bytes: size}, nil
	}
	if digits == "" || countDigits(digits) != len(digits) || digits[0] == '0' {
		return SizeOrPercent{}, fmt.Errorf("%s is not a percentage; write %s", quote(text), percentForm)
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n > maxPercent {
		return SizeOrPercent{}, fmt.Errorf("%s is too much; write at most %d%%, to leave space in the volume group for the thin pool's metadata and spare",
			quote(text), maxPercent)
	}
	return SizeOrPercent{Percent: n}, nil
}

// String writes the size in the largest binary unit that expresses it exactly,
// else in bytes. [ParseSize] reads it back, except 0, which means "not given".
func (s Size) String() string {
	for _, u := range binaryUnits() {
		if s != 0 && s%u.bytes == 0 {
			return strconv.FormatUint(uint64(s/u.bytes), 10) + u.suffix
		}
	}
	return strconv.FormatUint(uint64(s), 10)
}

// MarshalText writes the size as String does.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the size as [ParseSize] does.
func (s *Size) UnmarshalText(text []byte) error {
	size, err := ParseSize(string(text))
	if err == nil {
		*s = size
	}
	return err
}

// String writes the percentage if there is one, else the size.
func (s SizeOrPercent) String() string {
	if s.Percent > 0 {
		return strconv.Itoa(s.Percent) + "%"
	}
	return s.Bytes.String()
}

// MarshalText writes the value as String does.
func (s SizeOrPercent) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the value as [ParseSizeOrPercent] does.
func (s *SizeOrPercent) UnmarshalText(text []byte) error {
	value, err := ParseSizeOrPercent(string(text))
	if err == nil {
		*s = value
	}
	return err
}

// countDigits returns how many decimal digits the text begins with.
func countDigits(text string) int {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return i
		}
	}
	return len(text)
}

// unitBytes returns how many bytes a suffix stands for; none stands for one.
func unitBytes(suffix string) (bytes Size, known bool) {
	if suffix == "" {
		return 1, true
	}
	for _, u := range append(binaryUnits(), decimalUnits()...) {
		if u.suffix == suffix {
			return u.bytes, true
		}
	}
	return 0, false
}
