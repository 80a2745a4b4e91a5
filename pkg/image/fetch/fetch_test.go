package fetch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/image"
)

// server has one file, and the habits that a spec gives it.
type server struct {
	*httptest.Server
	mu           sync.Mutex
	content      []byte
	etag         string
	ignoreRange  bool
	cutAfter     int
	requests     []string
	beforeAnswer func(w http.ResponseWriter, r *http.Request) bool
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.Header.Get("Range"))
	content, etag, cut, before := s.content, s.etag, s.cutAfter, s.beforeAnswer
	if s.ignoreRange {
		r.Header.Del("Range")
	}
	s.mu.Unlock()
	if before != nil && before(w, r) {
		return
	}
	if etag != "" {
		w.Header().Set("ETag", etag)
	}
	if cut > 0 {
		w = &cutter{w, cut}
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// cutter breaks a connection off after so many bytes.
type cutter struct {
	http.ResponseWriter
	left int
}

func (c *cutter) Write(b []byte) (int, error) {
	if len(b) >= c.left {
		_, _ = c.ResponseWriter.Write(b[:c.left])
		c.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	c.left -= len(b)
	return c.ResponseWriter.Write(b)
}

func (s *server) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *server) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.requests...)
}

func sha(b []byte) image.Checksum {
	h := sha256.Sum256(b)
	return image.Checksum{Algorithm: image.SHA256, Hex: hex.EncodeToString(h[:])}
}

