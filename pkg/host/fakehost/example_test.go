package fakehost_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
)

// A machine in memory runs the commands of LVM and has the kernel's configfs. It refuses
// what they refuse.
func Example() {
	machine, err := fakehost.New(fakehost.Node{VolumeGroups: []fakehost.VolumeGroup{{Name: "vg0", ExtentSize: 4 << 20, Extents: 100}}})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	if _, err := machine.Run(ctx, "lvcreate", "-y", "-n", "data", "-L", "64m", "vg0"); err != nil {
		panic(err)
	}
	out, err := machine.Run(ctx, "lvs", "--noheadings", "-o", "lv_name,lv_size", "vg0")
	if err != nil {
		panic(err)
	}
	fmt.Println(strings.TrimSpace(string(out.Stdout)))

	_, err = machine.Run(ctx, "lvcreate", "-y", "-n", "more", "-L", "1g", "vg0")
	fmt.Println(err)
	// Output:
	// data 64.00m
	// lvcreate -y -n more -L 1g vg0: exit status 5: Volume group "vg0" has insufficient free space (84 extents): 256 required.
}
