package main

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/capture"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
	"github.com/volreconciler/volreconciler/pkg/statusapi"
)

const exportWithPasswords = `apiVersion: volreconciler/v1alpha1
kind: Pool
metadata: {name: slow}
spec: {volumeGroup: vg0}
---
apiVersion: volreconciler/v1alpha1
kind: Volume
metadata: {name: data}
spec: {pool: slow, size: 16Mi}
---
apiVersion: volreconciler/v1alpha1
kind: Export
metadata: {name: data}
spec:
  protocol: iscsi
  luns: [{volume: data}]
  initiators:
    - name: iqn.1993-08.org.debian:01:a
      auth:
        chap: {username: user, passwordFrom: {file: DIR/chap}}
        mutual: {username: node, passwordFrom: {file: DIR/mutual}}
`

// traces are the texts by which a secret would be found: its first 8 characters,
// in which it and all longer beginnings of it are found, and the same in
// hexadecimal and in base64, wherever in a group of three bytes it begins.
func traces(secret string) []string {
	begin := secret[:8]
	found := []string{begin, hex.EncodeToString([]byte(begin)), strings.ToUpper(hex.EncodeToString([]byte(begin)))}
	for pad := range 3 {
		encoded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat(".", pad) + begin))
		found = append(found, encoded[(pad*8+5)/6:(pad+8)*8/6])
	}
	return found
}

// secretive is an agent on a machine in memory that reads passwords, with all
// that it says, writes and runs.
type secretive struct {
	dir    string
	specs  string // what the file says
	s      *settings
	source *spec.Source
	loop   *reconcile.Loop
	// answers are what the agent answers over HTTP.
	answers statusapi.Source
	edits   int
	host    *fakehost.Tap
	// written are directories of files in which no secret may be, besides those of its own.
	written []string
	// refuse says with what error a write of a credential fails, nil: it does not.
	refuse func(attribute string) error

	mu   sync.Mutex
	said map[string]string // by where
}

func newSecretive(specs string, more ...func(*settings)) *secretive {
	GinkgoHelper()
	machine, err := fakehost.New(fakehost.Node{APIVersion: fakehost.APIVersion, Kind: "Node", VolumeGroups: []fakehost.VolumeGroup{
		{Name: "vg0", ExtentSize: 4 << 20, Extents: 100},
	}})
	Expect(err).NotTo(HaveOccurred())
	a := &secretive{dir: GinkgoT().TempDir(), s: newSettings(), said: map[string]string{}}
	a.specs = strings.ReplaceAll(specs, "DIR", a.dir)
	a.host = &fakehost.Tap{Host: machine, Before: a.before}
	a.s.specs, a.s.stateDir, a.s.runtimeDir, a.s.data.imageCache = a.dir+"/specs", a.dir+"/state", a.dir+"/run", a.dir+"/images"
	for _, change := range more {
		change(a.s)
	}
	Expect(os.MkdirAll(a.s.specs, 0o700)).To(Succeed())
	Expect(os.MkdirAll(a.s.runtimeDir, 0o700)).To(Succeed())
	Expect(os.WriteFile(a.s.specs+"/all.yaml", []byte(a.specs), 0o600)).To(Succeed())

	log, err := newLogger(logTo{a, "the log"}, "debug", "json")
	Expect(err).NotTo(HaveOccurred())
	a.source = spec.NewSource(a.s.specs, spec.Options{Secrets: true, Settle: time.Millisecond, Log: log})
	nothing := func() error { return nil }
	loop, repositories, err := newLoop(a.s, a.source, &backend{Host: a.host, lvm: a.host, blocks: fakehost.Engine{Devices: a.host}, processes: func() int64 { return 0 }, endPass: nothing}, log)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(repositories.Close)
	a.loop = loop
	a.loop.Resync = time.Minute
	a.answers = answersFrom(a.loop, a.host, a.s.specs)
	stop, _, err := serve(a.s, a.answers, log)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(stop)
	return a
}

