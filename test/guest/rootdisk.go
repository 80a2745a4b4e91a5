package guest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
)

// Where an ext4 file system has its magic number.
const (
	magicOffset = 1024 + 56
	magic       = "\x53\xef"
)

// format makes an ext4 file system on a disk that has none yet.
func (d Disk) format(ctx context.Context) error {
	f, err := os.Open(d.Path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	found := make([]byte, len(magic))
	if _, err := f.ReadAt(found, magicOffset); err != nil {
		return err
	}
	if bytes.Equal(found, []byte(magic)) {
		return nil
	}
	program := "mke2fs"
	if _, err := exec.LookPath(program); err != nil {
		program = "/usr/sbin/mke2fs" // which is in no path of users
	}
	if output, err := exec.CommandContext(ctx, program, "-q", "-F", "-t", "ext4", d.Path).CombinedOutput(); err != nil {
		return fmt.Errorf("make a file system for the root of the guest: %w\n%s", err, output)
	}
	return nil
}
