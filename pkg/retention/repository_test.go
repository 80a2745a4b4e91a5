package retention_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// repository is a restic repository of format 1 whose snapshots the test writes itself: restic would need
// a process for each. See restic's design document, "Repository format" and "Keys, encryption and MAC".
type repository struct {
	dir string
	// isOld is set for restic before 0.16, which does not keep the oldest snapshot.
	isOld bool
	key   struct {
		MAC struct {
			K []byte `json:"k"`
			R []byte `json:"r"`
		} `json:"mac"`
		Encrypt []byte `json:"encrypt"`
	}
}

// newRepository has restic make a repository, and tell its key.
func newRepository() *repository {
	GinkgoHelper()
	if _, err := exec.LookPath("restic"); err != nil {
		Fail("restic is missing; hack/install-deps.sh test installs it")
	}
	r := &repository{dir: filepath.Join(GinkgoT().TempDir(), "repository")}
	r.isOld = regexp.MustCompile(`^restic 0\.(\d|1[0-5])\.`).Match(r.run("version"))
	r.run("init", "--repository-version", "1")
	Expect(json.Unmarshal(r.run("cat", "masterkey"), &r.key)).To(Succeed())
	return r
}

// run returns what a restic command printed.
func (r *repository) run(args ...string) []byte {
	GinkgoHelper()
	cmd := exec.Command("restic", append([]string{"--no-cache", "--repo", r.dir}, args...)...)
	cmd.Env = append(os.Environ(), "RESTIC_PASSWORD=test", "TZ=UTC")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	Expect(cmd.Run()).To(Succeed(), stderr.String())
	return stdout.Bytes()
}

// add writes a snapshot of a volume, of an empty tree.
func (r *repository) add(volume string, at time.Time) {
	GinkgoHelper()
	text, err := json.Marshal(map[string]any{
		"time": at, "tree": hex.EncodeToString(make([]byte, sha256.Size)), "paths": []string{"/"}, "tags": []string{volume},
	})
	Expect(err).NotTo(HaveOccurred())
	sealed := r.seal(text)
	name := sha256.Sum256(sealed)
	Expect(os.WriteFile(filepath.Join(r.dir, "snapshots", hex.EncodeToString(name[:])), sealed, 0o600)).To(Succeed())
}

// seal encrypts with AES-256 in counter mode and authenticates with Poly1305-AES.
func (r *repository) seal(text []byte) []byte {
	GinkgoHelper()
	iv := make([]byte, aes.BlockSize)
	_, _ = rand.Read(iv) // never fails
	block, err := aes.NewCipher(r.key.Encrypt)
	Expect(err).NotTo(HaveOccurred())
	sealed := make([]byte, len(text))
	cipher.NewCTR(block, iv).XORKeyStream(sealed, text)
	mac, err := aes.NewCipher(r.key.MAC.K)
	Expect(err).NotTo(HaveOccurred())
	nonce := make([]byte, aes.BlockSize)
	mac.Encrypt(nonce, iv)
	return slices.Concat(iv, sealed, poly1305(r.key.MAC.R, nonce, sealed))
}

// prime is 2^130 - 5.
var prime = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 130), big.NewInt(5))

// poly1305 returns Bernstein's authenticator of a message.
func poly1305(r, nonce, message []byte) []byte {
	clamped := slices.Clone(r)
	binary.LittleEndian.PutUint64(clamped, binary.LittleEndian.Uint64(clamped)&0x0ffffffc0fffffff)
	binary.LittleEndian.PutUint64(clamped[8:], binary.LittleEndian.Uint64(clamped[8:])&0x0ffffffc0ffffffc)
	factor, sum := number(clamped), new(big.Int)
	for block := range slices.Chunk(message, 16) {
		sum.Add(sum, number(append(slices.Clone(block), 1)))
		sum.Mod(sum.Mul(sum, factor), prime)
	}
	sum.Add(sum, number(nonce))
	tag := sum.FillBytes(make([]byte, 32))
	slices.Reverse(tag)
	return tag[:16]
}

// number reads bytes of which the first is the least significant.
func number(b []byte) *big.Int {
	b = slices.Clone(b)
	slices.Reverse(b)
	return new(big.Int).SetBytes(b)
}
