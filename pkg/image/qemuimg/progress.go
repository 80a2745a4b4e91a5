package qemuimg

import (
	"bytes"
	"strconv"
	"strings"
)

// progress reads what `qemu-img … -p` prints, "    (12.34/100%)\r" again and again.
type progress struct {
	line   []byte
	total  int64
	last   int64
	report func(done, total int64)
}

// maxProgressLine bounds a line that never ends.
const maxProgressLine = 64

func (p *progress) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		i := bytes.IndexAny(b, "\r\n")
		if i < 0 {
			if len(p.line) < maxProgressLine {
				p.line = append(p.line, b...)
			}
			break
		}
		p.say(string(append(p.line, b[:i]...)))
		p.line, b = p.line[:0], b[i+1:]
	}
	return n, nil
}

func (p *progress) say(line string) {
	percent, ok := strings.CutPrefix(strings.TrimSpace(line), "(")
	if !ok || p.report == nil {
		return
	}
	percent, ok = strings.CutSuffix(percent, "/100%)")
	if !ok {
		return
	}
	f, err := strconv.ParseFloat(percent, 64)
	if err != nil || f < 0 || f > 100 {
		return
	}
	if done := int64(f / 100 * float64(p.total)); done > p.last {
		p.last = done
		p.report(done, p.total)
	}
}
