package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gbytes"
	"github.com/onsi/gomega/types"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/test/guest"
)

// secrets are the CHAP passwords that the examples name.
var secrets = map[string]string{
	"db":        "correct-horse-battery",
	"mail":      "staple-of-the-mail",
	"mail-back": "the-node-is-genuine",
}

// sh runs a script in the guest and returns what it printed. The spec fails if
// the script does.
func sh(ctx context.Context, script string) string {
	GinkgoHelper()
	r := try(ctx, script)
	Expect(r.ExitCode).To(BeZero(), "%s\n%s%s", script, r.Stdout, r.Stderr)
	return strings.TrimSpace(r.Stdout)
}

// try runs a script in the guest that may fail.
func try(ctx context.Context, script string) guest.Result {
	GinkgoHelper()
	began := time.Now()
	r, err := vm.Sh(ctx, script)
	Expect(err).NotTo(HaveOccurred(), script)
	if took := time.Since(began); took > time.Second {
		GinkgoWriter.Printf("%.1fs: %s\n", took.Seconds(), strings.TrimSpace(script))
	}
	return r
}

// ground is what figures were taken on.
func ground(ctx context.Context) string {
	GinkgoHelper()
	return sh(ctx, `. /etc/os-release
		echo "guest kernel=$(uname -r) machine=$([ -e /sys/class/block/ubda ] && echo uml || echo qemu) userspace=${VERSION_CODENAME:-testing} lvm2=$(lvm version | sed -n 's/.*LVM version: *\([0-9.]*\).*/\1/p') host-processors=`+strconv.Itoa(runtime.NumCPU())+`"`)
}

// put writes a file in the guest, by way of a rename as careful tools do.
func put(ctx context.Context, path, content string) {
	GinkgoHelper()
	_, err := vm.Exec(ctx, guest.Command{
		Argv:  []string{"sh", "-c", `mkdir -p "${1%/*}" && cat > "$1.tmp" && mv "$1.tmp" "$1"`, "put", path},
		Stdin: []byte(content),
	})
	Expect(err).NotTo(HaveOccurred())
}

// specs writes a file into the spec directory. The documents need no apiVersion.
func specs(ctx context.Context, name string, documents ...string) {
	GinkgoHelper()
	for i, d := range documents {
		documents[i] = "apiVersion: volreconciler/v1alpha1\n" + d
	}
	put(ctx, "/specs/"+name, strings.Join(documents, "\n---\n"))
}

func remove(ctx context.Context, names ...string) {
	GinkgoHelper()
	for _, name := range names {
		sh(ctx, "rm /specs/"+name)
	}
}

// examples copies those examples of the repository into the spec directory that
// every node can serve.
func examples(ctx context.Context) {
	GinkgoHelper()
	exampleFiles(ctx, "*.yaml")
}

// exampleFiles copies the examples whose names match.
func exampleFiles(ctx context.Context, patterns ...string) {
	GinkgoHelper()
	var files []string
	for _, pattern := range patterns {
		matches, err := filepath.Glob("../../examples/specs/" + pattern)
		Expect(err).NotTo(HaveOccurred())
		Expect(matches).NotTo(BeEmpty(), pattern)
		files = append(files, matches...)
	}
	for _, f := range files {
		content, err := os.ReadFile(f)
		Expect(err).NotTo(HaveOccurred())
		put(ctx, "/specs/"+filepath.Base(f), string(content))
	}
}

func secret(ctx context.Context, name, password string) {
	GinkgoHelper()
	path := "/etc/volreconciler/secrets/" + name
	put(ctx, path, password+"\n")
	sh(ctx, "chmod 600 "+path)
}

// running is the log of the agent that was started last.
var running *gbytes.Buffer

// byEvents are flags of an agent that looks when the kernel announces something, as it does on a node of
// others.
var byEvents = []string{"--audit", "10m"}

// agent starts the agent and stops it when the spec ends. It reads everything once a second: most specs
// change what no kernel announces, such as the programs that it starts. Flags come last, so that they
// win.
func agent(flags ...string) *gbytes.Buffer {
	GinkgoHelper()
	log := gbytes.NewBuffer()
	argv := append([]string{"volreconciler", "run", "--specs", "/specs", "--resync", "1s", "--audit", "1s", "--deletion-grace", "1s", "--log-format", "json", "--log-level", "debug"}, flags...)
	running = log
	background, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = vm.Exec(background, guest.Command{Argv: argv, Stdout: log, Stderr: log})
	}()
	DeferCleanup(func() {
		cancel()
		<-ended
		if CurrentSpecReport().Failed() {
			AddReportEntry("agent", string(log.Contents()))
		}
	})
	return log
}

// endAgent ends the agent as a crash would, between two system calls: if whoever makes a
// portal is killed in just that call, Linux may keep its address, and nothing can listen
// there again until a reboot (docs/kernels.md).
const endAgent = `
	pkill -STOP -x volreconciler && for i in $(seq 100); do
		ps -L -C volreconciler -o state= | grep -q '[^T[:space:]]' || break; sleep 0.05
	done
	pkill -9 -x volreconciler; while pgrep -x volreconciler >/dev/null; do sleep 0.05; done
`

func kill(ctx context.Context) {
	GinkgoHelper()
	sh(ctx, endAgent)
}

// statusOf asks the running agent for an object's status, as Kind/name.
func statusOf(ctx context.Context, id string) status.Object {
	for _, o := range objects(ctx) {
		if o.ID().String() == id {
			return o
		}
	}
	return status.Object{}
}

func objects(ctx context.Context) []status.Object {
	return nodeStatus(ctx).Objects
}

