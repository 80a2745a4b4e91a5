package e2e

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/test/guest"
)

// filled is a text that begins as given and has a length, of the characters
// given over and over.
func filled(begin, characters string, length int) string {
	return (begin + strings.Repeat(characters, length/len(characters)+1))[:length]
}

// printable are all characters of ASCII that can be seen, but those given.
func printable(except string) string {
	var all strings.Builder
	for r := '!'; r <= '~'; r++ {
		if !strings.ContainsRune(except, r) {
			all.WriteRune(r)
		}
	}
	return all.String()
}

// quoted is a text as YAML takes it whatever is in it.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// loginAs is login for names and passwords that fit neither a file name nor a
// script.
func loginAs(ctx context.Context, iface, target, initiator string, settings ...string) guest.Result {
	GinkgoHelper()
	put(ctx, iscsiRecords+"/ifaces/"+iface, fmt.Sprintf("iface.iscsi_ifacename = %s\niface.transport_name = tcp\niface.initiatorname = %s\n", iface, initiator))
	node := []string{"iscsiadm", "-m", "node", "-T", target, "-p", loopback, "-I", iface}
	run := func(more ...string) guest.Result {
		r, err := vm.Run(ctx, append(node, more...)...)
		Expect(err).NotTo(HaveOccurred())
		return r
	}
	run("-o", "delete")
	Expect(run("-o", "new").ExitCode).To(BeZero())
	update := []string{"-o", "update", "-n", "node.session.initial_login_retry_max", "-v", "1"}
	for i := 0; i < len(settings); i += 2 {
		update = append(update, "-n", settings[i], "-v", settings[i+1])
	}
	r := run(update...)
	Expect(r.ExitCode).To(BeZero(), r.Stderr)
	r = run("-l")
	sh(ctx, "udevadm settle")
	return r
}

var _ = It("Names at their limits, and of every character that is accepted, work on a real kernel", func(ctx SpecContext) {
	var (
		longest   = filled("a", "-b0", 62) + "z"   // of an object
		longestLV = filled("+_.A", "b.C+d_0", 115) // with vg0, and without a hyphen
		longestTP = filled("_p", ".+Q", 115)       // of a thin pool
		targetIQN = filled("iqn.2026-11.org.x:t", ".-:0z", 223)
		hostIQN   = filled("iqn.2026-11.org.x:h", ":-.9a", 223)
		user      = filled("", printable(";"), 255)
		userBack  = filled("back", printable(";"), 255)
		password  = filled("!", " "+printable(""), 254) + "!"
		passBack  = filled("~", printable("")+" ", 254) + "!"
	)
	secret(ctx, "odd", password)
	secret(ctx, "odd-back", passBack)
	DeferCleanup(func(ctx SpecContext) {
		sh(ctx, "rm -f /etc/volreconciler/secrets/odd* "+iscsiRecords+"/ifaces/odd*")
	}, NodeTimeout(limit))

	documents := []string{
		"kind: Pool\nmetadata: {name: " + longest + "}\nspec: {volumeGroup: vg0, thinPool: {name: " + quoted(longestTP) + ", size: 1Gi}}",
		thickPool,
		volume(longest, longest, "16Mi", "lvName: "+quoted(longestLV)),
		snapshot(longest[:61]+"yz", longest, ""),
		fmt.Sprintf("kind: Export\nmetadata: {name: %s}\nspec: {protocol: iscsi, target: '%s', luns: [{volume: %s, lun: 255}, {snapshot: %s}], initiators: ["+
			"{name: '%s', auth: {chap: {username: %s, passwordFrom: {file: /etc/volreconciler/secrets/odd}}, mutual: {username: %s, passwordFrom: {file: /etc/volreconciler/secrets/odd-back}}}}, "+
			"{name: eui.0123456789abcdef}, {name: naa.5123456789abcdef}]}",
			longest, targetIQN, longest, longest[:61]+"yz", hostIQN, quoted(user), quoted(userBack)),
	}
	names := []string{"lun_0", "tpgt_1", "discovery_auth", "nul", "NULL", "+", "_", "a..b", "con.f", "x-tpool", "a--b", "lvol0", "0"}
	for i, name := range names {
		documents = append(documents, volume(fmt.Sprintf("v%d", i), "slow", "4Mi", "lvName: "+quoted(name)))
	}
	var luns []string
	for i := range names {
		luns = append(luns, fmt.Sprintf("{volume: v%d}", i))
	}
	documents = append(documents, export("tpgt-1", strings.Join(luns, ", ")))
	specs(ctx, "all.yaml", documents...)
	agent()
	allReady(ctx, len(documents))

	By("what is there is what is meant")
	tags := strings.Fields(sh(ctx, "lvs --noheadings --separator @ -o lv_name,lv_tags vg0 | sed 's|volreconciler/by=[^,]*,||'"))
	var want []string
	mark := func(lv, kind, name string) {
		want = append(want, fmt.Sprintf("%s@volreconciler/deletion=retain,volreconciler/kind=%s,volreconciler/name=%s,volreconciler/product=%s", lv, kind, name, ondisk.ProductName(name)))
	}
	mark(longestLV, "volume", longest)
	mark(longest[:61]+"yz", "snapshot", longest[:61]+"yz")
	for i, name := range names {
		mark(name, "volume", fmt.Sprintf("v%d", i))
	}
	Expect(tags).To(ContainElements(want))
	Expect(tags).To(HaveLen(len(want) + 1)) // and the thin pool
	before := fingerprint(ctx)
	passes(ctx, 2)
	Expect(fingerprint(ctx)).To(Equal(before))

	By("logging in with a name and a password of all characters, at their limits")
	settings := append(chap(user, password), mutualCHAP(userBack, passBack)...)
	r := loginAs(ctx, "odd", targetIQN, hostIQN, settings...)
	Expect(r.ExitCode).To(BeZero(), r.Stderr)
	sh(ctx, "dd if=/dev/zero of="+disk(ctx, "Volume/"+longest)+" bs=4k count=1 oflag=direct")
	sh(ctx, "iscsiadm -m node -T "+targetIQN+" -u")
	wrong := append(chap(user, password[:254]+"?"), mutualCHAP(userBack, passBack)...)
	Expect(loginAs(ctx, "odd", targetIQN, hostIQN, wrong...).ExitCode).NotTo(BeZero())
}, NodeTimeout(limit))
