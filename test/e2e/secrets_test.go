package e2e

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/test/guest"
)

// canary is looked for like a secret and found, so that whoever looks is known
// to look.
const canary = "canary-that-must-be-seen"

// traces are the texts by which a secret would be found: its first 8 characters,
// in which it and all longer beginnings of it are found, and the same in
// hexadecimal and in base64, wherever in a group of three bytes it begins.
func traces(secrets ...string) []string {
	var found []string
	for _, s := range secrets {
		begin := s[:8]
		found = append(found, begin, hex.EncodeToString([]byte(begin)), strings.ToUpper(hex.EncodeToString([]byte(begin))))
		for pad := range 3 {
			encoded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat(".", pad) + begin))
			found = append(found, encoded[(pad*8+5)/6:(pad+8)*8/6])
		}
	}
	return found
}

// background runs a script in the guest until the spec ends. The script is in a
// file, so that what is in it is in no command line.
func background(ctx context.Context, name, script string) {
	GinkgoHelper()
	path := "/tmp/" + name + ".sh"
	put(ctx, path, script)
	running, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = vm.Exec(running, guest.Command{Argv: []string{"sh", path}})
	}()
	DeferCleanup(func() { stop(); <-ended })
}

// beRefused is the status of an export of which a password file is refused, with
// the reason.
func beRefused(why string) types.GomegaMatcher {
	return And(beIn(status.Blocked, status.ReasonInvalid),
		HaveField("Message", And(ContainSubstring("passwordFrom.file"), ContainSubstring(why))))
}

