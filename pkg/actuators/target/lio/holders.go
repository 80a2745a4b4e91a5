package lio

import (
	"fmt"
	"path"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/observe"
)

// holders says who holds a block device that could not be bound, as far as it
// can be seen. What cannot be read is left out: the device is busy anyway.
func (a *Actuator) holders(blockDevice string) string {
	who := a.backstoresOn(blockDevice)
	var major, minor int
	number, err := a.text(path.Join("/sys/class/block", blockDevice, "dev"))
	if err == nil {
		_, err = fmt.Sscanf(number, "%d:%d", &major, &minor)
	}
	if err == nil {
		who = append(who, observe.ReadHolders(a.host).Of(major, minor)...)
	}
	if len(who) == 0 {
		return "in use by an unknown holder"
	}
	return strings.Join(who, ", ")
}

// backstoresOn returns the block backstores that are bound to a device.
func (a *Actuator) backstoresOn(blockDevice string) []string {
	var who []string
	hbas, _ := a.children(observe.BackstoresDir)
	for _, hba := range hbas {
		names, _ := a.children(observe.HBADir(hba))
		for _, name := range names {
			b, err := observe.ReadBackstore(a.host, hba, name)
			if err == nil && b.BlockDevice == blockDevice {
				who = append(who, "bound to backstore "+b.Path())
			}
		}
	}
	return who
}
