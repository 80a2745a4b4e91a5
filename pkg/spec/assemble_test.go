package spec_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// ids names objects for comparison with the keys of Set.Invalid.
func ids(names ...string) []any {
	var all []any
	for _, name := range names {
		kind, object := filepath.Split(name)
		all = append(all, spec.ID{Kind: spec.Kind(filepath.Clean(kind)), Name: object})
	}
	return all
}

// contains reports whether the object is in one of the maps.
func contains(set spec.Set, id spec.ID) (found bool) {
	switch id.Kind {
	case spec.KindPool:
		_, found = set.Pools[id.Name]
	case spec.KindVolume:
		_, found = set.Volumes[id.Name]
	case spec.KindSnapshot:
		_, found = set.Snapshots[id.Name]
	case spec.KindExport:
		_, found = set.Exports[id.Name]
	case spec.KindImage:
		_, found = set.Images[id.Name]
	case spec.KindRepository:
		_, found = set.Repositories[id.Name]
	case spec.KindSnapshotSchedule:
		_, found = set.Schedules[id.Name]
	case spec.KindBackup:
		_, found = set.Backups[id.Name]
	}
	return found
}

var _ = Describe("A set of objects", func() {
	DescribeTable("is wrong at one place, which takes out more than one object",
		func(marked, path, message string, invalid ...string) {
			text, line, column := place(marked)
			set := loadText(text)
			Expect(errorsOf(set.Findings)).To(HaveLen(1))
			f := set.Findings[0]
			Expect(f.Err).To(MatchError(ContainSubstring(message)))
			Expect(f.Path).To(Equal(path))
			Expect([]int{f.Line, f.Column}).To(Equal([]int{line, column}), f.Error())
			Expect(set.Invalid).To(HaveLen(len(invalid)))
			for _, id := range ids(invalid...) {
				Expect(set.Invalid).To(HaveKey(id))
			}
			for id := range set.Invalid {
				Expect(contains(set, id)).To(BeFalse(), id.String())
			}
		},
		Entry("an object twice",
			aPool+aVolume+header+"Volume\nmetadata: {name: "+mark+"db}\nspec: {pool: fast, size: 2Gi}\n",
			"metadata.name", "Volume/db is already declared at ", "Volume/db"),
		Entry("a Pool that is not there",
			volume("db", "pool: "+mark+"fast, size: 1Gi")+snapshot("nightly", "volume: db")+export("db", "luns: [{snapshot: nightly}]"),
			"spec.pool", `Pool "fast" is not declared`, "Volume/db", "Snapshot/nightly"),
		Entry("a mistyped Pool",
			aPool+volume("db", "pool: "+mark+"fsat, size: 1Gi"),
			"spec.pool", `Pool "fsat" is not declared; did you mean "fast"?`, "Volume/db"),
		Entry("a broken Pool",
			header+"Pool\nmetadata: {name: fast}\nspec: {volumeGroup: "+mark+"my vg}\n---\n"+aVolume+export("db", "luns: [{volume: db}]"),
			"spec.volumeGroup", "contains ' '", "Pool/fast", "Volume/db"),
		Entry("a Volume that is not there",
			aPool+aVolume+snapshot("nightly", "volume: "+mark+"dbb"),
			"spec.volume", `Volume "dbb" is not declared; did you mean "db"?`, "Snapshot/nightly"),
		Entry("a snapshot of a snapshot",
			aPool+aVolume+snapshot("nightly", "volume: db")+snapshot("weekly", "volume: "+mark+"nightly"),
			"spec.volume", "Snapshot nightly cannot be the origin: snapshots of snapshots are not supported", "Snapshot/weekly"),
		Entry("a LUN that is not there",
			aPool+aVolume+export("a", "luns: [{volume: db}, {volume: "+mark+"gone}]")+export("b", "luns: [{volume: db}]"),
			"spec.luns[1].volume", `Volume "gone" is not declared`, "Export/a"),
		Entry("a Snapshot as a volume",
			aPool+aVolume+snapshot("nightly", "volume: db")+export("a", "luns: [{volume: "+mark+"nightly}]"),
			"spec.luns[0].volume", "a Snapshot with this name is declared", "Export/a"),
		Entry("a Volume as a snapshot",
			aPool+aVolume+export("a", "luns: [{snapshot: "+mark+"db}]"),
			"spec.luns[0].snapshot", "a Volume with this name is declared", "Export/a"),
		Entry("a size for a thin snapshot",
			aPool+aVolume+snapshot("nightly", "volume: db, size: "+mark+"1Gi"),
			"spec.size", "only allowed for snapshots in thick pools", "Snapshot/nightly"),
		Entry("two Volumes with one logical volume",
			aPool+volume("a", "pool: fast, size: 1Gi")+volume("b", "pool: fast, size: 1Gi, lvName: "+mark+"a"),
			"spec.lvName", "logical volume vg0/a is also declared by Volume/a", "Volume/a", "Volume/b"),
		Entry("a Volume and a Snapshot with one logical volume",
			aPool+aVolume+volume("other", "pool: fast, size: 1Gi")+header+"Snapshot\nmetadata: {name: "+mark+"other}\nspec: {volume: db}\n",
			"metadata.name", "logical volume vg0/other is also declared by Volume/other", "Volume/other", "Snapshot/other"),
		Entry("a Volume named like the thin pool",
			aPool+aVolume+volume("x", "pool: fast, size: 1Gi, lvName: "+mark+"fast"),
			"spec.lvName", "vg0/fast is already the thin pool of Pool/fast", "Volume/x"),
		Entry("two Pools with one thin pool",
			aPool+header+"Pool\nmetadata: {name: slow}\nspec: {volumeGroup: "+mark+"vg0, thinPool: {name: fast, size: 1Gi}}\n---\n"+aVolume,
			"spec.volumeGroup", "thin pool vg0/fast is also declared by Pool/fast", "Pool/fast", "Pool/slow", "Volume/db"),
		Entry("two thick Pools in one volume group",
			thickPool("a")+header+"Pool\nmetadata: {name: b}\nspec: {volumeGroup: "+mark+"vg-a}\n",
			"spec.volumeGroup", "thick provisioning in volume group vg-a is also declared by Pool/a", "Pool/a", "Pool/b"),
		Entry("two Exports with one target",
			aPool+aVolume+export("a", "luns: [{volume: db}]")+export("b", "target: "+mark+"'iqn.2026-11.io.volreconciler:a', luns: [{volume: db}]"),
			"spec.target", "target iqn.2026-11.io.volreconciler:a is also declared by Export/a", "Export/a", "Export/b"),
		Entry("a portal that another Export's wildcard covers",
			aPool+aVolume+export("a", "luns: [{volume: db}], portals: ["+mark+"'192.0.2.1:3260']")+export("b", "luns: [{volume: db}]"),
			"spec.portals[0]", "conflicts with the wildcard portal of Export/b ("),
	)

	It("may share what can be shared", func() {
		set := loadText(aPool + thickPool("thick") + aVolume +
			volume("x", "pool: thick, size: 1Gi, lvName: db") + // another volume group
			snapshot("x", "volume: x, size: 1Gi") + // another kind
			header + "Pool\nmetadata: {name: thick0}\nspec: {volumeGroup: vg0}\n---\n" + // beside the thin pool
			export("a", "luns: [{volume: db}]") + export("b", "luns: [{volume: db}]"))
		Expect(errorsOf(set.Findings)).To(BeEmpty())
		Expect(set.Complete).To(BeTrue())
	})

	It("lets [::] stand for both families, in all Exports, because the kernel cannot listen on both", func() {
		set := loadText(aPool + aVolume +
			export("a", "luns: [{volume: db}], portals: ['0.0.0.0:3260', '[::]:3260', '0.0.0.0:3261']") +
			export("b", "luns: [{volume: db}]"))
		Expect(errorsOf(set.Findings)).To(BeEmpty())
		Expect(set.Exports["a"].Spec.Portals).To(Equal([]string{"[::]:3260", "0.0.0.0:3261"}))
		Expect(set.Exports["b"].Spec.Portals).To(Equal([]string{"[::]:3260"}))
	})

	It("says of a dependent object what the root cause is", func() {
		set := loadText(header + "Pool\nmetadata: {name: fast}\nspec: {volumeGroup: my vg}\n---\n" + aVolume + snapshot("nightly", "volume: db") + export("db", "luns: [{volume: db}]"))
		Expect(set.Invalid[spec.ID{Kind: spec.KindVolume, Name: "db"}]).To(MatchError(And(
			HavePrefix("Pool/fast is invalid: "), ContainSubstring(`spec.volumeGroup: "my vg" contains ' '`))))
		Expect(set.Invalid[spec.ID{Kind: spec.KindSnapshot, Name: "nightly"}]).To(MatchError(
			HavePrefix("Volume/db is invalid: Pool/fast is invalid: ")))
		Expect(set.Exports).To(HaveKey("db"), "an export goes on offering its other LUNs")
	})

	It("says whom an Export admits that is invalid for what is beside it", func() {
		set := loadText(aPool + aVolume +
			export("a", "luns: [{volume: gone}], initiators: [{name: 'iqn.1993-08.org.debian:a'}]") +
			export("b", "luns: [{volume: db}], target: 'iqn.2026-11.com.example:same'") + export("c", "luns: [{volume: db}], target: 'iqn.2026-11.com.example:same'") +
			export("d", "luns: [{volume: db}], portals: [nowhere]"))
		Expect(set.Exports).To(BeEmpty())
		Expect(set.Withheld).To(And(HaveLen(3), HaveKey("b"), HaveKey("c")))
		Expect(set.Withheld["a"].Spec.Initiators).To(HaveExactElements(HaveField("Name", "iqn.1993-08.org.debian:a")))
		Expect(set.Withheld["a"].Spec.LUNs[0].Number).To(HaveValue(Equal(0)))
	})

	It("says that a missing object may be in what cannot be read", func() {
		set := loadText(aVolume + "a: b: c\n")
		Expect(errorsOf(set.Findings)).To(ContainElement(ContainSubstring(`Pool "fast" is not declared (an unreadable file may declare it)`)))
	})

	It("names both places of an object in two files", func() {
		dir := GinkgoT().TempDir()
		write(filepath.Join(dir, "a.yaml"), aPool+aVolume)
		write(filepath.Join(dir, "sub", "b.yml"), "\n"+aVolume)
		set := spec.LoadPaths([]string{dir}, "")
		Expect(set.Findings).To(HaveLen(1))
		Expect(set.Findings[0].Error()).To(Equal(fmt.Sprintf(
			"%s/sub/b.yml:4:18: metadata.name: Volume/db is already declared at %s/a.yaml:8:18; neither is reconciled until one of them is removed or renamed", dir, dir)))
		Expect(set.Volumes).To(BeEmpty())
		Expect(set.Pools).To(HaveLen(1))
	})

	It("is the same whatever files the objects are in, and in whatever order", func() {
		documents := []string{
			aPool, thickPool("thick"), aVolume, aVolume, // twice
			volume("a", "pool: thick, size: 1Gi"), volume("b", "pool: none, size: 1Gi"), volume("c", "pool: fast, size: 1Gi, lvName: fast"),
			snapshot("s", "volume: a, size: 1Gi"), snapshot("t", "volume: b"), snapshot("u", "volume: s"),
			export("x", "luns: [{volume: a}, {snapshot: s}]"), export("y", "luns: [{volume: c}]"),
			export("z", "luns: [{volume: a}], target: 'iqn.2026-11.io.volreconciler:x'"),
			export("w", "luns: [{volume: a}], portals: ['192.0.2.1:3260']"), export("v", "luns: [{snapshot: s}]"),
			filled("k", "volume: l"), filled("l", "snapshot: ks"), snapshot("ks", "volume: k"), filled("m", "volume: k"), filled("n", "volume: gone"),
			volume("o", "pool: fast, size: 1Gi, revert: {snapshot: s, request: r1}"), volume("p", "pool: fast, size: 1Gi, revert: {snapshot: p1, request: r1}"), snapshot("p1", "volume: p"),
		}
		load := func() spec.Set {
			dir := GinkgoT().TempDir()
			texts := map[string]string{}
			for _, d := range documents {
				texts[fmt.Sprintf("%d.yaml", rand.IntN(6))] += d
			}
			for name, text := range texts {
				write(filepath.Join(dir, name), text)
			}
			return spec.LoadPaths([]string{dir}, "")
		}
		first := load()
		Expect(first.Exports).To(HaveKey("v"))
		Expect(first.Volumes).To(And(HaveKey("m"), HaveKey("n"), HaveKey("p"), Not(HaveKey("k")), Not(HaveKey("o"))))
		for range 50 {
			rand.Shuffle(len(documents), func(i, j int) { documents[i], documents[j] = documents[j], documents[i] })
			set := load()
			Expect(set.Pools).To(Equal(first.Pools))
			Expect(set.Volumes).To(Equal(first.Volumes))
			Expect(set.Snapshots).To(Equal(first.Snapshots))
			Expect(set.Exports).To(Equal(first.Exports))
			Expect(set.Findings).To(HaveLen(len(first.Findings)))
			for id := range first.Invalid {
				Expect(set.Invalid).To(HaveKey(id))
			}
			Expect(set.Invalid).To(HaveLen(len(first.Invalid)))
		}
	})
})

