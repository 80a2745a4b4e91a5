package main

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

func TestTheSummaryForSystemdBeginsWithWhatNeedsSomebody(t *testing.T) {
	g := NewWithT(t)
	g.Expect(summary(status.Report{})).To(Equal("no objects"))
	g.Expect(summary(status.Report{
		Findings: []status.Finding{{Message: "unknown field"}},
		Objects:  []status.Object{{Phase: status.Ready}, {Phase: status.Blocked}, {Phase: status.Ready}},
	})).To(Equal("3 objects: 1 Blocked, 2 Ready; 1 finding, see volreconciler get"))
}
