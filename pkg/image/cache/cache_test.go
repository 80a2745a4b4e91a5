package cache

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/image"
	"github.com/volreconciler/volreconciler/pkg/image/fetch"
)

func sha(b []byte) image.Checksum {
	h := sha256.Sum256(b)
	return image.Checksum{Algorithm: image.SHA256, Hex: hex.EncodeToString(h[:])}
}

func gz(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(b)
	Expect(errors.Join(err, w.Close())).To(Succeed())
	return out.Bytes()
}

var _ = Describe("Cache", func() {
	var (
		dir, local string
		disk       []byte
		cache      *Cache
		options    Options
		server     *httptest.Server
		gets       atomic.Int32
		answer     func(w http.ResponseWriter, r *http.Request)
		clock      time.Time
	)
	BeforeEach(func() {
		top := GinkgoT().TempDir()
		dir, local = filepath.Join(top, "cache"), filepath.Join(top, "local")
		disk = bytes.Repeat([]byte("a disk. "), 64<<10/8)
		clock = time.Now()
		gets.Store(0)
		answer = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"`+r.URL.Path+`"`)
			content := append([]byte(r.URL.Path), disk...)
			if strings.HasSuffix(r.URL.Path, ".gz") {
				content = gz(content)
			}
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
		}
		server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				gets.Add(1)
			}
			answer(w, r)
		}))
		DeferCleanup(server.Close)
		ca := filepath.Join(top, "ca.pem")
		Expect(os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600)).To(Succeed())
		f, err := fetch.New(fetch.Options{CAFile: ca, RetryWait: time.Millisecond})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(f.Close)
		options = Options{Dir: dir, Fetcher: f}
	})
	JustBeforeEach(func() {
		var err error
		cache, err = Open(options)
		Expect(err).NotTo(HaveOccurred())
		cache.now = func() time.Time { return clock }
	})
	get := func(ctx context.Context, r Request) *Image {
		GinkgoHelper()
		img, err := cache.Get(ctx, r)
		Expect(err).NotTo(HaveOccurred())
		return img
	}
	content := func(img *Image) []byte {
		GinkgoHelper()
		b, err := io.ReadAll(io.NewSectionReader(img.File, 0, img.File.Size()))
		Expect(err).NotTo(HaveOccurred())
		return b
	}
	names := func() []string {
		files, err := os.ReadDir(dir)
		Expect(err).NotTo(HaveOccurred())
		n := []string{}
		for _, f := range files {
			n = append(n, f.Name())
		}
		return n
	}

	It("downloads an image once, for however many want it at the same time", func(ctx SpecContext) {
		want := append([]byte("/x.gz"), disk...)
		r := Request{URL: server.URL + "/x.gz", Checksum: sha(gz(want))}
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				defer GinkgoRecover()
				img := get(ctx, r)
				Expect(bytes.Equal(content(img), want)).To(BeTrue())
				Expect(img.Key).To(Equal("sha256-" + r.Checksum.Hex))
				Expect(img.Close()).To(Succeed())
			})
		}
		group.Wait()
		Expect(gets.Load()).To(Equal(int32(1)))
		Expect(names()).To(ConsistOf("sha256-"+r.Checksum.Hex+".img", "sha256-"+r.Checksum.Hex+".json"))
		By("another agent")
		other, err := Open(options)
		Expect(err).NotTo(HaveOccurred())
		img, err := other.Get(ctx, r)
		Expect(err).NotTo(HaveOccurred())
		Expect(img.Close()).To(Succeed())
		Expect(gets.Load()).To(Equal(int32(1)))
	})

	It("knows an image without a checksum by the version that the server has", func(ctx SpecContext) {
		version := `"1"`
		answer = func(w http.ResponseWriter, r *http.Request) {
			if version != "" {
				w.Header().Set("ETag", version)
			}
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader([]byte("disk "+version)))
		}
		r := Request{URL: server.URL + "/x"}
		for range 2 {
			img := get(ctx, r)
			Expect(string(content(img))).To(Equal(`disk "1"`))
			Expect(img.Close()).To(Succeed())
		}
		Expect(gets.Load()).To(Equal(int32(1)))
		version = `"2"`
		img := get(ctx, r)
		Expect(string(content(img))).To(Equal(`disk "2"`))
		Expect(img.Close()).To(Succeed())
		Expect(gets.Load()).To(Equal(int32(2)))
		By("a server that knows no versions")
		version = ""
		img = get(ctx, r)
		Expect(string(content(img))).To(Equal("disk "))
		Expect(names()).To(ContainElement(HavePrefix(onceKey)))
		Expect(img.Close()).To(Succeed())
		Expect(names()).NotTo(ContainElement(HavePrefix(onceKey)))
		Expect(gets.Load()).To(Equal(int32(3)))
	})

	It("asks the same of a server that refuses HEAD", func(ctx SpecContext) {
		good := answer
		answer = func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			good(w, r)
		}
		img := get(ctx, Request{URL: server.URL + "/x"})
		Expect(img.Close()).To(Succeed())
	})

	It("uses local images in place, and checks them", func(ctx SpecContext) {
		Expect(os.WriteFile(local, disk, 0o600)).To(Succeed())
		for range 2 {
			img := get(ctx, Request{Path: local, Checksum: sha(disk)})
			Expect(img.Key).To(BeEmpty())
			Expect(bytes.Equal(content(img), disk)).To(BeTrue())
			Expect(img.Close()).To(Succeed())
		}
		Expect(names()).To(BeEmpty())
		_, err := cache.Get(ctx, Request{Path: local, Checksum: sha([]byte("other"))})
		Expect(err).To(MatchError(image.ErrChecksum))
		By("a file that was changed is checked again")
		Eventually(func() error {
			Expect(os.WriteFile(local, bytes.ToUpper(disk), 0o600)).To(Succeed())
			img, err := cache.Get(ctx, Request{Path: local, Checksum: sha(disk)})
			if err == nil {
				err = img.Close()
			}
			return err
		}).Should(MatchError(image.ErrChecksum))
	})

	It("decompresses local images once, with and without a checksum", func(ctx SpecContext) {
		Expect(os.WriteFile(local, gz(disk), 0o600)).To(Succeed())
		for _, sum := range []image.Checksum{{}, sha(gz(disk))} {
			var keys []string
			for range 2 {
				img := get(ctx, Request{Path: local, Checksum: sum})
				Expect(bytes.Equal(content(img), disk)).To(BeTrue())
				keys = append(keys, img.Key)
				Expect(img.Close()).To(Succeed())
			}
			Expect(keys[0]).To(Equal(keys[1]))
		}
		Expect(cache.List()).To(HaveLen(2))
	})

	It("keeps nothing of what is refused", func(ctx SpecContext) {
		answer = func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(gz(disk)[:100])
		}
		_, err := cache.Get(ctx, Request{URL: server.URL, Checksum: sha(disk)})
		Expect(err).To(MatchError(image.ErrChecksum))
		_, err = cache.Get(ctx, Request{URL: server.URL, Checksum: sha(gz(disk)[:100])})
		Expect(err).To(MatchError(image.ErrMalformed))
		Expect(names()).To(BeEmpty())
	})

	Context("with room for three images", func() {
		BeforeEach(func() { options.MaxBytes = 4 * 70 << 10 })

		It("removes the least recently used, and never one in use", func(ctx SpecContext) {
			use := func(path string) *Image {
				clock = clock.Add(time.Minute)
				return get(ctx, Request{URL: server.URL + path})
			}
			first := use("/1")
			for _, p := range []string{"/2", "/3", "/2", "/4", "/5"} {
				Expect(use(p).Close()).To(Succeed())
			}
			gets.Store(0)
			Expect(use("/5").Close()).To(Succeed())
			Expect(use("/4").Close()).To(Succeed())
			Expect(gets.Load()).To(BeZero())
			Expect(bytes.HasPrefix(content(first), []byte("/1a disk"))).To(BeTrue())
			Expect(use("/1").Close()).To(Succeed())
			Expect(gets.Load()).To(BeZero())
			Expect(use("/3").Close()).To(Succeed())
			Expect(gets.Load()).To(Equal(int32(1)))
			Expect(first.File.Unchanged()).To(Succeed())
			Expect(first.Close()).To(Succeed())
		})
	})

	It("removes what nobody has used for long, downloads that broke off too", func(ctx SpecContext) {
		img := get(ctx, Request{URL: server.URL + "/1"})
		other := get(ctx, Request{URL: server.URL + "/2"})
		Expect(other.Close()).To(Succeed())
		part := filepath.Join(dir, "url-abc.part")
		Expect(os.WriteFile(part, disk, 0o600)).To(Succeed())
		stranger := filepath.Join(dir, "precious.img")
		Expect(os.WriteFile(stranger, disk, 0o600)).To(Succeed())
		clock = clock.Add(31 * 24 * time.Hour)
		freed, err := cache.Evict()
		Expect(err).NotTo(HaveOccurred())
		Expect(freed).To(BeNumerically(">=", 2*len(disk)))
		Expect(names()).To(ConsistOf(img.Key+".img", img.Key+".json", "precious.img"))
		Expect(img.Close()).To(Succeed())
	})

	It("removes what a crash has left, but not what another agent is making", func(ctx SpecContext) {
		for _, n := range []string{"sha256-aa.tmp", "sha256-aa.part", "sha256-aa.part.json", "sha256-bb.lock", "sha256-cc.tmp", "once-dd.img", "once-dd.json", "url-ee.part.json.new", "x.tmp"} {
			Expect(os.WriteFile(filepath.Join(dir, n), nil, 0o600)).To(Succeed())
		}
		unlock, err := cache.lock(ctx, "sha256-cc")
		Expect(err).NotTo(HaveOccurred())
		_, err = Open(options)
		Expect(err).NotTo(HaveOccurred())
		Expect(names()).To(ConsistOf("sha256-aa.part", "sha256-aa.part.json", "sha256-cc.tmp", "sha256-cc.lock", "x.tmp"))
		Expect(unlock()).To(Succeed())
		Expect(names()).NotTo(ContainElement("sha256-cc.lock"))
	})

	It("goes on with a download that a crash broke off", func(ctx SpecContext) {
		want := append([]byte("/x"), disk...)
		sum := sha(want)
		Expect(os.WriteFile(filepath.Join(dir, "sha256-"+sum.Hex+".part"), want[:1000], 0o600)).To(Succeed())
		Expect(os.WriteFile(filepath.Join(dir, "sha256-"+sum.Hex+".part.json"), []byte(`{"etag":"\"/x\"","size":65538}`), 0o600)).To(Succeed())
		var ranges atomic.Value
		good := answer
		answer = func(w http.ResponseWriter, r *http.Request) { ranges.Store(r.Header.Get("Range")); good(w, r) }
		img := get(ctx, Request{URL: server.URL + "/x", Checksum: sum})
		Expect(bytes.Equal(content(img), want)).To(BeTrue())
		Expect(ranges.Load()).To(Equal("bytes=1000-"))
		Expect(img.Close()).To(Succeed())
	})

	It("does not wait for ever for others", func(ctx SpecContext) {
		unlock, err := cache.lock(ctx, checksumKey(sha(disk)))
		Expect(err).NotTo(HaveOccurred())
		short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
		_, err = cache.Get(short, Request{URL: server.URL, Checksum: sha(disk)})
		Expect(err).To(MatchError(context.DeadlineExceeded))
		Expect(unlock()).To(Succeed())
	})

	It("trusts no directory that others can write to", func() {
		Expect(os.Chmod(dir, 0o777)).To(Succeed())
		_, err := Open(options)
		Expect(err).To(MatchError(ContainSubstring("chmod go-w")))
	})

	It("trusts no directory of another user", func() {
		if os.Geteuid() != 0 {
			Skip("only root can give files away")
		}
		Expect(os.Chown(dir, 4711, 4711)).To(Succeed())
		_, err := Open(options)
		Expect(err).To(MatchError(And(HavePrefix("cannot open the image cache: "+dir+" belongs to uid 4711"), ContainSubstring("chown 0 "+dir))))
	})

	DescribeTable("trusts no file that somebody else may have put there", func(suffix string, put func(path string) error, why string) {
		path := filepath.Join(dir, checksumKey(sha(disk))+suffix)
		Expect(put(path)).To(Succeed())
		_, err := Open(options)
		Expect(err).To(MatchError(And(HavePrefix("cannot open the image cache: "+path), ContainSubstring(why))))
	},
		Entry("an image that others can write to", ".img", func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o600), os.Chmod(path, 0o666))
		}, "is writable by others"),
		Entry("a symbolic link that a download would be written through", ".part.json.new", func(path string) error { return os.Symlink("/dev/null", path) }, "symbolic link"),
		Entry("a symbolic link in place of what is known of an image", ".json", func(path string) error { return os.Symlink("/dev/null", path) }, "symbolic link"),
		Entry("a hard link that a download would be written to", ".part", func(path string) error {
			return errors.Join(os.WriteFile(filepath.Join(dir, "precious"), nil, 0o600), os.Link(filepath.Join(dir, "precious"), path))
		}, "hard link"),
	)

	It("wants a path or an address", func(ctx SpecContext) {
		for _, r := range []Request{{}, {URL: "https://x", Path: "/x"}, {URL: "http://x/y"}, {Path: "/nonexistent"}} {
			_, err := cache.Get(ctx, r)
			Expect(err).To(HaveOccurred())
		}
	})
})
