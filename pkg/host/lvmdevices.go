package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// LVMDevices says which block devices LVM may open.
//
// By itself LVM opens every device there is and waits for each of them without a limit:
// one disk that does not answer, be it somebody else's, stops all of its commands.
type LVMDevices interface {
	// ForLVM returns the paths of the devices that hold physical volumes. It reports
	// false if that is not known, and LVM has to look by itself. A command that
	// changes something may be given what was found a moment ago; a report is to be
	// given what is there now (fresh).
	ForLVM(ctx context.Context, fresh bool) (devices []string, known bool)
}

// LimitLVM makes all LVM commands from now on, those of shells too, open no other
// devices than these. It is called before the first command.
func (o *OS) LimitLVM(to LVMDevices) { o.devices = to }

// lvmCommand returns the name of an LVM command that opens devices, and where its
// arguments begin; empty: it is none.
func lvmCommand(argv []string) (name string, args int) {
	n := 0
	if len(argv) > 1 && filepath.Base(argv[0]) == "lvm" {
		n = 1
	}
	name = filepath.Base(argv[n])
	if slices.Contains(lvmReports, name) || slices.Contains(lvmOthers, name) && name != "lvmconfig" {
		return name, n + 1
	}
	return "", 0
}

// devicesFor returns the devices that a command is limited to.
func (o *OS) devicesFor(ctx context.Context, argv []string) (devices []string, limited bool) {
	name, _ := lvmCommand(argv)
	if o.devices == nil || name == "" {
		return nil, false
	}
	return o.devices.ForLVM(ctx, slices.Contains(lvmReports, name))
}

// noDevice stands for no device at all: LVM takes no empty list.
const noDevice = "/dev/null"

// maxArgument is less than Linux takes as one argument (MAX_ARG_STRLEN).
const maxArgument = 100_000

// withDevices adds the devices to the arguments of a process, as an option that
// overrides both the filters and the devices file (lvmdevices(8)).
func withDevices(argv, devices []string) []string {
	_, n := lvmCommand(argv)
	var options []string
	for rest := devices; len(rest) > 0; {
		size, taken := 0, 0
		for taken < len(rest) && size < maxArgument {
			size += len(rest[taken]) + 1
			taken++
		}
		options = append(options, "--devices", strings.Join(rest[:taken], ","))
		rest = rest[taken:]
	}
	if len(devices) == 0 {
		options = []string{"--devices", noDevice}
	}
	return slices.Insert(slices.Clone(argv), n, options...)
}

// shellDevices is the same as a configuration, for a line of the shell: a shell that was
// given --devices crashes two commands later, because it still uses what it has
// freed (cmd->use_devices; seen with 2.03.16, and in the sources of 2.03.39).
//
// The hints file (/run/lvm/hints) is that of commands with the node's own filters.
func shellDevices(devices []string) string {
	var b strings.Builder
	b.WriteString(`devices/use_devicesfile=0 devices/hints="none" devices/global_filter=["a|.*|"] devices/filter=[`)
	for _, d := range devices {
		b.WriteString(`"a|^` + literally.Replace(d) + `$|",`)
	}
	b.WriteString(`"r|.*|"]`)
	return b.String()
}

// limitedLine adds it to a line.
func limitedLine(line string, devices []string) string {
	return strings.TrimSuffix(line, "\n") + " --config '" + shellDevices(devices) + "'\n"
}

// literally makes a path a regular expression of LVM's. The kernel's names have few
// other characters than letters and digits, and no backslash.
var literally = strings.NewReplacer(".", "[.]", "+", "[+]", "*", "[*]", "?", "[?]", "(", "[(]", ")", "[)]", "|", "[|]")

// Blocks reads block devices.
type Blocks interface {
	// ReadStart reads the first bytes of a device, past the cache. It waits for as long
	// as the device takes to answer, which may be for ever. The error is
	// [ErrCannotRead] if it is not the device's.
	ReadStart(path string, n int) ([]byte, error)
}

// ErrCannotRead means that this machine has nothing to read devices with.
var ErrCannotRead = errors.New("cannot read devices")

var _ Blocks = (*OS)(nil)

// ReadStart reads the start of a device, see [Blocks]. O_NONBLOCK keeps drives from
// closing their trays, and O_DIRECT sees what other machines have written.
//
// A process does that, which is left behind with a device that does not answer: a thread
// that hangs in the kernel keeps all of its process from ending, and with it the lock of
// the agent, so that no other could be started.
func (o *OS) ReadStart(path string, n int) ([]byte, error) {
	data, err := o.dd(path, n, "direct,nonblock")
	if err != nil && !errors.Is(err, ErrCannotRead) { // it may know no O_DIRECT
		data, err = o.dd(path, n, "nonblock")
	}
	return data, err
}

func (o *OS) dd(path string, n int, flags string) ([]byte, error) {
	argv := []string{"dd", "if=" + path, "iflag=" + flags, fmt.Sprintf("bs=%d", n), "count=1", "status=none"}
	cmd, err := command(argv...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCannotRead, err)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &stdout, &stderr, outputGrace
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCannotRead, err)
	}
	o.processes.Add(1)
	err = cmd.Wait()
	err = result(argv, Output{Stderr: stderr.String()}, err)
	if err != nil && strings.Contains(stderr.String(), "invalid") {
		err = fmt.Errorf("%w: %w", ErrCannotRead, err) // another dd than that of coreutils
	}
	return stdout.Bytes(), err
}
