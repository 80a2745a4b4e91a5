package fakehost

import (
	"io/fs"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// configfs plays the kernel: configfs, and what else the agent reads of /dev,
// /proc and /sys.
type configfs struct{ lvm *lvm }

func (c *configfs) load(_ Node, l *lvm) error              { c.lvm = l; return nil }
func (c *configfs) store(*Node)                            {}
func (c *configfs) modprobe([]string) (host.Output, error) { return host.Output{}, nil }
func (c *configfs) readFile(string) ([]byte, error)        { return nil, fs.ErrNotExist }
func (c *configfs) readDir(string) ([]fs.DirEntry, error)  { return nil, fs.ErrNotExist }
func (c *configfs) readlink(string) (string, error)        { return "", fs.ErrNotExist }
func (c *configfs) writeFile(string, []byte) error         { return fs.ErrNotExist }
func (c *configfs) mkdir(string) error                     { return fs.ErrNotExist }
func (c *configfs) remove(string) error                    { return fs.ErrNotExist }
func (c *configfs) symlink(string, string) error           { return fs.ErrNotExist }
