package guest

import (
	"strings"
	"sync"
)

// consoleLimit bounds what is kept of a console.
const consoleLimit = 256 << 10

// console keeps the end of what was written to it.
type console struct {
	mu   sync.Mutex
	text []byte
}

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text = append(c.text, p...)
	if excess := len(c.text) - consoleLimit; excess > consoleLimit {
		c.text = append([]byte(nil), c.text[excess:]...)
	}
	return len(p), nil
}

func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.ReplaceAll(string(c.text), "\r\n", "\n")
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "\n")
}
