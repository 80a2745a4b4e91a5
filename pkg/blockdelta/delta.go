package blockdelta

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Chunks of a thin pool have these sizes, in sectors (Documentation/admin-guide/
// device-mapper/thin-provisioning.rst).
const (
	smallestThinChunk = 128
	largestThinChunk  = 2 << 20
)

// parseDelta calls a function for each range, in bytes, in which thin_delta says that
// two thin volumes differ: both have something else there, or only one has anything.
//
//	<superblock … data_block_size="128" nr_data_blocks="…">
//	  <diff left="1" right="2">
//	    <same begin="0" length="16"/>
//	    <different begin="16" length="1"/>
//	    <left_only begin="32" length="5"/>
//	    <right_only begin="64" length="3"/>
//	  </diff>
//	</superblock>
func parseDelta(data []byte, left, right uint32, add func(offset, length int64)) error {
	return deltaParser{left: left, right: right, add: add}.parse(data)
}

// parseMapped calls a function for each range that a thin volume has mapped: the one that thin_delta says
// is the same in it as in itself. thin_dump would say the same with a line for each piece on the disk.
func parseMapped(data []byte, of uint32, add func(offset, length int64)) error {
	return deltaParser{left: of, right: of, same: true, add: add}.parse(data)
}

func (p deltaParser) parse(data []byte) error {
	decoder := xml.NewDecoder(bytes.NewReader(data))
	for {
		token, err := decoder.Token()
		switch e := token.(type) {
		case xml.StartElement:
			p.depth++
			err = p.element(e)
		case xml.EndElement:
			p.depth--
			p.ended = p.depth == 0
		}
		switch {
		case errors.Is(err, io.EOF) && p.ended && p.diffs == 1:
			return nil
		case errors.Is(err, io.EOF):
			return errors.New("the output is truncated")
		case err != nil:
			return err
		}
	}
}

// deltaParser is what has been read so far.
type deltaParser struct {
	left, right uint32
	same        bool // what is the same is wanted, and nothing else is to be there
	add         func(offset, length int64)

	depth int
	chunk uint64 // in bytes
	diffs int
	ended bool
}

// element takes in an element that begins.
func (p *deltaParser) element(e xml.StartElement) error {
	switch fmt.Sprintf("%d/%s", p.depth, e.Name.Local) {
	case "1/superblock":
		size, err := attribute(e, "data_block_size")
		if err != nil || p.ended || size < smallestThinChunk || size > largestThinChunk || size%smallestThinChunk != 0 {
			return fmt.Errorf("unsupported chunk size of %d sectors", size)
		}
		p.chunk = size * sector
		return nil
	case "2/diff":
		left, lerr := attribute(e, "left")
		right, rerr := attribute(e, "right")
		if p.diffs++; errors.Join(lerr, rerr) != nil || left != uint64(p.left) || right != uint64(p.right) || p.diffs > 1 {
			return fmt.Errorf("the output is not about thin volumes %d and %d", p.left, p.right)
		}
		return nil
	case "3/same", "3/different", "3/left_only", "3/right_only":
		return p.chunks(e)
	default:
		return fmt.Errorf("unknown element <%s>", e.Name.Local)
	}
}

// chunks takes in a range.
func (p *deltaParser) chunks(e xml.StartElement) error {
	begin, berr := attribute(e, "begin")
	length, lerr := attribute(e, "length")
	if err := errors.Join(berr, lerr); err != nil {
		return err
	}
	// The kernel numbers sectors in 64 bits; LVM has no volumes beyond 8 EiB.
	if most := uint64(1<<61) / p.chunk; begin > most || length > most || length == 0 {
		return fmt.Errorf("%s of %d chunks from %d", e.Name.Local, length, begin)
	}
	switch isSame := e.Name.Local == "same"; {
	case p.same && !isSame:
		return fmt.Errorf("a thin volume is not the same as itself: %s of %d chunks from %d", e.Name.Local, length, begin)
	case p.same || !isSame:
		p.add(int64(begin*p.chunk), int64(length*p.chunk))
	}
	return nil
}

func attribute(e xml.StartElement, name string) (uint64, error) {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return strconv.ParseUint(a.Value, 10, 64)
		}
	}
	return 0, fmt.Errorf("<%s> has no %s", e.Name.Local, name)
}
