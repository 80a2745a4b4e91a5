package spec_test

import (
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("A spec file for strangers", func() {
	redact := func(text string) string {
		GinkgoHelper()
		data, err := spec.RedactFile([]byte(text))
		Expect(err).NotTo(HaveOccurred())
		return string(data)
	}

	It("is the same as it was where nothing can be a secret", func() {
		dir := GinkgoT().TempDir()
		for _, f := range spec.RedactDir("../../examples/specs") {
			Expect(f.Err).NotTo(HaveOccurred(), f.Name)
			Expect(string(f.Data)).NotTo(ContainSubstring("#"), f.Name)
			others := strings.ReplaceAll(string(f.Data), spec.Redacted+": "+spec.Redacted, "") // of an annotation
			Expect(others).NotTo(ContainSubstring(spec.Redacted), f.Name)
			Expect(os.MkdirAll(filepath.Dir(filepath.Join(dir, f.Name)), 0o700)).To(Succeed())
			named := strings.ReplaceAll(string(f.Data), spec.Redacted+":", "note:")
			Expect(os.WriteFile(filepath.Join(dir, f.Name), []byte(named), 0o600)).To(Succeed())
		}
		before, after := spec.LoadPaths([]string{"../../examples/specs"}, ""), spec.LoadPaths([]string{dir}, "")
		Expect(before.Volumes).NotTo(BeEmpty())
		Expect(after.Findings).To(BeEmpty())
		Expect(after.Volumes).To(Equal(before.Volumes))
		Expect(after.Exports).To(Equal(before.Exports))
		for name, pool := range before.Pools {
			Expect(after.Pools[name].Spec).To(Equal(pool.Spec))
			Expect(after.Pools[name].Metadata.Labels).To(Equal(pool.Metadata.Labels))
		}
	})

	It("has nothing of what the format does not know", func() {
		const secret = "Zk4w-secret"
		text := redact(`# ` + secret + `
apiVersion: volreconciler/v1alpha1 # ` + secret + `
kind: Export
password: ` + secret + `
metadata: {name: db, labels: {tier: gold}, annotations: {volreconciler/reconcile: suspended, note: ` + secret + `, ` + secret + `: x}}
spec:
  protocol: iscsi
  pasword: ` + secret + `
  ` + secret + `:
  portals: {password: ` + secret + `}
  attributes: {MaxBurstLength: "262144", secret: ` + secret + `}
  luns: [{volume: db, lun: ` + secret + `, readOnly: ` + secret + `}]
  disconnect: &` + strings.ReplaceAll(secret, "-", "") + ` Wait
  initiators:
    - name: iqn.1993-08.org.debian:01:a
      auth:
        chap: {username: user, password: ` + secret + `, passwordFrom: {file: ` + secret + `}}
        mutual: {username: node, passwordFrom: ` + secret + `}
    - {name: iqn.1993-08.org.debian:01:b, auth: {chap: {username: user, passwordFrom: {file: /` + secret + `}}}}
    - {name: iqn.1993-08.org.debian:01:c, auth: {chap: {username: user, passwordFrom: {file: /etc/volreconciler/c}}}}
---
apiVersion: volreconciler/v1alpha1
kind: Volume
metadata: {name: db}
spec: {pool: fast, size: ` + secret + `, source: {image: {url: "https://u:` + secret + `@example.org/a.qcow2?X-Signature=` + secret + `", path: ` + secret + `}}}
---
apiVersion: v1
kind: Secret
data: {password: ` + secret + `}
--- ` + secret + `
--- [` + secret + `]
`)
		Expect(text).NotTo(ContainSubstring("Zk4w"))
		for _, kept := range []string{
			"tier: gold", "volreconciler/reconcile: suspended", `MaxBurstLength: "262144"`, "iqn.1993-08.org.debian:01:c", "file: /etc/volreconciler/c",
			"username: node", "url: https://example.org/a.qcow2", "pool: fast",
		} {
			Expect(text).To(ContainSubstring(kept))
		}
	})

	It("is nothing if it cannot be read, and the error does not repeat it", func() {
		for _, text := range []string{"a: [Zk4w-secret", "\tZk4w-secret", "a: *Zk4w-secret", "Zk4w\x00", "", "a: {<<: {Zk4w: [}", "? [Zk4w-secret]\n: !!merge <<: x"} {
			data, err := spec.RedactFile([]byte(text))
			if err != nil {
				Expect(err.Error()).NotTo(ContainSubstring("Zk4w"))
			}
			Expect(string(data)).NotTo(ContainSubstring("Zk4w"))
		}
		for _, f := range spec.RedactDir("/nowhere/at/all") {
			Expect(f.Err).To(HaveOccurred())
		}
	})
})