var _ = Describe("Fetch", func() {
	var (
		dir, part string
		s         *server
		options   Options
	)
	BeforeEach(func() {
		dir = GinkgoT().TempDir()
		part = filepath.Join(dir, "part")
		content := make([]byte, 3<<20)
		r := rand.New(rand.NewPCG(5, 6))
		for i := range content {
			content[i] = byte(r.IntN(256))
		}
		s = &server{content: content, etag: `"one"`}
		s.Server = httptest.NewTLSServer(s)
		DeferCleanup(s.Close)
		ca := filepath.Join(dir, "ca.pem")
		Expect(os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600)).To(Succeed())
		options = Options{CAFile: ca, RetryWait: time.Millisecond}
	})
	fetcher := func() *Fetcher {
		GinkgoHelper()
		f, err := New(options)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(f.Close)
		return f
	}
	get := func(ctx context.Context, sum image.Checksum) (Version, error) {
		return fetcher().Fetch(ctx, Request{URL: s.URL + "/image", Checksum: sum, Part: part})
	}
	complete := func() {
		GinkgoHelper()
		b, err := os.ReadFile(part)
		Expect(err).NotTo(HaveOccurred())
		Expect(bytes.Equal(b, s.content)).To(BeTrue())
	}

	It("downloads, and says which version it got", func(ctx SpecContext) {
		var last int64
		v, err := fetcher().Fetch(ctx, Request{URL: s.URL, Checksum: sha(s.content), Part: part, Progress: func(done, total int64) {
			Expect(total).To(Equal(int64(len(s.content))))
			last = done
		}})
		Expect(err).NotTo(HaveOccurred())
		Expect(v).To(Equal(Version{URL: s.URL, ETag: `"one"`, Size: int64(len(s.content))}))
		Expect(last).To(Equal(v.Size))
		complete()
		Expect(fetcher().Look(ctx, s.URL)).To(Equal(v))
	})

	It("goes on where a connection was cut, again and again", func(ctx SpecContext) {
		s.cutAfter = 1 << 20
		_, err := get(ctx, sha(s.content))
		Expect(err).NotTo(HaveOccurred())
		complete()
		Expect(len(s.seen())).To(BeNumerically(">=", 3))
		Expect(s.seen()[0]).To(Equal("GET "))
		Expect(s.seen()[1]).To(HavePrefix("GET bytes="))
	})

	It("gives up when no byte more comes, and the next attempt goes on", func(ctx SpecContext) {
		s.cutAfter = 1 << 20
		options.Attempts = 1
		s.beforeAnswer = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Header.Get("Range") != "" {
				w.WriteHeader(http.StatusBadGateway)
				return true
			}
			return false
		}
		_, err := get(ctx, sha(s.content))
		var status *StatusError
		Expect(errors.As(err, &status)).To(BeTrue(), "%v", err)
		s.set(func() { s.beforeAnswer, s.cutAfter, s.requests = nil, 0, nil })
		_, err = get(ctx, sha(s.content))
		Expect(err).NotTo(HaveOccurred())
		Expect(s.seen()).To(HaveExactElements(HavePrefix("GET bytes=")))
		complete()
		By("a complete part needs no byte more")
		s.set(func() { s.requests = nil })
		_, err = get(ctx, sha(s.content))
		Expect(err).NotTo(HaveOccurred())
		complete()
	})

	It("starts anew when the file on the server is another one", func(ctx SpecContext) {
		Expect(os.WriteFile(part, []byte("beginning of the old one"), 0o600)).To(Succeed())
		Expect(os.WriteFile(PartVersion(part), []byte(`{"etag":"\"zero\"","size":100}`), 0o600)).To(Succeed())
		v, err := get(ctx, image.Checksum{})
		Expect(err).NotTo(HaveOccurred())
		Expect(v.ETag).To(Equal(`"one"`))
		complete()
	})

	It("starts anew when the server ignores Range, or the part's version is not known", func(ctx SpecContext) {
		s.ignoreRange = true
		Expect(os.WriteFile(part, []byte("something"), 0o600)).To(Succeed())
		Expect(os.WriteFile(PartVersion(part), []byte(`{"etag":"\"one\"","size":3145728}`), 0o600)).To(Succeed())
		_, err := get(ctx, image.Checksum{})
		Expect(err).NotTo(HaveOccurred())
		complete()
		Expect(s.seen()).To(Equal([]string{"GET bytes=9-"}))
		Expect(os.WriteFile(PartVersion(part), []byte(`{"etag":`), 0o600)).To(Succeed())
		_, err = get(ctx, image.Checksum{})
		Expect(err).NotTo(HaveOccurred())
		complete()
		Expect(s.seen()[1]).To(Equal("GET "))
	})

	It("starts anew when the server sends another part than was asked for", func(ctx SpecContext) {
		Expect(os.WriteFile(part, []byte("something"), 0o600)).To(Succeed())
		Expect(os.WriteFile(PartVersion(part), []byte(`{"etag":"\"one\"","size":3145728}`), 0o600)).To(Succeed())
		s.beforeAnswer = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Header.Get("Range") != "" {
				r.Header.Set("Range", "bytes=5-")
			}
			return false
		}
		_, err := get(ctx, sha(s.content))
		Expect(err).NotTo(HaveOccurred())
		complete()
	})

	It("refuses a wrong checksum and throws the file away", func(ctx SpecContext) {
		_, err := get(ctx, sha([]byte("needs a backing image")))
		Expect(err).To(MatchError(image.ErrChecksum))
		Expect(err).To(MatchError(image.ErrRefused))
		Expect(filepath.Glob(part + "*")).To(BeEmpty())
		Expect(s.seen()).To(HaveLen(1))
	})

	It("downloads anew once when the part of an earlier attempt was bad", func(ctx SpecContext) {
		Expect(os.WriteFile(part, []byte("bad bytes"), 0o600)).To(Succeed())
		Expect(os.WriteFile(PartVersion(part), []byte(`{"etag":"\"one\"","size":3145728}`), 0o600)).To(Succeed())
		_, err := get(ctx, sha(s.content))
		Expect(err).NotTo(HaveOccurred())
		complete()
		Expect(s.seen()).To(Equal([]string{"GET bytes=9-", "GET "}))
	})

	It("does not take more than the limit, whether the server says so before or not", func(ctx SpecContext) {
		options.MaxSize = 1 << 20
		_, err := get(ctx, sha(s.content))
		Expect(err).To(MatchError(image.ErrTooLarge))
		s.beforeAnswer = func(w http.ResponseWriter, _ *http.Request) bool {
			for w.(http.Flusher).Flush(); ; {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return true
				}
			}
		}
		_, err = get(ctx, sha(s.content))
		Expect(err).To(MatchError(image.ErrTooLarge))
		Expect(filepath.Glob(part + "*")).To(BeEmpty())
	})

	It("gives up a connection that has gone silent", func(ctx SpecContext) {
		options.StallTimeout, options.Attempts = 100*time.Millisecond, 2
		done := make(chan struct{})
		DeferCleanup(func() { close(done) })
		s.beforeAnswer = func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte("x"))
			w.(http.Flusher).Flush()
			select {
			case <-done:
			case <-r.Context().Done():
			}
			return true
		}
		_, err := get(ctx, sha(s.content))
		Expect(err).To(MatchError(ContainSubstring("no data received for")))
		Expect(err).NotTo(MatchError(image.ErrRefused))
	})

	It("gives up a connection on which a byte comes now and then", func(ctx SpecContext) {
		options.StallTimeout, options.SlowTimeout, options.Attempts = time.Second, 100*time.Millisecond, 2
		var connections atomic.Int32
		s.beforeAnswer = func(w http.ResponseWriter, r *http.Request) bool {
			connections.Add(1)
			w.Header().Set("Content-Length", "100000")
			for {
				if _, err := w.Write([]byte("x")); err != nil {
					return true
				}
				w.(http.Flusher).Flush()
				select {
				case <-r.Context().Done():
					return true
				case <-time.After(10 * time.Millisecond):
				}
			}
		}
		_, err := get(ctx, sha(s.content))
		Expect(err).To(MatchError(ContainSubstring("too slow")))
		Expect(err).NotTo(MatchError(image.ErrRefused))
		Expect(connections.Load()).To(BeEquivalentTo(2))
	})

	It("does not call slow what it was asked to do slowly", func() {
		now := time.Now()
		p := pace{since: now, every: time.Minute, least: 100}
		Expect(p.check(now.Add(59*time.Second), 0)).To(Succeed())
		Expect(p.check(now.Add(time.Minute), 6000)).To(Succeed())
		Expect(p.check(now.Add(2*time.Minute), 11999)).To(MatchError(errTooSlow))
	})

	It("keeps to a bandwidth", func(ctx SpecContext) {
		start := time.Now()
		_, err := fetcher().Fetch(ctx, Request{URL: s.URL, Part: part, Limit: 4 << 20})
		Expect(err).NotTo(HaveOccurred())
		Expect(time.Since(start)).To(BeNumerically(">", 600*time.Millisecond))
		complete()
	})

	It("stops when it is no longer wanted", func(ctx SpecContext) {
		gone := errors.New("the object no longer exists")
		running, cancel := context.WithCancelCause(ctx)
		_, err := fetcher().Fetch(running, Request{URL: s.URL, Part: part, Limit: 4 << 20, Progress: func(_, _ int64) { cancel(gone) }})
		Expect(err).To(MatchError(gone))
		Expect(part).To(BeARegularFile())
	})

	It("follows redirects, but not to http, nor for ever, nor to files", func(ctx SpecContext) {
		to := "/other"
		var n atomic.Int32
		s.beforeAnswer = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/image" || to == "/image" {
				n.Add(1)
				w.Header().Set("Location", to)
				w.WriteHeader(http.StatusFound)
				return true
			}
			return false
		}
		_, err := get(ctx, sha(s.content))
		Expect(err).NotTo(HaveOccurred())
		complete()
		for _, bad := range []string{"http://127.0.0.1:1/image", "file:///etc/passwd", "/image"} {
			s.set(func() { to = bad; s.requests = nil })
			Expect(os.RemoveAll(part)).To(Succeed())
			_, err := get(ctx, sha(s.content))
			Expect(err).To(Or(MatchError(errRedirect), MatchError(ContainSubstring("unsupported protocol"))), bad)
			Expect(len(s.seen())).To(BeNumerically("<=", 11))
		}
	})

	It("wants certificates that it can check", func(ctx SpecContext) {
		options.CAFile = ""
		_, err := get(ctx, sha(s.content))
		Expect(err).To(MatchError(ContainSubstring("certificate")))
		options.CAFile = part
		Expect(os.WriteFile(part, []byte("nothing"), 0o600)).To(Succeed())
		_, err = New(options)
		Expect(err).To(MatchError(ContainSubstring("contains no certificate; use a PEM file")))
	})

	It("goes through a proxy", func(ctx SpecContext) {
		var asked atomic.Value
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked.Store(r.Method + " " + r.URL.String())
			_, _ = w.Write([]byte("from the proxy"))
		}))
		DeferCleanup(proxy.Close)
		options.Proxy = proxy.URL
		_, err := fetcher().Fetch(ctx, Request{URL: "http://images.invalid/x", Checksum: sha([]byte("from the proxy")), Part: part})
		Expect(err).NotTo(HaveOccurred())
		Expect(asked.Load()).To(Equal("GET http://images.invalid/x"))
	})

	It("never shows a password", func(ctx SpecContext) {
		u, err := url.Parse(s.URL)
		Expect(err).NotTo(HaveOccurred())
		u.User, u.Path = url.UserPassword("user", "s3cret"), "/image"
		for _, code := range []int{404, 0} {
			s.set(func() {
				s.beforeAnswer = func(w http.ResponseWriter, _ *http.Request) bool {
					if code == 0 {
						panic(http.ErrAbortHandler)
					}
					w.WriteHeader(code)
					return true
				}
			})
			_, err = fetcher().Fetch(ctx, Request{URL: u.String(), Part: part})
			Expect(err).To(HaveOccurred())
			Expect(err.Error()).NotTo(ContainSubstring("s3cret"))
			Expect(err.Error()).To(ContainSubstring(u.Host))
		}
	})

	It("wants to know how long a file without a checksum is", func(ctx SpecContext) {
		s.beforeAnswer = func(w http.ResponseWriter, _ *http.Request) bool {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_, _ = fmt.Fprint(conn, "HTTP/1.0 200 OK\r\n\r\n"+strings.Repeat("x", 1000))
				_ = conn.Close()
			}
			return true
		}
		_, err := get(ctx, image.Checksum{})
		Expect(err).To(MatchError(ContainSubstring("without its size")))
		_, err = get(ctx, sha([]byte(strings.Repeat("x", 1000))))
		Expect(err).NotTo(HaveOccurred())
	})

	DescribeTable("refuses addresses", func(address string, why string) {
		Expect(CheckURL(address, image.Checksum{})).To(MatchError(ContainSubstring(why)))
	},
		Entry("files", "file:///etc/passwd", "https"),
		Entry("ftp", "ftp://host/x", "https"),
		Entry("paths", "/x", "https"),
		Entry("http without a checksum", "http://host/x", "http requires a checksum, because it does not protect the image; set sha256, or use https"),
		Entry("no host", "https:///x", "no host"),
		Entry("nonsense", "https://user:s3cret@[::1/x", "not a URL"),
	)
})
