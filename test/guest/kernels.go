package guest

import "fmt"

// Kernel is one of the kernels that a guest can have. Each has a guest root of
// its own, which is made when it is first asked for.
type Kernel string

const (
	// Released is the kernel of the host's Debian release: 6.1 on Debian 12.
	Released Kernel = ""
	// Backported is the newer kernel that Debian gives that release later, in
	// its backports: 6.12 on Debian 12.
	Backported Kernel = "backported"
)

// ParseKernel reads the name of a kernel: "released" or "backported".
func ParseKernel(name string) (Kernel, error) {
	switch name {
	case "released":
		return Released, nil
	case string(Backported):
		return Backported, nil
	}
	return "", fmt.Errorf("kernel %q: want released or backported", name)
}

// backports returns the repository of a release's backports, which lie on the same
// mirror. Not every host's apt knows it, and none needs to.
func backports(release source) source {
	release.release += "-backports"
	return release
}
