package observe

import (
	"path"
	"strings"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// credentialReads is a machine that notes which files with credentials are read.
type credentialReads struct {
	*fakehost.Host
	mu   sync.Mutex
	seen []string
}

func (r *credentialReads) ReadFile(p string) ([]byte, error) {
	if base := path.Base(p); strings.HasPrefix(base, "password") && strings.Contains(p, "/iqn.") {
		r.mu.Lock()
		r.seen = append(r.seen, p)
		r.mu.Unlock()
	}
	return r.Host.ReadFile(p)
}

var _ = Describe("Targets of others", func() {
	const one, two, host = "iqn.2003-01.org.example:one", "iqn.2003-01.org.example:two", "iqn.2001-01.com.example:host"
	var h *credentialReads

	BeforeEach(func() {
		fake, err := fakehost.New(fakehost.Node{Modules: []string{"target_core_mod", "iscsi_target_mod", "target_core_iblock"}})
		Expect(err).NotTo(HaveOccurred())
		h = &credentialReads{Host: fake}
		Expect(h.Mkdir(ISCSIDir)).To(Succeed())
		for _, name := range []string{one, two} {
			d := ISCSITarget(name)
			for _, dir := range []string{d.Path, d.TPG(), d.ACL(host)} {
				Expect(h.Mkdir(dir)).To(Succeed())
			}
			Expect(h.WriteFile(path.Join(d.ACL(host), "auth/password"), []byte("a-long-password"))).To(Succeed())
		}
	})

	It("are read in full only if they are to be adopted, also when that is known later", func(ctx SpecContext) {
		o := New(h)
		o.Remember()
		Expect(o.Observe(ctx).LIO.ISCSI[one].ACLs[host].Auth).To(Equal(CHAP{}))
		Expect(h.seen).To(BeEmpty())
		o.Adopt(one)
		state := o.Observe(ctx)
		Expect(state.LIO.ISCSI[one].ACLs[host].Auth.Password).To(Equal(spec.NewSecret("a-long-password")))
		Expect(state.LIO.ISCSI[two].ACLs[host].Auth).To(Equal(CHAP{}))
		Expect(h.seen).To(HaveEach(ContainSubstring(one)))
		o.AdoptAll()
		Expect(o.Observe(ctx).LIO.ISCSI[two].ACLs[host].Auth.Password).To(Equal(spec.NewSecret("a-long-password")))
		o.Adopt()
		Expect(o.Observe(ctx).LIO.ISCSI[two].ACLs[host].Auth).To(Equal(CHAP{}))
	})
})
