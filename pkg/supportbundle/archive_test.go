package supportbundle_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/supportbundle"
)

// entries returns what is in an archive, by name.
func entries(archive io.Reader) map[string]string {
	GinkgoHelper()
	return entriesOf(Default, archive)
}

func entriesOf(g Gomega, archive io.Reader) map[string]string {
	unzipped, err := gzip.NewReader(archive)
	g.Expect(err).NotTo(HaveOccurred())
	found := map[string]string{}
	for r := tar.NewReader(unzipped); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(header.Mode).To(BeEquivalentTo(0o600))
		data, err := io.ReadAll(r)
		g.Expect(err).NotTo(HaveOccurred())
		found[header.Name] = string(data)
	}
}

func gives(name, text string, err error) supportbundle.Part {
	return supportbundle.Part{Name: name, Read: func(context.Context, func(string) []byte) ([]supportbundle.File, error) {
		return []supportbundle.File{{Name: name, Data: []byte(text)}}, err
	}}
}

var _ = Describe("A bundle", func() {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

	It("has all that could be read, and why the rest could not", func(ctx SpecContext) {
		var out bytes.Buffer
		incomplete, err := supportbundle.Write(ctx, &out, "node1", now, []supportbundle.Part{
			gives("a.txt", "1", nil),
			gives("b/c.txt", "half", errors.New("exit status 5:\n password=Zk4w")),
			{Name: "d", Read: func(_ context.Context, soFar func(string) []byte) ([]supportbundle.File, error) {
				Expect(soFar("x")).To(BeNil())
				return []supportbundle.File{{Name: "../../d", Data: append([]byte("after "), soFar("a.txt")...)}}, nil
			}},
			{Name: "e", Read: func(context.Context, func(string) []byte) ([]supportbundle.File, error) { return nil, errors.New("no") }},
		})
		Expect(err).NotTo(HaveOccurred())
		Expect(incomplete).To(Equal(2))
		Expect(entries(&out)).To(Equal(map[string]string{
			"node1/a.txt": "1", "node1/b/c.txt": "half", "node1/d": "after 1",
			"node1/errors.txt": "b/c.txt: exit status 5: password=<redacted>\ne: no\n",
		}))
	})

	It("has the end of what is too long", func(ctx SpecContext) {
		var out bytes.Buffer
		_, err := supportbundle.Write(ctx, &out, "n", now, []supportbundle.Part{gives("log", strings.Repeat("x", 17<<20)+"end", nil)})
		Expect(err).NotTo(HaveOccurred())
		found := entries(&out)
		Expect(found["n/log"]).To(And(HaveLen(16<<20), HaveSuffix("xend")))
		Expect(found["n/errors.txt"]).To(Equal("log: only the last 16777216 of 17825795 bytes are kept\n"))
	})

	It("does not wait for what hangs, and ends when it is told to", func(ctx SpecContext) {
		never := make(chan struct{})
		DeferCleanup(func() { close(never) })
		stopped, stop := context.WithCancel(ctx)
		hangs := supportbundle.Part{Name: "lvm", Read: func(context.Context, func(string) []byte) ([]supportbundle.File, error) {
			stop() // as SIGINT would
			<-never
			return nil, nil
		}}
		_, err := supportbundle.Write(stopped, io.Discard, "n", now, []supportbundle.Part{hangs})
		Expect(err).To(MatchError(context.Canceled))
	}, SpecTimeout(10*time.Second))

	It("is an error if it cannot be written", func(ctx SpecContext) {
		_, err := supportbundle.Write(ctx, full{}, "n", now, []supportbundle.Part{gives("a", "1", nil)})
		Expect(err).To(MatchError("no space"))
	})
})

// full is a full disk.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space") }
