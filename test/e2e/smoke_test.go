package e2e

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// One short history on the kernels of Debian's releases, which an emulator is slow to
// run: what all others do on a kernel that is newer.
var _ = It("The main job is done on this kernel, after a crash too", Label("smoke"), func(ctx SpecContext) {
	secret(ctx, "smoke", "a-password-of-16")
	specs(ctx, "all.yaml", thinPool, volume("data", "fast", "64Mi", ""), snapshot("snap", "data", "deletionPolicy: Delete"),
		`kind: Export
metadata: {name: data}
spec:
  protocol: iscsi
  luns: [{volume: data}]
  initiators: [{name: "`+dbHost+`", auth: {chap: {username: db, passwordFrom: {file: /etc/volreconciler/secrets/smoke}}}}]`)
	agent()
	allReady(ctx, 4)
	Expect(login(ctx, target("data"), loopback, dbHost, chap("db", "a-password-of-16")...).ExitCode).To(BeZero())
	fill(ctx, disk(ctx, "Volume/data"), "precious", 4)
	data := content(ctx, disk(ctx, "Volume/data"), 4)

	kill(ctx)
	specs(ctx, "more.yaml", volume("more", "fast", "64Mi", "source: {volume: data}"))
	agent()
	allReady(ctx, 5)
	Expect(content(ctx, "/dev/vg0/more", 4)).To(Equal(data))
	Expect(content(ctx, disk(ctx, "Volume/data"), 4)).To(Equal(data))
	before := fingerprint(ctx)
	passes(ctx, 2)
	Expect(fingerprint(ctx)).To(Equal(before))
	logout(ctx, target("data"), dbHost)
}, NodeTimeout(limit))