var _ = Describe("Paths", func() {
	It("may be files of any name and directories, named twice", func() {
		dir := GinkgoT().TempDir()
		write(filepath.Join(dir, "pool.conf"), aPool)
		write(filepath.Join(dir, "specs", "volume.yaml"), aVolume)
		set := spec.LoadPaths([]string{dir + "/pool.conf", dir + "/specs/", dir + "/specs/volume.yaml"}, "")
		Expect(set.Findings).To(BeEmpty())
		Expect(set.Volumes).To(HaveLen(1))
		set = spec.LoadPaths([]string{dir + "/pool.conf", dir + "/specs/volume.yaml", dir + "/specs"}, "")
		Expect(set.Findings).To(BeEmpty())
	})

	It("that are missing or empty are findings", func() {
		dir := GinkgoT().TempDir()
		set := spec.LoadPaths([]string{dir, dir + "/none.yaml"}, "")
		Expect(set.Findings).To(HaveLen(2))
		Expect(set.Findings[0].Error()).To(Equal(dir + ": the directory contains no *.yaml or *.yml file"))
		Expect(set.Findings[1].Error()).To(Equal(dir + "/none.yaml: cannot read it: no such file or directory"))
		Expect(set.Complete).To(BeFalse())
	})

	It("use the target prefix given", func() {
		dir := GinkgoT().TempDir()
		write(dir+"/x.yaml", aPool+aVolume+export("db", "luns: [{volume: db}]"))
		set := spec.LoadPaths([]string{dir}, "iqn.2020-01.com.example")
		Expect(set.Exports["db"].Spec.Target).To(Equal("iqn.2020-01.com.example:db"))
	})
})
