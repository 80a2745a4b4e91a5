package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/test/soak"
)

// kernel is the guest as a history needs it.
type kernel struct {
	hands
	lives int
	dying bool
	looks int
	usage []usage
}

var (
	_ soak.Node    = (*kernel)(nil)
	_ soak.Cluster = (*kernel)(nil)
)

// usage is what the agent holds of the node.
type usage struct{ fds, threads, rss int }

func (k *kernel) Put(ctx context.Context, name, text string) error {
	if text == "" {
		remove(ctx, name)
		return nil
	}
	put(ctx, "/specs/"+name, strings.ReplaceAll(text, "SECRETS", "/etc/volreconciler/secrets"))
	return nil
}

func (k *kernel) Secret(ctx context.Context, name, password string) error {
	// Never readable by others, not for a moment: that would be a finding.
	sh(ctx, fmt.Sprintf("cd /etc/volreconciler/secrets && umask 077 && echo %s > %s.tmp && mv %s.tmp %s", password, name, name, name))
	return nil
}

func (k *kernel) Hide(context.Context) error { return k.run("mv", "/specs", "/away") }
func (k *kernel) Show(context.Context) error { return k.run("mv", "/away", "/specs") }

func (k *kernel) Kill(ctx context.Context, after int) error {
	switch {
	case after == 0:
		kill(ctx)
		k.dying = true
	case after > 0:
		sh(ctx, fmt.Sprintf("(sleep %.1f; pkill -9 -x volreconciler) >/dev/null 2>&1 </dev/null &", float64(after)/5))
		k.dying = true
	}
	return nil
}

func (k *kernel) Start(context.Context) error {
	agent()
	k.lives++
	k.dying = false
	return nil
}

func (k *kernel) Lives() int     { return k.lives }
func (k *kernel) RealTime() bool { return true }

func (k *kernel) Day(context.Context) {}

func (k *kernel) Rest(ctx context.Context) error {
	if k.dying {
		sh(ctx, "while pgrep -x volreconciler >/dev/null; do sleep 0.1; done")
		if err := k.Start(ctx); err != nil {
			return err
		}
	}
	k.rest(ctx)
	return nil
}

// passed is a pass in the log.
var passed = regexp.MustCompile(`"msg":"pass".*"steps":(\d+),"failed":(\d+)`)

// rest waits for two passes in a row of which nothing came. The second began
// after the call.
func (k *kernel) rest(ctx context.Context) {
	GinkgoHelper()
	from := len(running.Contents())
	Eventually(ctx, func() int {
		look(ctx)
		idle := 0
		for _, m := range passed.FindAllSubmatch(running.Contents()[from:], -1) {
			idle++
			if string(m[1]) != string(m[2]) {
				idle = 0
			}
		}
		return idle
	}).WithTimeout(patience).WithPolling(200*time.Millisecond).Should(BeNumerically(">=", 2), func() string {
		log := string(running.Contents())
		return log[max(0, len(log)-4000):]
	})
}

// Idle looks closely now and then only: that there were two passes without a
// change is known already.
func (k *kernel) Idle(ctx context.Context) ([]string, error) {
	fields := strings.Fields(sh(ctx, `p=$(pgrep -x volreconciler) && cd /proc/$p && ls fd | wc -l && awk '/^Threads|^VmRSS/{print $2}' status`))
	Expect(fields).To(HaveLen(3), "one agent")
	var n [3]int
	for i, f := range fields {
		n[i], _ = strconv.Atoi(f)
	}
	k.usage = append(k.usage, usage{fds: n[0], rss: n[1], threads: n[2]})
	if k.looks++; k.looks%5 != 0 {
		return nil, nil
	}
	before := fingerprint(ctx)
	k.rest(ctx)
	if after := fingerprint(ctx); after != before {
		return []string{before, after}, nil
	}
	return nil, nil
}

func (k *kernel) Status(ctx context.Context) (status.Report, error) {
	return nodeStatus(ctx), nil
}