// nodeStatus is empty while no agent answers.
func nodeStatus(ctx context.Context) status.Report {
	var s status.Report
	r, err := vm.Run(ctx, "curl", "-sf", "--unix-socket", "/run/volreconciler/agent.sock", "http://agent/v1/status")
	if err != nil || r.ExitCode != 0 || json.Unmarshal([]byte(r.Stdout), &s) != nil {
		return status.Report{}
	}
	return s
}

// eventually waits until an object's status matches.
func eventually(ctx context.Context, id string, m types.GomegaMatcher) {
	GinkgoHelper()
	Eventually(ctx, func() status.Object { return statusOf(ctx, id) }).Should(m)
}

// allReady waits until the agent says that all n objects are as desired, in a
// pass that began after this call.
func allReady(ctx context.Context, n int) {
	GinkgoHelper()
	passes(ctx, 2)
	Eventually(ctx, func() []status.Object { return objects(ctx) }).WithTimeout(patience).Should(
		And(HaveLen(n), HaveEach(HaveField("Phase", status.Ready))))
}

// pass is the line that the agent logs at the end of a pass.
var pass = regexp.MustCompile(`"msg":"pass".*"steps":(\d+)`)

// passes waits until the agent has made so many passes in a row that had nothing
// to do but what fails. The last of two began after the call. It looks into the
// log, because asking the agent costs an emulated processor more than a pass
// does.
func passes(ctx context.Context, n int) {
	GinkgoHelper()
	from := len(running.Contents())
	Eventually(ctx, func() int {
		look(ctx)
		idle := 0
		for _, line := range pass.FindAllSubmatch(running.Contents()[from:], -1) {
			if string(line[1]) != "0" {
				idle = 0
			}
			idle++
		}
		return idle
	}).WithTimeout(patience).Should(BeNumerically(">=", n))
}

// look makes an agent that has begun to work read everything again: it does nothing as long as nothing
// happens.
func look(ctx context.Context) {
	if pass.Match(running.Contents()) {
		try(ctx, "pkill -HUP -x volreconciler")
	}
}

func beIn(phase status.Phase, reason string) types.GomegaMatcher {
	return And(HaveField("Phase", phase), HaveField("Reason", reason))
}

// fingerprint is all that must not change while nothing is to be done: LVM's
// metadata, whose sequence number counts every write, and what is in configfs,
// whose times tell nothing.
func fingerprint(ctx context.Context) string {
	GinkgoHelper()
	return sh(ctx, `vgs --noheadings -o vg_name,vg_seqno; lvs --noheadings -o lv_full_name,lv_uuid,lv_tags,lv_size,lv_active
		cd /sys/kernel/config/target && find . -printf '%p %l\n' | sort`)
}

// login makes the guest's initiator log in to a target under a name and
// returns how that ended. The records are written as iscsiadm would: each call of
// it takes an emulated processor a second.
func login(ctx context.Context, target, portal, initiator string, settings ...string) guest.Result {
	GinkgoHelper()
	return loginOver(ctx, "tcp", ifaceName(initiator), target, portal, initiator, settings...)
}

// loginOver is login over a transport that iscsiadm knows, with a record of the
// initiator's own name for the two together.
func loginOver(ctx context.Context, transport, iface, target, portal, initiator string, settings ...string) guest.Result {
	GinkgoHelper()
	put(ctx, iscsiRecords+"/ifaces/"+iface, fmt.Sprintf("iface.iscsi_ifacename = %s\niface.transport_name = %s\niface.initiatorname = %s\n", iface, transport, initiator))
	node := fmt.Sprintf("iscsiadm -m node -T %s -p %s -I %s", target, portal, iface)
	update := []string{"node.session.initial_login_retry_max", "1", "node.session.timeo.replacement_timeout", "5"}
	script := ""
	for pair := range slices.Chunk(append(update, settings...), 2) {
		script += fmt.Sprintf("/^%s = /d\n/^# END RECORD/i %s = %s\n", pair[0], pair[0], pair[1])
	}
	put(ctx, "/tmp/record.sed", script)
	return try(ctx, node+" -o new >/dev/null && grep -rl 'iface.iscsi_ifacename = "+iface+"$' "+iscsiRecords+"/nodes/"+target+" | xargs sed -i -f /tmp/record.sed && "+node+" -l && udevadm settle")
}

func logout(ctx context.Context, target, initiator string) {
	GinkgoHelper()
	sh(ctx, fmt.Sprintf("iscsiadm -m node -T %s -I %s -u && udevadm settle", target, ifaceName(initiator)))
}

func ifaceName(initiator string) string {
	_, name, _ := strings.Cut(initiator, ":")
	return strings.NewReplacer(":", "-").Replace(name)
}

// chap are the settings of an initiator for one-way CHAP.
func chap(username, password string) []string {
	return []string{
		"node.session.auth.authmethod", "CHAP",
		"node.session.auth.username", username, "node.session.auth.password", password,
	}
}

// mutualCHAP adds what the initiator asks of the target.
func mutualCHAP(username, password string) []string {
	return []string{"node.session.auth.username_in", username, "node.session.auth.password_in", password}
}

// disk returns the initiator's device for an object, found by its WWN. It waits for it: the
// initiator looks for disks after the login has ended.
func disk(ctx context.Context, id string) string {
	GinkgoHelper()
	o := statusOf(ctx, id)
	v := o.Volume
	if v == nil {
		v = o.Snapshot
	}
	Expect(v).NotTo(BeNil(), id)
	device := "/dev/disk/by-id/wwn-0x" + strings.TrimPrefix(v.WWN, "naa.")
	sh(ctx, "for i in $(seq 100); do [ -b "+device+" ] && exit; sleep 0.1; done; ls -l /dev/disk/by-id; exit 1")
	return device
}
