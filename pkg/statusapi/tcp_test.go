package statusapi_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/statusapi"
)

// certificate writes a new certificate for 127.0.0.1 and its key, and returns whom to trust for it.
func certificate(dir string) *x509.CertPool {
	GinkgoHelper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	Expect(err).NotTo(HaveOccurred())
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	Expect(err).NotTo(HaveOccurred())
	private, err := x509.MarshalPKCS8PrivateKey(key)
	Expect(err).NotTo(HaveOccurred())
	for name, block := range map[string]*pem.Block{"cert": {Type: "CERTIFICATE", Bytes: der}, "key": {Type: "PRIVATE KEY", Bytes: private}} {
		Expect(os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600)).To(Succeed())
	}
	parsed, err := x509.ParseCertificate(der)
	Expect(err).NotTo(HaveOccurred())
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return pool
}

var _ = Describe("The TCP address", func() {
	It("answers by TLS whoever has the password, until it is to end", func(ctx SpecContext) {
		dir := GinkgoT().TempDir()
		trusted := certificate(dir)
		file := filepath.Join(dir, "web.yaml")
		// The password is "test".
		Expect(os.WriteFile(file, []byte(`tls_server_config: {cert_file: cert, key_file: key}
basic_auth_users: {prometheus: $2b$12$hNf2lSsxfm0.i4a.1kVpSOVyBCfIB51VRjgBUyv6kdnyTlgWj81Ay}
`), 0o600)).To(Succeed())
		Expect(statusapi.CheckWebConfig(file)).To(Succeed())

		listener, err := net.Listen("tcp", "127.0.0.1:0")
		Expect(err).NotTo(HaveOccurred())
		serving, stop := context.WithCancel(ctx)
		ended := make(chan error)
		go func() {
			ended <- statusapi.ServeTCP(serving, listener, file, statusapi.Source{Status: &status.Board{}}, logr.Discard())
		}()
		client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}}}
		ask := func(scheme, password string) int {
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+listener.Addr().String()+"/healthz", nil)
			Expect(err).NotTo(HaveOccurred())
			request.SetBasicAuth("prometheus", password)
			response, err := client.Do(request)
			Expect(err).NotTo(HaveOccurred())
			Expect(response.Body.Close()).To(Succeed())
			return response.StatusCode
		}
		Expect(ask("https", "test")).To(Equal(http.StatusOK))
		Expect(ask("https", "wrong")).To(Equal(http.StatusUnauthorized))
		Expect(ask("http", "test")).To(Equal(http.StatusBadRequest))
		stop()
		Eventually(ctx, ended).Should(Receive(BeNil()))
	})

	It("answers nobody if its file cannot be read", func(ctx SpecContext) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(listener.Close)
		missing := filepath.Join(GinkgoT().TempDir(), "web.yaml")
		Expect(statusapi.CheckWebConfig(missing)).NotTo(Succeed())
		Expect(statusapi.ServeTCP(ctx, listener, missing, statusapi.Source{Status: &status.Board{}}, logr.Discard())).NotTo(Succeed())
	})
})