func (k *kernel) Look(ctx context.Context) (fakehost.Node, error) {
	n := captured(ctx)
	contents := pairs(sh(ctx, `for d in /dev/vg0/*; do
		[ -e $d ] && printf '%s\t%s\n' "${d##*/}" "$(dd if=$d bs=4096 count=1 iflag=direct status=none | tr -d '\0')"; done; true`))
	for _, g := range n.VolumeGroups {
		for i := range g.LogicalVolumes {
			lv := &g.LogicalVolumes[i]
			text, read := contents[lv.Name]
			if lv.Content = text; !read {
				lv.Content = soak.Unread
			}
		}
	}
	passwords := pairs(sh(ctx, `cd /sys/kernel/config/target 2>/dev/null && for f in iscsi/*/tpgt_1/acls/*/auth/password; do
		[ -e $f ] && printf '%s\t%s\n' $f "$(cat $f)"; done; true`))
	for i, e := range n.ConfigFS {
		if password, is := passwords[e.Path]; is {
			n.ConfigFS[i].Text = &password
		}
	}
	return n, nil
}

// pairs takes lines apart that are a name and a text.
func pairs(lines string) map[string]string {
	found := map[string]string{}
	for line := range strings.Lines(lines) {
		name, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		found[name] = text
	}
	return found
}

// middle is the median of what the agent held in some rounds.
func middle(of []usage, what func(usage) int) int {
	var values []int
	for _, u := range of {
		values = append(values, what(u))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// grew compares the first third of the rounds with the last one.
func (k *kernel) grew(what func(usage) int) (from, to int) {
	if len(k.usage) == 0 {
		return 0, 0
	}
	third := max(1, len(k.usage)/3)
	return middle(k.usage[:third], what), middle(k.usage[len(k.usage)-third:], what)
}

// setting is a number from the environment.
func setting(name string, otherwise uint64) uint64 {
	GinkgoHelper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	Expect(err).NotTo(HaveOccurred(), name)
	return n
}

// work lets an administrator work on the guest for a time.
func work(ctx context.Context, atMost time.Duration) {
	GinkgoHelper()
	seed := setting("SOAK_SEED", rand.Uint64N(1_000_000)) //nolint:gosec // it is printed
	began, where := time.Now(), ground(ctx)
	k := &kernel{hands: hands{ctx}}
	h := soak.History{Node: k, Seed: seed, Patience: 20, Busy: 5, Say: func(line string) { GinkgoWriter.Println(line) }}
	DeferCleanup(func(ctx SpecContext) { sh(ctx, "rm -rf /away") })
	defer func() {
		fds, fdsAfter := k.grew(func(u usage) int { return u.fds })
		rss, rssAfter := k.grew(func(u usage) int { return u.rss })
		threads, threadsAfter := k.grew(func(u usage) int { return u.threads })
		line := fmt.Sprintf("soak seed=%d minutes=%.1f rounds=%d actions=%d kills=%d lost=%d leaked=%d fds=%d→%d threads=%d→%d rss=%dMi→%dMi",
			seed, time.Since(began).Minutes(), h.Rounds, h.Actions, h.Kills, h.Lost, h.Leaked, fds, fdsAfter, threads, threadsAfter, rss>>10, rssAfter>>10)
		AddReportEntry(line+" "+where, ReportEntryVisibilityAlways)
	}()
	Expect(h.Begin(ctx)).To(Succeed())
	for h.Rounds < 2 || time.Since(began) < atMost {
		Expect(h.Round(ctx)).To(Succeed())
	}
	for what, of := range map[string]func(usage) int{
		"file descriptors": func(u usage) int { return u.fds }, "threads": func(u usage) int { return u.threads }, "memory in MiB": func(u usage) int { return u.rss >> 10 },
	} {
		from, to := k.grew(of)
		Expect(to).To(BeNumerically("<=", from+from/3+10), what)
	}
	// Beside the agent and its lvm nothing is left of it.
	Expect(strings.Fields(sh(ctx, "pgrep -x lvm | wc -l; pgrep -x volreconciler | wc -l"))).To(Or(Equal([]string{"1", "1"}), Equal([]string{"0", "1"})))
}

var _ = Describe("An administrator at work at the same time", func() {
	It("for a moment: nothing is lost and nothing is left", func(ctx SpecContext) {
		work(ctx, 40*time.Second)
	}, NodeTimeout(limit))

	It("for long", Label("soak"), func(ctx SpecContext) {
		work(ctx, time.Duration(setting("SOAK_MINUTES", 30))*time.Minute)
	}, NodeTimeout(12*time.Hour))
})
