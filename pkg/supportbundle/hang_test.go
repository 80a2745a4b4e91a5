package supportbundle_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/supportbundle"
)

// TestHangingPart is a part that waits for a device that does not answer, in a time that costs none.
func TestHangingPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		never := make(chan struct{})
		hangs := supportbundle.Part{Name: "lvm", Read: func(context.Context, func(string) []byte) ([]supportbundle.File, error) {
			<-never
			return nil, nil
		}}
		var out bytes.Buffer
		began := time.Now()
		incomplete, err := supportbundle.Write(t.Context(), &out, "n", began, []supportbundle.Part{hangs, gives("a", "1", nil)})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(incomplete).To(Equal(1))
		g.Expect(time.Since(began)).To(Equal(time.Minute))
		found := entriesOf(g, &out)
		g.Expect(found["n/a"]).To(Equal("1"))
		g.Expect(strings.TrimSpace(found["n/errors.txt"])).To(Equal("lvm: not read, because it takes longer than 1m0s"))
		close(never)
	})
}
