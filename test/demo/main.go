// Command demo shows the agent at its main job, on a real kernel, without
// touching this machine. It boots a throw-away guest with an empty disk, runs
// the agent in it on a directory of specs, and has a real iSCSI initiator log
// in, write and read back. It tells that as a story, see story.go: each step says what it does and
// expects, and what was seen; what is not as expected fails it. Then it remains: what is edited in
// the directory is handed to the agent, and what becomes of it is shown.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/volreconciler/volreconciler/test/guest"
)

func main() {
	specs := flag.String("specs", "examples/specs", "directory of specs to show")
	once := flag.Bool("once", os.Getenv("DEMO_ONCE") != "", "end with the story (also DEMO_ONCE=1)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, *specs, *once, os.Stdout)
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// demo is a guest with an agent in it.
type demo struct {
	vm   *guest.Machine
	dir  string // of specs, on this machine
	seen string // fingerprint of what the agent was given last
	n    int    // how often it was given something

	without []string // protocols that the kernel lacks
	log     *agentLog
	steps   int    // that were shown
	removed string // the file from which the story removes an Export, as it was
	out     io.Writer
}

func run(ctx context.Context, specs string, once bool, out io.Writer) error {
	share, err := os.MkdirTemp("", "volreconciler-demo-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(share) }()
	d := &demo{dir: filepath.Join(share, "specs"), log: &agentLog{}, out: out}
	if err := os.CopyFS(d.dir, os.DirFS(specs)); err != nil { // the story edits it
		return fmt.Errorf("read %s: %w", specs, err)
	}
	// They name an object store, which the guest does not have.
	if err := os.RemoveAll(filepath.Join(d.dir, "backups")); err != nil {
		return err
	}
	d.say("Building the agent.")
	if err := build(ctx, filepath.Join(share, "volreconciler")); err != nil {
		return err
	}
	d.say("Booting a guest with an empty disk. The first time its packages are fetched: half a minute more.")
	d.vm, err = guest.Start(ctx, guest.Config{Share: share, Disks: []guest.Disk{{Path: filepath.Join(share, "vda"), Size: 4 << 30}}})
	if err != nil {
		return err
	}
	defer d.shutdown()
	if err := d.prepare(ctx); err != nil {
		return fmt.Errorf("prepare the guest: %w", err)
	}

	agent, cancel := context.WithCancel(ctx)
	defer cancel()
	var ended <-chan struct{}
	defer func() {
		cancel()
		if ended != nil {
			<-ended
		}
	}()
	start := func() {
		ended = d.start(agent, d.log, "volreconciler", "run", "--specs", "/specs/current", "--resync", "5s", "--deletion-grace", "2s")
	}
	if err := d.story(ctx, start); err != nil || once {
		return err
	}
	d.dir = specs
	return d.follow(ctx)
}

// protocols are those that not every kernel has, and a module that each needs.
var protocols = map[string]string{"iser": "ib_isert", "nvme-tcp": "nvmet-tcp", "nvme-rdma": "nvmet-rdma", "fc": "fcoe"}

// prepare makes what the examples name: passwords, an image, and in software an RDMA
// device and a Fibre Channel port, where the kernel can.
func (d *demo) prepare(ctx context.Context) error {
	for protocol, module := range protocols {
		r, err := d.vm.Run(ctx, "modprobe", "-q", module)
		if err != nil {
			return err
		}
		if r.ExitCode != 0 {
			d.without = append(d.without, protocol)
		}
	}
	slices.Sort(d.without)
	if len(d.without) > 0 {
		d.say("Leaving out what this kernel has no target for: %s. \"go run ./test/guest/cmd/guest kernel\" builds one that has, in some minutes.", strings.Join(d.without, ", "))
	}
	if err := d.sync(ctx); err != nil {
		return err
	}
	script := "set -e\n"
	if !slices.Contains(d.without, "iser") {
		script += guest.SetUpRDMA
	}
	if !slices.Contains(d.without, "fc") {
		script += guest.SetUpFC()
	}
	return d.sh(ctx, script+`mkdir -p /usr/local/bin && cp /host/volreconciler /usr/local/bin/
		mkdir -p /mnt /etc/volreconciler/secrets && cd /etc/volreconciler/secrets && umask 077
		for name in db mail mail-back; do echo demo-password-of-$name > $name; done
		mkdir -p /srv/images && qemu-img create -q -f qcow2 /srv/images/debian-12.qcow2 128M`)
}

// leftOut are the files that need a protocol which the kernel lacks.
func (d *demo) leftOut() ([]string, error) {
	var files []string
	err := filepath.WalkDir(d.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, protocol := range d.without {
			if !regexp.MustCompile(`\bprotocol: *` + protocol + `\b[^-]`).Match(append(text, '\n')) {
				continue
			}
			name, err := filepath.Rel(d.dir, path)
			files = append(files, name)
			return err
		}
		return nil
	})
	return files, err
}

// sync hands the specs to the agent if they changed, all at once, by switching
// a symlink.
func (d *demo) sync(ctx context.Context) error {
	without, err := d.leftOut()
	if err != nil {
		return err
	}
	argv := []string{"-C", d.dir, "--sort=name", "--anchored"}
	for _, name := range without {
		argv = append(argv, "--exclude=./"+name)
	}
	archive, err := exec.CommandContext(ctx, "tar", append(argv, "-c", ".")...).Output()
	if err != nil {
		return fmt.Errorf("read %s: %w", d.dir, err)
	}
	if string(archive) == d.seen {
		return nil
	}
	d.seen, d.n = string(archive), d.n+1
	script := fmt.Sprintf("mkdir -p /specs/%[1]d && tar -C /specs/%[1]d --no-same-owner -x && ln -sfn %[1]d /specs/next && mv -T /specs/next /specs/current", d.n)
	status, err := d.vm.Exec(ctx, guest.Command{Argv: []string{"sh", "-c", script}, Stdin: archive})
	if err == nil && status != 0 {
		err = errors.New("cannot copy the specs into the guest")
	}
	return err
}

// follow hands every edit to the agent until the demo is interrupted.
func (d *demo) follow(ctx context.Context) error {
	d.say("Edit the files in %s and watch; Ctrl-C ends this.", d.dir)
	watch := d.start(ctx, d.out, "volreconciler", "get", "--watch")
	defer func() { <-watch }()
	for ctx.Err() == nil {
		if err := d.sync(ctx); err != nil && ctx.Err() == nil {
			d.say("%v", err)
		}
		select {
		case <-ctx.Done():
		case <-d.vm.Done():
			return errors.New("the guest went down")
		case <-time.After(500 * time.Millisecond):
		}
	}
	return nil
}

// start runs a command whose output is written as it comes, and returns a channel
// that is closed when it has ended.
func (d *demo) start(ctx context.Context, out io.Writer, argv ...string) <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = d.vm.Exec(ctx, guest.Command{Argv: argv, Stdout: out, Stderr: out})
	}()
	return ended
}

// sh runs a script. What it writes is shown only if it fails.
func (d *demo) sh(ctx context.Context, script string) error {
	_, err := d.output(ctx, script)
	return err
}

// output returns what a script writes to stdout.
func (d *demo) output(ctx context.Context, script string) (string, error) {
	r, err := d.vm.Sh(ctx, script)
	if err == nil && r.ExitCode != 0 {
		err = fmt.Errorf("exit status %d: %s", r.ExitCode, strings.TrimSpace(r.Stderr+r.Stdout))
	}
	return strings.TrimSpace(r.Stdout), err
}

func (d *demo) say(format string, args ...any) {
	_, _ = fmt.Fprint(d.out, paragraph("", fmt.Sprintf(format, args...)))
}

// shutdown needs a context of its own: the demo's has ended when Ctrl-C did.
func (d *demo) shutdown() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	d.say("Shutting the guest down. Nothing of it is left on this machine.")
	_ = d.vm.Shutdown(ctx)
}

func build(ctx context.Context, path string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, "./cmd/volreconciler")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	return cmd.Run()
}
