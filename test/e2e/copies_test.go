package e2e

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

// scatter writes data here and there into the first 64 MiB, so that there are holes
// between, and returns the checksum of that.
func scatter(ctx context.Context, path string) string {
	GinkgoHelper()
	sh(ctx, fmt.Sprintf(`for at in 0 7 8 31 63; do
		dd if=/dev/urandom of=%s bs=1M count=1 seek=$at conv=notrunc,fsync status=none; done
		printf odd | dd of=%[1]s bs=1 seek=20971521 conv=notrunc,fsync status=none`, path))
	if strings.HasPrefix(path, "/dev/") {
		return content(ctx, path, 64)
	}
	return sh(ctx, "head -c 64M "+path+" | sha256sum")
}

// dirty leaves no zeroes in the first extents of vg0, which LVM gives away first.
func dirty(ctx context.Context, mib int) {
	GinkgoHelper()
	sh(ctx, fmt.Sprintf(`set -e; lvcreate -qq -y -Wn -Zn -L %dm -n dirt vg0; tr '\0' '\252' </dev/zero | dd of=/dev/vg0/dirt bs=1M count=%[1]d iflag=fullblock oflag=direct status=none
		lvremove -qq -y vg0/dirt`, mib))
}

var _ = It("Volumes are made from others, which may be in use", func(ctx SpecContext) {
	dirty(ctx, 300)
	specs(ctx, "pools.yaml", thinPool, thickPool)
	specs(ctx, "sources.yaml", volume("thick", "slow", "64Mi", ""), volume("thin", "fast", "64Mi", ""),
		snapshot("thick-snap", "thick", "size: 16Mi"), snapshot("thin-snap", "thin", ""), export("sources", "{volume: thick}, {volume: thin}"))
	agent()
	allReady(ctx, 7)
	Expect(login(ctx, target("sources"), loopback, dbHost).ExitCode).To(BeZero())
	// A thick snapshot keeps what was there; a thin one as well.
	old := map[string]string{"thick-snap": content(ctx, "/dev/vg0/thick", 64), "thin-snap": content(ctx, "/dev/vg0/thin", 64)}
	old["thick"], old["thin"] = scatter(ctx, disk(ctx, "Volume/thick")), scatter(ctx, disk(ctx, "Volume/thin"))

	By("of every kind, larger than their source")
	var names, documents []string
	for _, pool := range []string{"slow", "fast"} {
		for _, source := range []string{"volume: thick", "volume: thin", "snapshot: thick-snap", "snapshot: thin-snap"} {
			name := pool + "-of-" + strings.ReplaceAll(source, ": ", "-")
			names = append(names, name)
			documents = append(documents, volume(name, pool, "80Mi", "source: {"+source+"}"))
		}
	}
	specs(ctx, "copies.yaml", append(documents, export("copies", "{volume: "+strings.Join(names, "}, {volume: ")+"}"))...)
	allReady(ctx, 7+len(names)+1)
	for _, name := range names {
		source := name[strings.LastIndex(name, "-t")+1:]
		if strings.HasSuffix(name, "-snap") {
			source = strings.TrimPrefix(name[strings.Index(name, "snapshot-"):], "snapshot-")
		}
		Expect(content(ctx, "/dev/vg0/"+name, 64)).To(Equal(old[source]), name)
		Expect(statusOf(ctx, "Volume/"+name).Volume.Size).To(BeEquivalentTo(80 << 20))
	}
	// What kept the old data of a source is cleared after the copy is complete.
	Eventually(ctx, func() string { return sh(ctx, "lvs --noheadings -o lv_name,lv_tags vg0") }).ShouldNot(Or(ContainSubstring("source-"), ContainSubstring("populating"), ContainSubstring("checkpoint")))

	By("that are independent of it")
	remove(ctx, "copies.yaml")
	specs(ctx, "copies.yaml", documents[4], documents[5])
	scatter(ctx, disk(ctx, "Volume/thin"))
	Expect(content(ctx, "/dev/vg0/fast-of-volume-thin", 64)).To(Equal(old["thin"]))
}, NodeTimeout(limit))