var _ = It("Passwords are replaced under a live session, and are nowhere but in their files and the kernel", func(ctx SpecContext) {
	const (
		first, second   = "Zk4w-first-of-chap", "Qm9x-second-of-chap"
		firstOf, secOf  = "Vt7h-first-of-mutual", "Jr2b-second-of-mutual"
		refused, stub   = "Xy6p-in-a-refused-file", "Lw3fshort9"
		other           = "iqn.1993-08.org.debian:01:other-host"
		file, back      = "/etc/volreconciler/secrets/rotated", "/etc/volreconciler/secrets/rotated-back"
		portalGroup     = "/sys/kernel/config/target/iscsi/iqn.2026-11.io.volreconciler:rotated/tpgt_1"
		passwordsOfBoth = "cat " + portalGroup + "/acls/*/auth/password " + portalGroup + "/acls/*/auth/password_mutual"
	)
	searched := traces(first, second, firstOf, secOf, refused, stub)
	put(ctx, "/tmp/traces", strings.Join(append(searched, canary), "\n")+"\n")
	DeferCleanup(func(ctx SpecContext) {
		sh(ctx, "rm -rf "+file+"* "+back+" /tmp/traces /tmp/seen /tmp/rounds /tmp/outputs")
	}, NodeTimeout(limit))
	background(ctx, "watch", `cd /proc
		while :; do
			cat [0-9]*/cmdline [0-9]*/environ 2>/dev/null | tr '\0' '\n' | grep -a -F -f /tmp/traces >> /tmp/seen
			echo >> /tmp/rounds
			sleep 1
		done`)

	secret(ctx, "rotated", first)
	secret(ctx, "rotated-back", firstOf)
	auth := ", auth: {chap: {username: db, passwordFrom: {file: " + file + "}}, mutual: {username: node, passwordFrom: {file: " + back + "}}}}"
	specs(ctx, "all.yaml", thinPool, volume("rotated", "fast", "16Mi", ""),
		strings.Replace(export("rotated", "{volume: rotated}"), "}]}", auth+", {name: '"+other+"'"+auth+"]}", 1))
	agent()
	allReady(ctx, 3)
	with := func(password, mutual string) []string {
		return append(chap("db", password), mutualCHAP("node", mutual)...)
	}
	Expect(login(ctx, target("rotated"), loopback, dbHost, with(first, firstOf)...).ExitCode).To(BeZero())
	session, device := sh(ctx, "iscsiadm -m session"), disk(ctx, "Volume/rotated")
	writes := func() { sh(ctx, "dd if=/dev/zero of="+device+" bs=4k count=16 oflag=direct") }
	writes()

	By("replacing both")
	secret(ctx, "rotated-back", secOf)
	secret(ctx, "rotated", second)
	Eventually(ctx, func() string { return sh(ctx, passwordsOfBoth) }).Should(Equal(strings.Join([]string{second, second, secOf, secOf}, "\n")))
	Expect(login(ctx, target("rotated"), loopback, other, with(first, secOf)...).ExitCode).NotTo(BeZero(), "the old password")
	Expect(login(ctx, target("rotated"), loopback, other, with(second, secOf)...).ExitCode).To(BeZero())
	logout(ctx, target("rotated"), other)
	writes()

	By("files that are refused")
	put(ctx, "/tmp/short", stub+"\n")
	put(ctx, file+".good", refused+"\n")
	for _, c := range []struct{ script, why string }{
		{"chmod 640 $F", "is accessible to others (mode 0640)"},
		{"chown 1 $F", "belongs to another user"},
		{"chmod 644 $F; mv $F $F.real; ln -s $F.real $F", "is accessible to others (mode 0644)"},
		{"cp /tmp/short $F", "10 bytes; at least 12"},
		{`tr - '\0' < $F > $F.new; cat $F.new > $F`, "control character"},
		{"rm $F", "does not exist"},
	} {
		sh(ctx, fmt.Sprintf("F=%s; rm -rf $F $F.real $F.new; (umask 077; cat $F.good > $F); %s", file, c.script))
		eventually(ctx, "Export/rotated", beRefused(c.why))
	}
	sh(ctx, "rm -rf /tmp/outputs && mkdir /tmp/outputs && volreconciler get -o yaml > /tmp/outputs/refused 2>&1 && volreconciler describe export rotated >> /tmp/outputs/refused 2>&1")
	Expect(sh(ctx, "cat /tmp/outputs/refused")).To(ContainSubstring("passwordFrom.file"))
	sh(ctx, "rm -rf "+file)
	secret(ctx, "rotated", second)
	allReady(ctx, 3)

	By("the session that has been there all the time")
	Expect(sh(ctx, "iscsiadm -m session")).To(Equal(session))
	writes()

	By("all that the agent says")
	sh(ctx, `cd /tmp/outputs
		for format in wide yaml json; do volreconciler get -o $format; volreconciler get export rotated -o $format; done > get 2>&1
		for object in 'export rotated' 'volume rotated' 'pool fast'; do volreconciler describe $object; done > describe 2>&1
		curl -sf --unix-socket /run/volreconciler/agent.sock http://agent/v1/status > status
		volreconciler capture > capture 2>&1; volreconciler validate /specs > validate 2>&1`)
	Expect(sh(ctx, "grep -c '<redacted>' /tmp/outputs/capture")).NotTo(Equal("0"))
	kill(ctx)
	sh(ctx, "printf something-else-altogether > "+portalGroup+"/acls/"+dbHost+"/auth/password")
	sh(ctx, `cd /tmp/outputs
		volreconciler plan --specs /specs > plan 2>&1; volreconciler plan --specs /specs -o json > plan.json 2>&1
		volreconciler apply --specs /specs > apply 2>&1; dmesg > dmesg`)
	Expect(sh(ctx, "cat /tmp/outputs/plan /tmp/outputs/apply")).To(ContainSubstring("set authentication of initiator " + dbHost))
	Expect(sh(ctx, passwordsOfBoth)).To(HavePrefix(second))

	By("looking for them")
	// The pattern is in the command line of this shell, which is the point.
	sh(ctx, ": "+canary+`; n=$(wc -l < /tmp/rounds); until [ $(wc -l < /tmp/rounds) -gt $((n + 2)) ]; do sleep 0.1; done`)
	Expect(sh(ctx, "grep -c -F "+canary+" /tmp/seen")).NotTo(Equal("0"))
	Expect(sh(ctx, "grep -v -F "+canary+" /tmp/seen || true")).To(BeEmpty(), "command lines and environments")
	places := "/tmp/outputs /var/lib/volreconciler /run/volreconciler /etc/lvm /specs /run/lvm"
	Expect(sh(ctx, "grep -a -r -l -F -f /tmp/traces "+places+" || true")).To(BeEmpty())
	Expect(sh(ctx, "grep -l -F -f /tmp/traces "+file)).To(Equal(file), "what is looked for is what is there")
	Expect(string(running.Contents())).To(And(ContainSubstring(`"level":"debug"`), ContainSubstring("set authentication of initiator")))
	for _, text := range searched {
		Expect(string(running.Contents())).NotTo(ContainSubstring(text))
	}
	GinkgoWriter.Println("rounds:", sh(ctx, "wc -l < /tmp/rounds"), "outputs and files:", sh(ctx, "find "+places+" -type f | wc -l"), "bytes of log:", len(running.Contents()))
}, NodeTimeout(limit))
