package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// asked keeps what a machine prints when LVM is asked for a report.
type asked struct {
	*fakehost.Host
	report *string
}

func (a asked) Run(ctx context.Context, argv ...string) (host.Output, error) {
	out, err := a.Host.Run(ctx, argv...)
	*a.report = string(out.Stdout)
	return out, err
}

// volumeOf is a thin volume of ours that nobody has open.
func volumeOf(i int) fakehost.LogicalVolume {
	return fakehost.LogicalVolume{
		Name: nameOf(i), UUID: fmt.Sprintf("aaaaaa-bbbb-cccc-dddd-eeee-ffff-%06d", i), Type: "thin", Pool: "thin", Size: 1 << 30, Active: true,
		Tags: append(ondisk.OwnerTags(spec.ID{Kind: spec.KindVolume, Name: nameOf(i)}), ondisk.DeletionTag(spec.Retain)),
	}
}

// reportOf is LVM's report of n thin volumes: that of one, with every line about that
// repeated for the others.
func reportOf(ctx context.Context, n int) (string, error) {
	node := emptyNode(n)
	node.VolumeGroups[0].LogicalVolumes = []fakehost.LogicalVolume{
		{Name: "thin", Type: "thinPool", Size: 1 << 40, MetadataSize: 1 << 30, Active: true}, volumeOf(0),
	}
	fake, err := fakehost.New(node)
	if err != nil {
		return "", err
	}
	var one string
	if err := observe.New(asked{fake, &one}).Observe(ctx).Err(); err != nil {
		return "", err
	}
	var all strings.Builder
	for line := range strings.Lines(one) {
		line = strings.Replace(line, `"lv_count":"2"`, fmt.Sprintf(`"lv_count":"%d"`, n+1), 1)
		if !strings.Contains(line, volumeOf(0).UUID) {
			all.WriteString(line)
			continue
		}
		row := strings.TrimRight(line, ",\n")
		for i := range n - 1 {
			all.WriteString(strings.NewReplacer(nameOf(0), nameOf(i+1), volumeOf(0).UUID, volumeOf(i+1).UUID,
				`"lv_kernel_minor":"1"`, `"lv_kernel_minor":"`+strconv.Itoa(i+2)+`"`).Replace(row) + ",\n")
		}
		all.WriteString(line)
	}
	return all.String(), nil
}
