package publicurl

import (
	"errors"
	"fmt"
	"io"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func TestPublicURL(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "publicurl")
}

var _ = DescribeTable("The public form of a URL", func(address, public string) {
	Expect(Of(address)).To(Equal(public))
	Expect(InValue(address)).To(Equal(public))
	Expect(Of(public)).To(Equal(public))
},
	Entry(nil, "https://example.org/a/b.qcow2", "https://example.org/a/b.qcow2"),
	Entry(nil, "https://example.org", "https://example.org"),
	Entry(nil, "https://example.org:8443/a%2Fb?X-Signature=secret&x=1", "https://example.org:8443/a%2Fb"),
	Entry(nil, "https://example.org?secret", "https://example.org"),
	Entry(nil, "https://example.org/?", "https://example.org/"),
	Entry(nil, "https://user:secret@example.org/a", "https://example.org/a"),
	Entry(nil, "https://secret@example.org/a", "https://example.org/a"),
	Entry(nil, "https://user:secret@[2001:db8::1]:443/a#secret", "https://[2001:db8::1]:443/a"),
	Entry(nil, "https://user:se%cret@example.org/a", "https://<hidden>"),
	Entry(nil, "HTTPS://user:secret@Example.org/a", "https://Example.org/a"),
	Entry(nil, "https://user:se/cret@example.org/a", "https://<hidden>"),
	Entry(nil, "https://user:se cret@example.org/a", "https://<hidden>"),
	Entry(nil, "https://example.org/%zz?secret", "https://<hidden>"),
	Entry(nil, "https://exam\nple.org/a?secret", "https://<hidden>"),
)

var _ = It("leaves out what is no URL", func() {
	for _, text := range []string{"https:user:secret@host", "://secret", "%secret"} {
		Expect(Of(text)).To(Equal("<hidden>"))
	}
})

var _ = It("is that of each URL in a text", func() {
	Expect(InText(`Get "https://h/a?secret": redirected to http://u:secret@h/b#secret; correct (x://y?secret)`)).To(Equal(
		`Get "https://h/a": redirected to http://h/b; correct (x://y)`))
	Expect(InText("must begin with https:// or http://")).To(Equal("must begin with https:// or http://"))
	err := fmt.Errorf("https://h/a?secret: %w", io.ErrUnexpectedEOF)
	Expect(Error(err)).To(And(MatchError("https://h/a: unexpected EOF"), MatchError(io.ErrUnexpectedEOF)))
	plain := errors.New("plain")
	Expect(Error(plain)).To(BeIdenticalTo(plain))
	Expect(Error(nil)).To(Succeed())
})
