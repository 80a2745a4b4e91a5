package connect

import (
	"fmt"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// initiatorOf returns the entry of an Export under which an initiator may connect.
// The error says what names there are.
func initiatorOf(e spec.Export, name string) (spec.Initiator, error) {
	if name == "" {
		return spec.Initiator{}, fmt.Errorf("no initiator is given; %s", describeAccess(e))
	}
	if err := spec.CheckInitiator(e.Spec.Protocol, name); err != nil {
		return spec.Initiator{}, fmt.Errorf("the initiator %w; %s", err, describeAccess(e))
	}
	if e.Spec.AllowAnyInitiator {
		return spec.Initiator{Name: name}, nil
	}
	for _, initiator := range e.Spec.Initiators {
		if isSameInitiator(e.Spec.Protocol, initiator.Name, name) {
			initiator.Name = name
			return initiator, nil
		}
	}
	return spec.Initiator{}, fmt.Errorf("%s is not allowed to connect to Export %s; %s", name, e.Metadata.Name, describeAccess(e))
}

// isSameInitiator reports whether two names are those of one initiator. A WWPN has several
// forms.
func isSameInitiator(protocol spec.Protocol, a, b string) bool {
	if protocol != spec.ProtocolFC {
		return a == b
	}
	left, err := spec.NormalizeWWPN(a)
	right, errRight := spec.NormalizeWWPN(b)
	return err == nil && errRight == nil && left == right
}

// describeAccess names the initiators that an Export admits, as the end of a sentence.
func describeAccess(e spec.Export) string {
	var names []string
	for _, initiator := range e.Spec.Initiators {
		names = append(names, initiator.Name)
	}
	switch {
	case e.Spec.AllowAnyInitiator:
		return "any initiator with a well-formed name may connect to Export " + e.Metadata.Name
	case len(names) == 0:
		return "Export " + e.Metadata.Name + " lists no initiator; add it under spec.initiators"
	default:
		return "Export " + e.Metadata.Name + " lists " + strings.Join(names, ", ")
	}
}