// before notes what of a call others can see, and refuses credentials.
func (a *secretive) before(c fakehost.Call) error {
	a.say("calls", c.String()+"\n"+fmt.Sprintln(c.Argv, c.Path, c.Target))
	if c.Op != "write" || path.Base(path.Dir(c.Path)) != "auth" || a.refuse == nil {
		return nil
	}
	if err := a.refuse(path.Base(c.Path)); err != nil {
		return &fs.PathError{Op: "write", Path: c.Path, Err: err}
	}
	return nil
}

func (a *secretive) say(where, what string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.said[where] += what
}

// logTo is a Writer that adds to what is said.
type logTo struct {
	*secretive
	where string
}

func (l logTo) Write(p []byte) (int, error) {
	l.say(l.where, string(p))
	return len(p), nil
}

// settle makes passes as apply does, with its output. An edit of the specs is the
// reason to try at once what failed before.
func (a *secretive) settle(ctx context.Context) status.Report {
	GinkgoHelper()
	a.edits++
	specs := a.specs + fmt.Sprintf("    - name: iqn.1993-08.org.debian:01:edit%d\n", a.edits)
	Expect(os.WriteFile(a.s.specs+"/all.yaml", []byte(specs), 0o600)).To(Succeed())
	var out strings.Builder
	progress := newProgress(&out)
	a.loop.OnStep = progress.done
	node := converge(ctx, a.loop, progress, time.Now().Add(3*time.Second))
	Expect(writeOutcome(&out, &out, node)).To(Succeed())
	a.say("apply", out.String()+fmt.Sprintln(notReadyError(node)))
	return node
}

// ask runs all commands that tell how things stand or what would be done.
func (a *secretive) ask(ctx context.Context) {
	GinkgoHelper()
	for _, args := range [][]string{
		{"get"}, {"get", "-o", "wide"}, {"get", "-o", "yaml"}, {"get", "-o", "json"}, {"get", "export", "data", "-o", "yaml"},
		{"describe", "export", "data"}, {"describe", "volume", "data"}, {"describe", "pool", "slow"},
	} {
		var out strings.Builder
		runCommandLine(append(args, "--runtime-dir", a.s.runtimeDir), &out, &out)
		Expect(out.String()).NotTo(BeEmpty(), "%v", args)
		a.say(strings.Join(args, " "), out.String())
	}
	a.browse(ctx)
	var out strings.Builder
	runCommandLine([]string{"validate", a.s.specs}, &out, &out)
	runCommandLine([]string{"validate", "-o", "json", a.s.specs}, &out, &out)
	a.say("validate", out.String())
	scrape := httptest.NewRecorder()
	a.answers.Metrics.ServeHTTP(scrape, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	Expect(scrape.Body.String()).To(ContainSubstring("volreconciler_objects{"))
	a.say("metrics", scrape.Body.String())

	desired, observed := a.source.Load(ctx), observe.New(a.host).Observe(ctx)
	plan := plan.Make(plan.Input{Declared: desired, Observed: observed, Now: time.Now(), Started: time.Now(), MaxDeletions: 10})
	for _, format := range []string{"text", "json"} {
		out.Reset()
		Expect(writePlan(&out, plan, format)).To(Succeed())
		writeFindings(&out, status.Findings(plan.Findings))
		a.say("plan "+format, out.String()+fmt.Sprintln(planExit(plan, observed)))
	}
	for _, format := range []string{"json", "sh"} {
		out.Reset()
		o := connectOptions{export: "data", initiator: "iqn.1993-08.org.debian:01:a", format: format}
		err := o.show(desired, observed, plan, addresses{netip.MustParseAddr("192.0.2.1")}, &out, &out)
		a.say("connect "+format, out.String()+fmt.Sprintln(err))
	}
	a.say("what is in memory, printed", fmt.Sprintf("%v %+v %#v %v %+v %#v", desired, desired, desired, plan, plan, observed))
	node, err := capture.Capture(ctx, a.host)
	Expect(err).NotTo(HaveOccurred())
	text, err := node.Marshal()
	Expect(err).NotTo(HaveOccurred())
	a.say("capture", string(text))
}

// expectSecret looks for secrets in all that was said, and in all files but those
// that hold them.
func (a *secretive) expectSecret(secrets ...string) {
	GinkgoHelper()
	a.mu.Lock()
	said := maps.Clone(a.said)
	a.mu.Unlock()
	for _, dir := range slices.Concat([]string{a.s.stateDir, a.s.runtimeDir}, a.written) {
		Expect(filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			text, err := os.ReadFile(path)
			said[path] = string(text)
			return err
		})).To(Succeed())
	}
	Expect(said).To(HaveKey(filepath.Join(a.s.stateDir, "identities.json")))
	for where, what := range said {
		for _, s := range secrets {
			for _, t := range traces(s) {
				Expect(strings.Contains(what, t)).To(BeFalse(), "%s is in %s:\n%s", t, where, what)
			}
		}
	}
	size := 0
	for _, what := range said {
		size += len(what)
	}
	GinkgoWriter.Println(len(said), "outputs and files searched,", size, "bytes")
}