var _ = It("A copy or an import that is killed goes on, and is nobody's to use before it is complete", func(ctx SpecContext) {
	dirty(ctx, 650)
	image := sh(ctx, "mkdir -p /run/images; head -c 64M /dev/urandom > /run/images/raw; sha256sum < /run/images/raw")
	specs(ctx, "all.yaml", thickPool, volume("from", "slow", "256Mi", ""))
	agent()
	allReady(ctx, 2)
	sh(ctx, "dd if=/dev/urandom of=/dev/vg0/from bs=1M count=256 oflag=direct status=none")
	want := content(ctx, "/dev/vg0/from", 256)
	kill(ctx)
	slow := []string{"--copy-rate", "3Mi"} // to be looked at while it goes on
	agent(slow...)
	specs(ctx, "copy.yaml", volume("copy", "slow", "256Mi", "source: {volume: from}"), volume("imported", "slow", "64Mi", "source: {image: {path: /run/images/raw, format: raw}}"),
		export("copy", "{volume: copy}, {volume: imported}"))
	for range 3 {
		eventually(ctx, "Volume/imported", And(HaveField("Phase", status.Progressing), HaveField("Progress", HaveField("Done", BeNumerically(">", 2<<20)))))
		eventually(ctx, "Volume/copy", And(HaveField("Phase", status.Progressing), HaveField("Progress", HaveField("Done", BeNumerically(">", 2<<20)))))
		Expect(statusOf(ctx, "Export/copy")).To(HaveField("Phase", status.Blocked))
		Expect(strings.Count(sh(ctx, "lvs --noheadings -o lv_tags vg0/copy vg0/imported"), "phase=populating")).To(Equal(2))
		Expect(try(ctx, "ls -d /sys/kernel/config/target/core/*/*copy /sys/kernel/config/target/core/*/*imported").Stdout).To(BeEmpty())
		kill(ctx)
		sh(ctx, "dd if=/dev/urandom of=/dev/vg0/from bs=1M count=4 oflag=direct status=none") // what counts is when it was begun
		agent(slow...)
	}
	kill(ctx)
	agent()
	allReady(ctx, 5)
	Expect(content(ctx, "/dev/vg0/copy", 256)).To(Equal(want))
	Expect(content(ctx, "/dev/vg0/imported", 64)).To(Equal(image))
	Eventually(ctx, func() string { return sh(ctx, "lvs --noheadings -o lv_name vg0 | xargs") }).Should(Equal("copy from imported"))
}, NodeTimeout(limit))

var _ = It("Volumes are made from images, and hostile ones are refused before a byte is written", func(ctx SpecContext) {
	dirty(ctx, 300)
	sh(ctx, `set -e; mkdir -p /run/images; cd /run/images; rm -f *
		truncate -s 64M raw`)
	scatter(ctx, "/run/images/raw")
	sh(ctx, `set -e; cd /run/images
		qemu-img convert -O qcow2 -c raw image.qcow2; qemu-img convert -O vmdk -o subformat=streamOptimized raw stream.vmdk
		qemu-img convert -O vhdx raw image.vhdx; gzip -k raw; xz -k -1 raw
		qemu-img create -q -f qcow2 -b /etc/passwd -F raw backing.qcow2 64M
		qemu-img create -q -f qcow2 -o data_file=/run/images/raw2,data_file_raw=on outside.qcow2 64M
		qemu-img convert -O vmdk -o subformat=monolithicFlat raw flat.vmdk
		qemu-img create -q -f qcow2 large.qcow2 10G; head -c 100000 image.qcow2 > short.qcow2`)
	digest, want := sh(ctx, "sha256sum /run/images/image.qcow2 | cut -c1-64"), sh(ctx, "sha256sum < /run/images/raw")
	type image struct{ name, source string }
	from := func(i image) string { return volume(i.name, "slow", "80Mi", "source: {image: {"+i.source+"}}") }
	good := []image{
		{"raw", "path: /run/images/raw, format: raw"}, {"qcow2", "path: /run/images/image.qcow2, sha256: " + digest},
		{"vmdk", "path: /run/images/stream.vmdk"}, {"vhdx", "path: /run/images/image.vhdx, format: vhdx"},
		{"gz", "path: /run/images/raw.gz, format: raw"}, {"xz", "path: /run/images/raw.xz, format: raw"},
	}
	specs(ctx, "pools.yaml", thinPool, thickPool)
	documents := []string{volume("thin", "fast", "80Mi", "source: {image: {path: /run/images/image.qcow2}}")}
	for _, i := range good {
		documents = append(documents, from(i))
	}
	specs(ctx, "good.yaml", documents...)
	agent()
	allReady(ctx, 2+len(documents))
	for _, i := range append(good, image{name: "thin"}) {
		Expect(content(ctx, "/dev/vg0/"+i.name, 64)).To(Equal(want), i.name)
	}

	By("refusing")
	bad := []image{
		{"backing", "path: /run/images/backing.qcow2"}, {"outside", "path: /run/images/outside.qcow2"},
		{"flat", "path: /run/images/flat.vmdk, format: vmdk"}, {"large", "path: /run/images/large.qcow2"},
		{"mismatch", "path: /run/images/image.qcow2, format: raw"}, {"other", "path: /run/images/raw, format: qcow2"},
		{"sum", "path: /run/images/image.qcow2, sha256: " + strings.Repeat("f", 64)}, {"gone", "path: /run/images/none"},
	}
	documents = nil
	for _, i := range bad {
		documents = append(documents, from(i))
	}
	specs(ctx, "bad.yaml", documents...)
	for _, i := range bad {
		eventually(ctx, "Volume/"+i.name, beIn(status.Failed, status.ReasonSourceInvalid))
		AddReportEntry(i.name, statusOf(ctx, "Volume/"+i.name).Message)
		// The first MiB of the image is random; what lvcreate clears, and what was there, is not.
		Expect(sh(ctx, "dd if=/dev/vg0/"+i.name+" bs=1M count=1 iflag=direct status=none | tr -d '\\252\\0' | wc -c")).To(Equal("0"), i.name)
	}
	Expect(statusOf(ctx, "Volume/qcow2")).To(HaveField("Phase", status.Ready))
}, NodeTimeout(limit))

