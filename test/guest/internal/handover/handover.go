// Package handover is the configuration that a guest reads when it boots: a file in its
// initial RAM file system.
package handover

import (
	"encoding/json"
	"os"
)

// File is where it lies in the initial RAM file system.
const File = "/guest.json"

// The machines that a guest can be.
const (
	Emulated = "qemu"
	UserMode = "uml"
)

// Guest is what a guest learns.
type Guest struct {
	// Machine is Emulated or UserMode.
	Machine string
	// Root, Kernel and Share are folders of the host, for User-mode Linux: the user
	// space, what is laid over it, and what is to be at /host, if anything. Others
	// find them as 9p devices.
	Root, Kernel, Share string
	// Serials are those of the disks, in their order.
	Serials []string
	// Systemd is true if PID 1 is to be systemd.
	Systemd bool
	// RootDisk is the number of the disk, counted from 1, that keeps what changes in the root file
	// system; 0: memory does.
	RootDisk int
}

// Read reads what this guest has to know.
func Read() (Guest, error) {
	text, err := os.ReadFile(File)
	if err != nil {
		return Guest{}, err
	}
	return Parse(text)
}

// Parse is the opposite of Text.
func Parse(text []byte) (Guest, error) {
	var g Guest
	err := json.Unmarshal(text, &g)
	return g, err
}

// Text is what Read reads.
func (g Guest) Text() ([]byte, error) { return json.Marshal(g) }
