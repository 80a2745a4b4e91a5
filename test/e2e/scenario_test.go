package e2e

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/capture"
	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/reconcile"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
	"github.com/volreconciler/volreconciler/test/guest"
	"github.com/volreconciler/volreconciler/test/scenario"
)

// hands are those of whoever does something to the guest by hand.
type hands struct{ context.Context }

var _ scenario.Machine = hands{}

func (hands) Run(ctx context.Context, argv ...string) (host.Output, error) {
	r, err := vm.Run(ctx, argv...)
	if err == nil && r.ExitCode != 0 {
		err = &host.CommandError{Argv: argv, ExitCode: r.ExitCode, Stderr: r.Stderr}
	}
	return host.Output{Stdout: []byte(r.Stdout), Stderr: r.Stderr}, err
}

func (h hands) run(argv ...string) error {
	_, err := h.Run(h.Context, argv...)
	return err
}

func (h hands) WriteFile(path string, data []byte) error {
	status, err := vm.Exec(h, guest.Command{Argv: []string{"dd", "status=none", "conv=nocreat", "of=" + path}, Stdin: data})
	if err == nil && status != 0 {
		err = &host.CommandError{Argv: []string{"write", path}, ExitCode: status}
	}
	return err
}

func (h hands) Mkdir(path string) error           { return h.run("mkdir", "-p", path) }
func (h hands) Symlink(target, link string) error { return h.run("ln", "-s", target, link) }

// Remove does without rm, which wants to see a directory empty; in configfs it
// never looks so.
func (h hands) Remove(path string) error {
	return h.run("sh", "-c", `if [ -L "$1" ]; then unlink "$1"; else rmdir "$1"; fi`, "remove", path)
}

func (h hands) Write(_ context.Context, lv, text string) error {
	return h.run("sh", "-c", fmt.Sprintf("printf %%s %q | dd of=/dev/%s bs=4096 conv=sync,notrunc oflag=direct status=none", text, lv))
}

// read returns what Write wrote. A thin snapshot, which is inactive while it is
// not exported, is inactive again afterwards.
func (h hands) read(lv string) string {
	GinkgoHelper()
	text := sh(h, fmt.Sprintf(`[ -e /dev/%[1]s ] || { lvchange -ay -K %[1]s && off=1; }
		dd if=/dev/%[1]s bs=4096 count=1 iflag=direct status=none | tr -d '\0'
		[ -z "$off" ] || lvchange -an %[1]s`, lv))
	return text
}

func (h hands) Mount(_ context.Context, lv, dir string) error {
	return h.run("sh", "-c", fmt.Sprintf("mkfs.ext4 -qF /dev/%[1]s && mount /dev/%[1]s %[2]s", lv, dir))
}

func (h hands) Unmount(_ context.Context, dir string) error { return h.run("umount", dir) }

func (h hands) Login(ctx context.Context, target, initiator string) error {
	if r := login(ctx, target, loopback, initiator); r.ExitCode != 0 {
		return fmt.Errorf("login: %s", r.Stderr)
	}
	return nil
}

func (h hands) Logout(ctx context.Context, target, initiator string) error {
	logout(ctx, target, initiator)
	return nil
}

func (h hands) Reboot(context.Context) error { return fmt.Errorf("not in the middle of a scenario") }

// row is an object in the table that apply prints.
var row = regexp.MustCompile(`(?m)^(Pool|Volume|Snapshot|Export)\s+(\S+)\s+([A-Z]\w+)\s+([A-Z]\w+)(.*)$`)

// apply runs the agent once, and returns how the objects stand.
func apply(ctx context.Context) status.Report {
	GinkgoHelper()
	r := try(ctx, "volreconciler apply --specs /specs --timeout 3m")
	report := status.Report{}
	// The last table counts: before it comes the progress.
	_, table, _ := strings.Cut("\n"+r.Stdout, "\nKIND")
	for _, m := range row.FindAllStringSubmatch(table, -1) {
		report.Objects = append(report.Objects, status.Object{
			Kind: spec.Kind(m[1]), Name: m[2], Phase: status.Phase(m[3]), Reason: m[4], Message: strings.TrimSpace(m[5]),
		})
	}
	Expect(report.Objects).NotTo(BeEmpty(), r.Stdout+r.Stderr)
	return report
}

func captured(ctx context.Context) fakehost.Node {
	GinkgoHelper()
	n, err := fakehost.Parse([]byte(sh(ctx, "volreconciler capture")))
	Expect(err).NotTo(HaveOccurred())
	return n
}

func scenarios() []TableEntry {
	var entries []TableEntry
	for _, s := range scenario.All() {
		if s.FakeOnly == "" {
			entries = append(entries, Entry(s.Name, s))
		}
	}
	return entries
}

var _ = DescribeTable("On a real kernel there is the same as on a machine in memory:",
	func(ctx SpecContext, s scenario.Scenario) {
		for _, name := range []string{"db", "other"} {
			secret(ctx, path.Base(scenario.SecretPath(name)), scenario.Password(name))
		}
		put(ctx, "/var/lib/volreconciler/"+reconcile.InstallationFile, scenario.Installation)
		DeferCleanup(func(ctx SpecContext) { prepare(ctx) })
		h := hands{ctx}
		fake, err := scenario.NewFake(captured(ctx), GinkgoT().TempDir())
		Expect(err).NotTo(HaveOccurred())
		var status, fakeStatus status.Report
		for _, step := range s.Steps {
			By(step.Name)
			files := step.Files
			if step.Answer != nil {
				files = step.Answer(status)
			}
			for name, text := range files {
				if text == "" {
					remove(ctx, name)
				} else {
					put(ctx, "/specs/"+name, text)
				}
			}
			if step.ByHand != nil {
				Expect(step.ByHand(ctx, h)).To(Succeed())
			}
			status = apply(ctx)
			Expect(scenario.Stand(status)).To(Equal(step.Expected()))
			for lv, text := range step.Content {
				Expect(h.read(lv)).To(Equal(text), lv)
			}

			Expect(fake.Begin(ctx, step, fakeStatus)).To(Succeed())
			fakeStatus, err = fake.Start(fake.Host).Apply(ctx)
			Expect(err).NotTo(HaveOccurred())
			inMemory, err := capture.Capture(ctx, fake.Host)
			Expect(err).NotTo(HaveOccurred())
			onlyInMemory, onlyHere := scenario.Compare(scenario.Portrait(inMemory), scenario.Portrait(captured(ctx)))
			Expect(onlyInMemory).To(BeEmpty(), "in memory only; on the kernel only: %s", strings.Join(onlyHere, "\n"))
			Expect(onlyHere).To(BeEmpty(), "on the kernel only")
		}
	},
	scenarios(),
)