var _ = It("Volumes are put back to a snapshot, once for each request, and not while anybody is logged in", func(ctx SpecContext) {
	specs(ctx, "pools.yaml", thinPool, thickPool)
	sources := func(more string) {
		specs(ctx, "volumes.yaml", volume("thick", "slow", "64Mi", strings.ReplaceAll(more, "X", "thick-snap")), volume("thin", "fast", "64Mi", strings.ReplaceAll(more, "X", "thin-snap")),
			snapshot("thick-snap", "thick", "size: 32Mi"), snapshot("thin-snap", "thin", ""),
			export("both", "{volume: thick}, {volume: thin}, {snapshot: thick-snap, readOnly: true}"))
	}
	specs(ctx, "volumes.yaml", volume("thick", "slow", "64Mi", ""), volume("thin", "fast", "64Mi", ""))
	agent()
	allReady(ctx, 4)
	old := map[string]string{"thick": scatter(ctx, "/dev/vg0/thick"), "thin": scatter(ctx, "/dev/vg0/thin")}
	sources("")
	allReady(ctx, 7)
	before := map[string]*status.Volume{"thick": statusOf(ctx, "Volume/thick").Volume, "thin": statusOf(ctx, "Volume/thin").Volume}
	Expect(login(ctx, target("both"), loopback, dbHost).ExitCode).To(BeZero())
	for name := range old {
		sh(ctx, "dd if=/dev/urandom of="+disk(ctx, "Volume/"+name)+" bs=1M seek=5 count=8 oflag=direct status=none")
	}

	By("waiting for who is logged in")
	sources("revert: {snapshot: X, request: first}")
	eventually(ctx, "Volume/thick", beIn(status.Blocked, status.ReasonSessionsActive))
	eventually(ctx, "Volume/thin", beIn(status.Blocked, status.ReasonSessionsActive))
	Expect(content(ctx, disk(ctx, "Volume/thin"), 64)).NotTo(Equal(old["thin"]))

	By("putting back")
	logout(ctx, target("both"), dbHost)
	allReady(ctx, 7)
	for name := range old {
		Expect(content(ctx, "/dev/vg0/"+name, 64)).To(Equal(old[name]), name)
		Expect(statusOf(ctx, "Volume/"+name).Volume).To(And(HaveField("Serial", before[name].Serial), HaveField("WWN", before[name].WWN), HaveField("NamespaceUUID", before[name].NamespaceUUID)))
	}
	Expect(statusOf(ctx, "Volume/thick").Volume.LVUUID).To(Equal(before["thick"].LVUUID))
	Expect(statusOf(ctx, "Volume/thin").Volume.LVUUID).NotTo(Equal(before["thin"].LVUUID), "it is a clone")
	Expect(sh(ctx, "lvs --noheadings -o lv_snapshot_invalid vg0/thick-snap")).To(BeEmpty())

	By("not again, but for another request, from a snapshot that is still what it was")
	for name := range old {
		scatter(ctx, "/dev/vg0/"+name)
	}
	passes(ctx, 3)
	Expect(content(ctx, "/dev/vg0/thin", 64)).NotTo(Equal(old["thin"]))
	sources("revert: {snapshot: X, request: second}")
	allReady(ctx, 7)
	for name := range old {
		Eventually(ctx, func() string { return content(ctx, "/dev/vg0/"+name, 64) }).Should(Equal(old[name]), name)
	}
}, NodeTimeout(limit))

