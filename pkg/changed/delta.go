package changed

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
	var (
		decoder = xml.NewDecoder(bytes.NewReader(data))
		depth   int
		chunk   uint64 // in bytes
		diffs   int
		ended   bool
	)
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		switch e := token.(type) {
		case xml.EndElement:
			depth--
			ended = depth == 0
		case xml.StartElement:
			depth++
			name := fmt.Sprintf("%d/%s", depth, e.Name.Local)
			switch name {
			case "1/superblock":
				size, err := attribute(e, "data_block_size")
				if err != nil || ended || size < smallestThinChunk || size > largestThinChunk || size%smallestThinChunk != 0 {
					return fmt.Errorf("chunks of %d sectors", size)
				}
				chunk = size * sector
			case "2/diff":
				l, lerr := attribute(e, "left")
				r, rerr := attribute(e, "right")
				if diffs++; errors.Join(lerr, rerr) != nil || l != uint64(left) || r != uint64(right) || diffs > 1 {
					return fmt.Errorf("it is not of thin volumes %d and %d", left, right)
				}
			case "3/same", "3/different", "3/left_only", "3/right_only":
				begin, berr := attribute(e, "begin")
				length, lerr := attribute(e, "length")
				if err := errors.Join(berr, lerr); err != nil {
					return err
				}
				// The kernel counts sectors in 64 bits; LVM has no volumes beyond 8 EiB.
				if most := uint64(1<<61) / chunk; begin > most || length > most || length == 0 {
					return fmt.Errorf("%s of %d chunks from %d", e.Name.Local, length, begin)
				}
				if e.Name.Local != "same" {
					add(int64(begin*chunk), int64(length*chunk))
				}
			default:
				return fmt.Errorf("<%s> is not known", e.Name.Local)
			}
		}
	}
	if !ended || diffs != 1 {
		return errors.New("it ends too early")
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
