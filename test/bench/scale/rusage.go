package main

import (
	"os"
	"syscall"
)

// maxRSS is the most memory that a process had resident, in bytes.
func maxRSS(p *os.ProcessState) int64 {
	usage, ok := p.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	return usage.Maxrss << 10
}
