package main

import (
	"errors"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = DescribeTable("the exit of plan, where there are two volume groups of one name", func(reason string, refused bool, fails bool) {
	observed := observe.State{UnusableGroups: map[string]error{"vg9": observe.NewGroupError("vg9", refused, errors.New("two volume groups are named vg9"))}}
	err := planExit(plan.Plan{Objects: []status.Object{{Kind: spec.KindPool, Name: "p", Reason: reason}}}, observed)
	if fails {
		Expect(err).To(MatchError(ContainSubstring("two volume groups are named vg9")))
	} else {
		Expect(err).NotTo(HaveOccurred())
	}
},
	Entry("that the specs name", status.ReasonObservationFailed, false, true),
	Entry("that they do not", status.ReasonAsDesired, false, false),
	Entry("or one that LVM leaves to another system", status.ReasonUnsupported, true, false),
)
