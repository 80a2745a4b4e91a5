package format

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

const timesHeader = "volreconciler times 1"

// EncodeTimes returns the file times of an index:
//
//	volreconciler times 1
//	size 4294967296
//	slice 4194304
//	made 1764412345000000000
//	moment 1764412345000000000
//	run 0 12 0
//
// Times are in nanoseconds since 1970. That of made is later than that of every parent: restic sees by it
// that digests has changed. Moments are numbered from 0. A run is the number of its first slice, how
// many there are, and which moment they changed at. Slices outside of runs are absent.
func (x *Index) EncodeTimes() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nsize %d\nslice %d\nmade %d\n", timesHeader, x.Size, x.Slice, x.Made)
	for _, m := range x.Moments {
		fmt.Fprintf(&b, "moment %d\n", m)
	}
	for first := 0; first < len(x.Present); {
		end := first + 1
		for end < len(x.Present) && x.When[end] == x.When[first] && x.Present[end] == x.Present[end-1]+1 {
			end++
		}
		fmt.Fprintf(&b, "run %d %d %d\n", x.Present[first], end-first, x.When[first])
		first = end
	}
	return b.Bytes()
}

// DecodeTimes reads a file times into an index without digests. It refuses everything that
// EncodeTimes does not write.
func DecodeTimes(r io.Reader) (*Index, error) {
	d := timesDecoder{x: &Index{}, scanner: bufio.NewScanner(r)}
	if err := d.decode(); err != nil {
		return nil, fmt.Errorf("times, line %d: %w", d.line, err)
	}
	return d.x, nil
}

type timesDecoder struct {
	x       *Index
	scanner *bufio.Scanner
	line    int
	used    []bool // moments
	last    uint32 // the moment of the last run
}

func (d *timesDecoder) decode() error {
	if d.next() != timesHeader {
		return fmt.Errorf("not a file of version %d", Version)
	}
	size, err := numbers(d.next(), "size", 1)
	if err != nil {
		return err
	}
	slice, err := numbers(d.next(), "slice", 1)
	if err != nil {
		return err
	}
	made, err := numbers(d.next(), "made", 1)
	if err != nil {
		return err
	}
	d.x.Made = made[0]
	d.x.Layout = Layout{Size: size[0], Slice: slice[0]}
	if err := d.x.check(); err != nil {
		return err
	}
	text := d.next()
	for ; strings.HasPrefix(text, "moment "); text = d.next() {
		if err := d.moment(text); err != nil {
			return err
		}
	}
	d.used = make([]bool, len(d.x.Moments))
	for ; text != ""; text = d.next() {
		if err := d.run(text); err != nil {
			return err
		}
	}
	if err := d.scanner.Err(); err != nil {
		return err
	}
	for m, used := range d.used {
		if !used {
			return fmt.Errorf("no slice has moment %d", m)
		}
	}
	return nil
}

// next returns the next line; at the end it is empty, and so is no line of the file.
func (d *timesDecoder) next() string {
	d.line++
	if !d.scanner.Scan() {
		return ""
	}
	if d.scanner.Text() == "" {
		return " " // refused everywhere
	}
	return d.scanner.Text()
}

func (d *timesDecoder) moment(text string) error {
	values, err := numbers(text, "moment", 1)
	if err != nil {
		return err
	}
	n := len(d.x.Moments)
	if n > 0 && values[0] <= d.x.Moments[n-1] || values[0] > d.x.Made || n >= d.x.Slices() {
		return errors.New("moments are not ascending, too late, or too many")
	}
	d.x.Moments = append(d.x.Moments, values[0])
	return nil
}

func (d *timesDecoder) run(text string) error {
	values, err := numbers(text, "run", 3)
	if err != nil {
		return err
	}
	first, count, moment := values[0], values[1], values[2]
	n, all := len(d.x.Present), int64(d.x.Slices())
	if first >= all || count < 1 || count > all-first || moment >= int64(len(d.x.Moments)) {
		return errors.New("the run is out of range")
	}
	if n > 0 {
		switch end := int64(d.x.Present[n-1]) + 1; {
		case first < end:
			return errors.New("runs overlap, or are not in order")
		case first == end && uint32(moment) == d.last:
			return errors.New("two runs are one")
		}
	}
	for s := first; s < first+count; s++ {
		d.x.Present, d.x.When = append(d.x.Present, uint32(s)), append(d.x.When, uint32(moment))
	}
	d.used[moment], d.last = true, uint32(moment)
	return nil
}

// numbers parses a line of a word and so many numbers that are not negative, in their only form.
func numbers(text, word string, count int) ([]int64, error) {
	fields := strings.Split(text, " ")
	if len(fields) != count+1 || fields[0] != word {
		return nil, fmt.Errorf("expected %s", word)
	}
	values := make([]int64, count)
	for i, field := range fields[1:] {
		v, err := strconv.ParseInt(field, 10, 64)
		if err != nil || v < 0 || strconv.FormatInt(v, 10) != field {
			return nil, fmt.Errorf("expected %s with a number", word)
		}
		values[i] = v
	}
	return values, nil
}