func (a *secretive) put(name, password string) {
	GinkgoHelper()
	Expect(os.RemoveAll(filepath.Join(a.dir, name))).To(Succeed())
	Expect(os.WriteFile(filepath.Join(a.dir, name), []byte(password), 0o600)).To(Succeed())
}

func (a *secretive) password(attribute string) string {
	GinkgoHelper()
	text, err := a.host.Host.ReadFile(observe.ISCSITarget("iqn.2026-11.io.volreconciler:data").ACL("iqn.1993-08.org.debian:01:a") + "/auth/" + attribute)
	Expect(err).NotTo(HaveOccurred())
	return strings.TrimSuffix(string(text), "\n")
}

var _ = Describe("Passwords are in nothing that is said, written or run", func() {
	const (
		first, second   = "Zk4w-first-of-chap", "Qm9x-second-of-chap"
		firstOf, secOf  = "Vt7h-first-of-mutual", "Jr2b-second-of-mutual"
		refused, stub   = "Xy6p-in-a-refused-file", "Lw3fshort9"
		chap, mutual    = "chap", "mutual"
		setting, reason = "set authentication of initiator", "passwordFrom.file"
	)
	var a *secretive
	BeforeEach(func() {
		a = newSecretive(exportWithPasswords)
		a.written = []string{a.s.specs}
		a.put(chap, first)
		a.put(mutual, firstOf)
	})

	DescribeTable("when configfs refuses them",
		func(ctx SpecContext, attribute string, errno syscall.Errno) {
			failed := 0
			once := func(wanted string) func(string) error {
				return func(written string) error {
					if written != wanted || failed > 0 {
						return nil
					}
					failed++
					return errno
				}
			}
			a.refuse = once(attribute)
			a.settle(ctx)
			node := a.settle(ctx)
			Expect(failed).To(Equal(1))
			Expect(node.Converged()).To(BeTrue(), "%v", node)
			Expect([]string{a.password("password"), a.password("password_mutual")}).To(Equal([]string{first, firstOf}))
			a.ask(ctx)

			a.put(chap, second)
			a.put(mutual, secOf)
			a.ask(ctx) // with the plan to set them
			a.refuse = func(written string) error {
				if written == attribute {
					return errno
				}
				return nil
			}
			a.loop.Pass(ctx)
			a.ask(ctx) // with the failure
			a.refuse = nil
			Expect(a.settle(ctx).Converged()).To(BeTrue())
			Expect([]string{a.password("password"), a.password("password_mutual")}).To(Equal([]string{second, secOf}))

			Expect(a.said["describe export data"]).To(And(ContainSubstring("auth/"+attribute), ContainSubstring(errno.Error())))
			Expect(a.said["the log"]).To(And(ContainSubstring("auth/"+attribute), ContainSubstring(setting), ContainSubstring(`"debug"`)))
			Expect(a.said["plan json"]).To(ContainSubstring("SetAuth"))
			Expect(a.said["plan text"]).To(ContainSubstring(setting))
			Expect(a.said["connect json"]).To(ContainSubstring(`"auth_password": "` + spec.Redacted + `"`))
			Expect(a.said["connect sh"]).To(ContainSubstring(a.dir + "/mutual"))
			Expect(a.said["capture"]).To(ContainSubstring(spec.Redacted))
			a.expectSecret(first, firstOf, second, secOf)
		},
		Entry("the user name, EIO", "userid", syscall.EIO),
		Entry("the password, EIO", "password", syscall.EIO),
		Entry("the password, EINVAL", "password", syscall.EINVAL),
		Entry("the target's name, EINVAL", "userid_mutual", syscall.EINVAL),
		Entry("the target's password, EINVAL", "password_mutual", syscall.EINVAL),
		Entry("the target's password, EIO", "password_mutual", syscall.EIO),
	)

	It("but for connect, when it is asked to show them", func(ctx SpecContext) {
		Expect(a.settle(ctx).Converged()).To(BeTrue())
		desired, observed := a.source.Load(ctx), observe.New(a.host).Observe(ctx)
		plan := plan.Make(plan.Input{Declared: desired, Observed: observed, Now: time.Now(), Started: time.Now(), MaxDeletions: 10})
		for format, shown := range map[string][]string{"json": {`"` + first + `"`}, "sh": {"\npassword=" + first, "\nmutual_password=" + firstOf}} {
			var out, remarks strings.Builder
			o := connectOptions{export: "data", initiator: "iqn.1993-08.org.debian:01:a", format: format, showSecrets: true}
			Expect(o.show(desired, observed, plan, addresses{netip.MustParseAddr("192.0.2.1")}, &out, &remarks)).To(Succeed())
			for _, text := range shown {
				Expect(out.String()).To(ContainSubstring(text))
			}
			Expect(remarks.String()).To(BeEmpty())
		}
		a.expectSecret(first, firstOf)
	})

	It("when their files are refused", func(ctx SpecContext) {
		Expect(a.settle(ctx).Converged()).To(BeTrue())
		file := filepath.Join(a.dir, chap)
		for why, spoil := range map[string]func() error{
			"is accessible to others (mode 0640)":      func() error { return os.Chmod(file, 0o640) },
			"is accessible to others (mode 0604)":      func() error { return os.Chmod(file, 0o604) },
			"10 bytes; at least 12":                    func() error { return os.WriteFile(file, []byte(stub), 0o600) },
			"control character":                        func() error { return os.WriteFile(file, []byte(refused+"\n"+refused+"\x00\n"), 0o600) },
			"has a password of 264 bytes":              func() error { return os.WriteFile(file, []byte(strings.Repeat(refused, 12)), 0o600) },
			"bytes; it must contain only the password": func() error { return os.WriteFile(file, []byte(strings.Repeat(refused, 300)), 0o600) },
			"the same password":                        func() error { return os.WriteFile(file, []byte(firstOf), 0o600) },
			"does not exist":                           func() error { return os.Remove(file) },
			"not a regular file":                       func() error { _ = os.Remove(file); return os.Mkdir(file, 0o700) },
			"(mode 0644)": func() error {
				_ = os.Rename(file, file+".real")
				_ = os.Chmod(file+".real", 0o644)
				return os.Symlink(file+".real", file)
			},
		} {
			a.put(chap, refused)
			Expect(spoil()).To(Succeed())
			a.loop.Pass(ctx)
			node, _ := a.loop.Status.Report()
			Expect(node.Findings).To(ConsistOf(HaveField("Message", ContainSubstring(why))))
			Expect(node.Objects).To(ContainElement(And(HaveField("Kind", spec.KindExport), HaveField("Reason", status.ReasonInvalid),
				HaveField("Message", ContainSubstring(reason)))))
			Expect(a.password("password")).To(Equal(first), "the last good content remains in effect")
			a.ask(ctx)
		}
		a.expectSecret(first, firstOf, refused, stub)
	})
})
