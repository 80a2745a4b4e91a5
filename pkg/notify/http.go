package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/volreconciler/volreconciler/pkg/publicurl"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

const (
	// SignatureHeader has "sha256=" and the HMAC-SHA256 of the body in hexadecimal digits, with the
	// content of the secret file as the key. GitHub calls its own X-Hub-Signature-256.
	SignatureHeader = "X-Volreconciler-Signature-256"
	// httpLimit is how long a request may take.
	httpLimit = 10 * time.Second
	// maxAnswer is how much of an answer is read.
	maxAnswer = 64 << 10
)

// sendWebhook posts the message of a batch.
func sendWebhook(ctx context.Context, t Target, m Message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	header := http.Header{}
	if t.SecretFile != "" {
		key, err := spec.ReadSecret(t.SecretFile)
		if err != nil {
			return fmt.Errorf("secret-file: %w", err)
		}
		header.Set(SignatureHeader, signature(key, body))
	}
	return t.post(ctx, t.Webhook, header, body)
}

func signature(key spec.Secret, body []byte) string {
	mac := hmac.New(sha256.New, []byte(key.Reveal()))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// post posts JSON. Anything but success is an error, a redirection too: only the configured
// receiver may see the message and its signature.
func (t Target) post(ctx context.Context, address string, header http.Header, body []byte) error {
	authorities, err := t.authorities()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, httpLimit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return withoutURL(err)
	}
	request.Header = header
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "volreconciler")
	client := http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, TLSHandshakeTimeout: httpLimit,
			TLSClientConfig: &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return withoutURL(err)
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswer)) // what it answers besides is its own affair
	switch {
	case response.StatusCode >= 300 && response.StatusCode < 400:
		return fmt.Errorf("it responds with a redirection (%s), which is not followed; configure the final URL", response.Status)
	case response.StatusCode < 200 || response.StatusCode >= 300:
		return fmt.Errorf("it responds with %s", response.Status)
	}
	return nil
}

// withoutURL returns an error of a request without the URL, of which the path and the query may be secret.
func withoutURL(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		if wrapped.Timeout() {
			return fmt.Errorf("it does not respond within %s", httpLimit)
		}
		err = wrapped.Err
	}
	return publicurl.Error(err)
}