var _ = It("What was in a thick volume or snapshot is cleared before anybody gets the space", func(ctx SpecContext) {
	cleared := strings.Replace(thickPool, "{trash", "{clear: zero, trash", 1)
	found := func() string {
		// LVM takes the first extents first: all of them are in there.
		return sh(ctx, "dd if=/dev/vda bs=1M count=256 iflag=direct status=none | tr '\\0' '\\n' | grep -c -a PRECIOUSPRECIOUS || true")
	}
	fillWith := func(path string) {
		sh(ctx, "yes PRECIOUSPRECIOUS | dd of="+path+" bs=1M count=64 iflag=fullblock oflag=direct status=none")
	}
	specs(ctx, "pool.yaml", cleared)
	specs(ctx, "data.yaml", volume("data", "slow", "64Mi", "deletionPolicy: Delete"), volume("other", "slow", "64Mi", "deletionPolicy: Delete"))
	agent("--copy-rate", "16Mi")
	allReady(ctx, 3)
	fillWith("/dev/vg0/data")
	specs(ctx, "snap.yaml", snapshot("snap", "data", "size: 80Mi, deletionPolicy: Delete"))
	allReady(ctx, 4)
	sh(ctx, "dd if=/dev/zero of=/dev/vg0/data bs=1M count=64 oflag=direct status=none") // now it is in the snapshot alone
	Expect(found()).NotTo(Equal("0"))

	By("a kill in the middle, and the file coming back")
	remove(ctx, "snap.yaml", "data.yaml")
	specs(ctx, "data.yaml", volume("other", "slow", "64Mi", "deletionPolicy: Delete"))
	Eventually(ctx, func() string { return sh(ctx, "lvs --noheadings -o lv_name,lv_tags vg0") }).Should(MatchRegexp(`snap .*phase=clearing`))
	kill(ctx)
	agent("--copy-rate", "16Mi")
	specs(ctx, "data.yaml", volume("other", "slow", "64Mi", "deletionPolicy: Delete"), volume("data", "slow", "64Mi", "deletionPolicy: Delete"))
	Eventually(ctx, func() string { return sh(ctx, "lvs --noheadings -o lv_tags vg0") }).ShouldNot(ContainSubstring("clearing"))
	Expect(found()).To(Equal("0"))
	Expect(sh(ctx, "lvs --noheadings -o lv_name vg0")).To(ContainSubstring("other"))
}, NodeTimeout(limit))

var _ = It("Volumes and snapshots are written to images, once, while they are in use", func(ctx SpecContext) {
	specs(ctx, "pools.yaml", thinPool, thickPool)
	specs(ctx, "volumes.yaml", volume("thick", "slow", "64Mi", ""), volume("thin", "fast", "64Mi", ""), snapshot("snap", "thin", ""),
		export("both", "{volume: thick}, {volume: thin}"))
	agent()
	allReady(ctx, 6)
	Expect(login(ctx, target("both"), loopback, dbHost).ExitCode).To(BeZero())
	scatter(ctx, disk(ctx, "Volume/thick"))
	sh(ctx, "rm -rf /run/out && mkdir /run/out && echo mine > /run/out/taken.raw")
	image := func(name, spec string) string {
		return fmt.Sprintf("kind: Image\nmetadata: {name: %s}\nspec: {%s}", name, spec)
	}
	specs(ctx, "images.yaml", image("raw", "volume: thick, path: /run/out/thick.raw, format: raw"),
		image("packed", "volume: thick, path: /run/out/thick.qcow2, format: qcow2, compress: true"),
		image("snap", "snapshot: snap, path: /run/out/snap.qcow2, format: qcow2"))
	allReady(ctx, 9)
	sh(ctx, "cd /run/out && sha256sum -c --status *.sha256")
	sh(ctx, "qemu-img compare -q -f raw -F qcow2 /run/out/thick.raw /run/out/thick.qcow2")
	// What udev has read is stale while a target has the device open, and is not to be looked at.
	Expect(content(ctx, "/dev/vg0/thick", 64)).To(Equal(sh(ctx, "sha256sum < /run/out/thick.raw")))
	Eventually(ctx, func() string { return sh(ctx, "lvs --noheadings -o lv_name vg0 | xargs") }).Should(Equal("pool0 snap thick thin"))

	By("and never over a file of somebody else")
	before := sh(ctx, "stat -c %i-%Y /run/out/*")
	specs(ctx, "taken.yaml", image("taken", "volume: thick, path: /run/out/taken.raw, format: raw"))
	eventually(ctx, "Image/taken", beIn(status.Blocked, status.ReasonNotOwned))
	Expect(sh(ctx, "stat -c %i-%Y /run/out/*")).To(Equal(before))
}, NodeTimeout(limit))
