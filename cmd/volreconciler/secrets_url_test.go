package main

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("What a URL gives permission with is in nothing that is said, written or run", func() {
	const (
		signed   = "Zk4w-signature-of-the-spec"
		further  = "Qm9x-signature-of-a-redirect"
		password = "Vt7h-password-of-a-redirect"
		fragment = "Jr2b-fragment-of-a-redirect"
	)

	It("however fetching an image fails", func(ctx SpecContext) {
		server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			query := "?X-Signature=" + further + "#" + fragment
			to := map[string]string{
				"/redirected":   "https://u:" + password + "@" + r.Host + "/missing" + query,
				"/downgraded":   "http://u:" + password + "@" + r.Host + "/x" + query,
				"/ftp":          "ftp://u:" + password + "@" + r.Host + "/x" + query,
				"/nowhere":      "https://u:" + password + "@127.0.0.1:1/x" + query,
				"/no-url":       "https://u:" + password + "@" + r.Host + "/%zz" + query,
				"/not-relative": "/%zz" + query,
			}[r.URL.Path]
			switch {
			case to != "":
				w.Header().Set("Location", to)
				w.WriteHeader(http.StatusFound)
			case r.URL.Path == "/silent":
				panic(http.ErrAbortHandler)
			case r.URL.Path == "/other", r.URL.Path == "/no-image":
				_, _ = w.Write([]byte("something else"))
			default:
				http.NotFound(w, r)
			}
		}))
		DeferCleanup(server.Close)
		stranger := httptest.NewUnstartedServer(http.NotFoundHandler())
		stranger.StartTLS()
		DeferCleanup(stranger.Close)
		ca := filepath.Join(GinkgoT().TempDir(), "ca.pem")
		Expect(os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600)).To(Succeed())

		volumes := map[string]struct{ address, more, says string }{
			"missing":      {server.URL + "/missing", "", "the server responds with 404"},
			"redirected":   {server.URL + "/redirected", "", "/redirected: the server responds with 404"},
			"downgraded":   {server.URL + "/downgraded", "", "from https to http://"},
			"ftp":          {server.URL + "/ftp", "", "redirected to an address that is not allowed"},
			"nowhere":      {server.URL + "/nowhere", "", "https://127.0.0.1:1/x: dial tcp"},
			"no-url":       {server.URL + "/no-url", "", "redirect address is not a URL"},
			"not-relative": {server.URL + "/not-relative", "", "redirect address is not a URL"},
			"silent":       {server.URL + "/silent", "", "/silent: "},
			"refused":      {"https://127.0.0.1:1/disk", "", "connection refused"},
			"stranger":     {strings.Replace(stranger.URL, "127.0.0.1", "localhost", 1) + "/disk", "", "certificate"},
			"other":        {server.URL + "/other", ", sha256: " + strings.Repeat("0f", 32), "/other"},
		}
		specs, rest, _ := strings.Cut(exportWithPasswords, "---\n")
		for name, v := range volumes {
			specs += fmt.Sprintf("---\napiVersion: volreconciler/v1alpha1\nkind: Volume\nmetadata: {name: %s}\nspec: {pool: slow, size: 4Mi, source: {image: {url: %q, format: raw%s}}}\n",
				name, v.address+"?X-Signature="+signed, v.more)
		}
		a := newSecretive(specs+"---\n"+rest, func(s *settings) {
			s.data.imageCAFile, s.data.maxJobs = ca, len(volumes)
		})
		a.written = []string{a.s.data.imageCache}
		a.put("chap", "Aa1-password-of-chap")
		a.put("mutual", "Bb2-password-of-mutual")
		said := map[string]string{}
		Eventually(ctx, func(g Gomega) {
			a.loop.Pass(ctx)
			a.loop.Executor.Wait()
			node, _ := a.loop.Status.Report()
			var out strings.Builder
			g.Expect(writeOutcome(&out, &out, node)).To(Succeed())
			a.say("apply", out.String()+fmt.Sprintln(notReadyError(node)))
			a.ask(ctx)
			for _, o := range node.Objects {
				said[o.Name] += o.Message + "\n"
			}
			for name, v := range volumes {
				g.Expect(said[name]).To(ContainSubstring(v.says), name)
			}
		}).WithTimeout(30 * time.Second).Should(Succeed())
		Expect(a.said["plan json"]).To(ContainSubstring(`"url": "` + server.URL + `/missing"`))
		a.expectSecret(signed, further, password, fragment)
	})

	It("nor in a finding, wherever it stands in a file", func() {
		address := "https://u:" + password + "@example.org/a?X-Signature=" + signed + "#" + fragment
		var out strings.Builder
		for _, field := range []string{
			"source: {image: {url: '%s'}}", "source: {image: {path: '%s'}}", "source: {image: '%s'}", "source: '%s'", "source: {volume: '%s'}", "size: '%s'", "lvName: '%s'",
			"source: {image: {url: ['%s']}}", "source: {image: {url: {'%s': x}}}", "'%s': x", "source: {image: {url: 'ftp%s', format: '%[1]s', sha256: '%[1]s'}}",
		} {
			file := filepath.Join(GinkgoT().TempDir(), "volume.yaml")
			Expect(os.WriteFile(file, []byte("apiVersion: volreconciler/v1alpha1\nkind: Volume\nmetadata: {name: a}\nspec:\n  pool: p\n  "+fmt.Sprintf(field, address)+"\n"), 0o600)).To(Succeed())
			for _, format := range []string{"text", "json"} {
				Expect(runCommandLine([]string{"validate", "-o", format, file}, &out, &out)).To(Equal(1), field)
			}
		}
		for _, secret := range []string{signed, password, fragment} {
			Expect(out.String()).NotTo(ContainSubstring(secret[:8]))
		}
	})

	It("nor in what is said of a setting", func() {
		proxy := "http://u:" + password + "@proxy:3128/?" + signed
		var out strings.Builder
		Expect(runCommandLine([]string{"run", "--image-proxy", proxy}, &out, &out)).To(Equal(1))
		GinkgoT().Setenv("VOLRECONCILER_IMAGE_PROXY", proxy)
		Expect(runCommandLine([]string{"run"}, &out, &out)).To(Equal(1))
		GinkgoT().Setenv("VOLRECONCILER_IMAGE_PROXY", "")
		config := filepath.Join(GinkgoT().TempDir(), "config.yaml")
		Expect(os.WriteFile(config, []byte("image-proxy: "+proxy), 0o600)).To(Succeed())
		Expect(runCommandLine([]string{"run", "--config", config}, &out, &out)).To(Equal(1))
		Expect(strings.Count(out.String(), "must not contain a user name: all users of the node could read the password")).To(Equal(3), out.String())
		Expect(out.String()).NotTo(Or(ContainSubstring(password[:8]), ContainSubstring(signed[:8])))
	})
})
