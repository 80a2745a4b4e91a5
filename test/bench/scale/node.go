package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
	"github.com/volreconciler/volreconciler/test/scenario"
)

// emptyNode is a node with room for n volumes and nothing in it.
func emptyNode(n int) fakehost.Node {
	node := scenario.Empty()
	node.VolumeGroups[0].Extents = 1<<20 + uint64(n)<<10
	return node
}

// converge makes volumes on a fake node as the agent does, and returns it.
func converge(ctx context.Context, n int) (*scenario.Fake, error) {
	dir, err := os.MkdirTemp("", "scale-node-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	fake, err := scenario.NewFake(emptyNode(n), dir)
	if err != nil {
		return nil, err
	}
	files := map[string]string{"pool.yaml": pool}
	for i := range n {
		files[nameOf(i)+".yaml"] = fmt.Sprintf(volume, nameOf(i))
	}
	if err := fake.Begin(ctx, scenario.Step{Files: files}, status.Report{}); err != nil {
		return nil, err
	}
	status, err := fake.Start(fake.Host).Apply(ctx)
	if stand := scenario.Stand(status); err == nil && len(stand) > 0 {
		err = fmt.Errorf("not as desired: %v", stand)
	}
	return fake, err
}

// converged is what is observed of a node with n volumes, each with an export, as
// desired: one is made as the agent does, and all others are like it.
func converged(ctx context.Context, n int) (observe.State, error) {
	fake, err := converge(ctx, 1)
	if err != nil {
		return observe.State{}, err
	}
	s := observe.New(fake).Observe(ctx)
	vg := s.VolumeGroups["vg0"]
	first := nameOf(0)
	lv, target := vg.LogicalVolumes[first], only(s.LIO.ISCSI)
	backstore := only(s.LIO.Backstores)
	for i := 1; i < n; i++ {
		name := nameOf(i)
		id := spec.ID{Kind: spec.KindVolume, Name: name}
		l := lv
		l.Name, l.UUID, l.Minor = name, fmt.Sprintf("%s%06d", lv.UUID[:len(lv.UUID)-6], i), lv.Minor+i
		l.Tags = renamed(lv.Tags, spec.ID{Kind: spec.KindVolume, Name: first}, id)
		vg.LogicalVolumes[name] = l

		b := backstore
		b.Name, b.Device, b.Serial = ondisk.BackstoreName(id), l.Path(), ondisk.UnitSerial(l.Identity())
		b.BlockDevice = fmt.Sprintf("dm-%d", l.Minor)
		b.Attributes = maps.Clone(backstore.Attributes)
		s.LIO.Backstores[b.Path()] = b

		t := like(target, first, name)
		t.LUNs = map[int]observe.TargetLUN{0: {Backstore: b.Path(), Link: target.LUNs[0].Link}}
		s.LIO.ISCSI[t.Name] = t
	}
	s.VolumeGroups["vg0"] = vg
	return s, nil
}

// like returns a target as it is for another export, but for its LUNs.
func like(t observe.Target, first, name string) observe.Target {
	export := func(text string) string { return text[:len(text)-len(first)] + name }
	t.Name, t.Mark = export(t.Name), export(t.Mark)
	t.Attributes, t.Portals = maps.Clone(t.Attributes), maps.Clone(t.Portals)
	acl := only(t.ACLs)
	acl.Initiator, acl.LUNs = export(acl.Initiator), maps.Clone(acl.LUNs)
	t.ACLs = map[string]observe.ACL{acl.Initiator: acl}
	return t
}

// renamed returns tags with the owner's replaced.
func renamed(tags []string, from, to spec.ID) []string {
	tags = slices.Clone(tags)
	for i, tag := range ondisk.OwnerTags(from) {
		tags[slices.Index(tags, tag)] = ondisk.OwnerTags(to)[i]
	}
	return tags
}

// only returns the one value of a map.
func only[K comparable, V any](m map[K]V) V {
	for _, v := range m {
		return v
	}
	var none V
	return none
}
