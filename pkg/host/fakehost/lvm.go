package fakehost

import "github.com/volreconciler/volreconciler/pkg/host"

// lvm plays LVM.
type lvm struct{}

func (l *lvm) load(Node) error { return nil }
func (l *lvm) store(*Node)     {}
func (l *lvm) run(argv []string) (host.Output, error) {
	return host.Output{}, &host.CommandError{Argv: argv, ExitCode: 2}
}
