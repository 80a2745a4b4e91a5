// Package fetch downloads images over HTTP: resumed where the server can, checked
// against their checksum, and never more than allowed.
//
// It supports http and https only. Plain http is refused without a checksum, because
// anybody on the way could have replaced the image. It never looks into an image.
//
// Start reading at [Fetcher.Fetch].
package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/volreconciler/volreconciler/pkg/image"
	"github.com/volreconciler/volreconciler/pkg/publicurl"
)

// Options say how to download. The zero Options are usable.
type Options struct {
	// Proxy is the URL of a proxy for everything; empty: as the environment says
	// (HTTPS_PROXY, HTTP_PROXY, NO_PROXY).
	Proxy string
	// CAFile is a PEM file of certificates that are trusted besides the system's.
	CAFile string
	// MaxSize is the largest file in bytes; by default 1 TiB.
	MaxSize int64
	// ConnectTimeout is for the connection and for the headers of an answer; by default 30 seconds.
	ConnectTimeout time.Duration
	// StallTimeout is how long not a byte may come; by default one minute.
	StallTimeout time.Duration
	// MinRate is how many bytes per second have to come, by default 4 KiB, on the average of
	// SlowTimeout, by default five minutes. A bandwidth that is lower takes its place.
	MinRate     int64
	SlowTimeout time.Duration
	// MaxRedirects; by default 10.
	MaxRedirects int
	// Attempts is how often in a row a download may break off without a new byte;
	// or be too slow; by default 3. A download that makes progress is resumed without limit.
	Attempts int
	// RetryWait is the time between two attempts, longer each time; by default one second.
	RetryWait time.Duration
}

func (o Options) withDefaults() Options {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&o.ConnectTimeout, 30*time.Second)
	def(&o.StallTimeout, time.Minute)
	def(&o.RetryWait, time.Second)
	def(&o.SlowTimeout, 5*time.Minute)
	if o.MinRate <= 0 {
		o.MinRate = 4 << 10
	}
	if o.MaxSize <= 0 {
		o.MaxSize = 1 << 40
	}
	if o.MaxRedirects <= 0 {
		o.MaxRedirects = 10
	}
	if o.Attempts <= 0 {
		o.Attempts = 3
	}
	return o
}

// Fetcher downloads. It may be used by many at once.
type Fetcher struct {
	options Options
	client  *http.Client
}

// New makes a Fetcher. It reads the CA file.
func New(o Options) (*Fetcher, error) {
	o = o.withDefaults()
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: o.ConnectTimeout}).DialContext,
		TLSHandshakeTimeout:   o.ConnectTimeout,
		ResponseHeaderTimeout: o.ConnectTimeout,
		IdleConnTimeout:       30 * time.Second,
		ForceAttemptHTTP2:     true,
		// The checksum is of the file as the server has it.
		DisableCompression: true,
		TLSClientConfig:    &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if o.Proxy != "" {
		proxy, err := url.Parse(o.Proxy)
		if err != nil || proxy.Host == "" {
			return nil, errors.New("the proxy is not a URL with a host, such as http://proxy.example.com:3128")
		}
		transport.Proxy = http.ProxyURL(proxy)
	}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("cannot read the CA certificates: %w", err)
		}
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s contains no certificate; use a PEM file", o.CAFile)
		}
		transport.TLSClientConfig.RootCAs = pool
	}
	f := &Fetcher{options: o}
	f.client = &http.Client{Transport: transport, CheckRedirect: f.checkRedirect}
	return f, nil
}

// Close closes connections that are kept for the next download.
func (f *Fetcher) Close() { f.client.CloseIdleConnections() }

var errRedirect = errors.New("redirected to an address that is not allowed")

func (f *Fetcher) checkRedirect(req *http.Request, via []*http.Request) error {
	switch {
	case len(via) > f.options.MaxRedirects:
		return fmt.Errorf("%w: more than %d times", errRedirect, f.options.MaxRedirects)
	case req.URL.Scheme != "https" && req.URL.Scheme != "http":
		return fmt.Errorf("%w: %s", errRedirect, publicurl.Of(req.URL.String()))
	case via[len(via)-1].URL.Scheme == "https" && req.URL.Scheme != "https":
		return fmt.Errorf("%w: from https to %s; write the final address, with a checksum", errRedirect, publicurl.Of(req.URL.String()))
	}
	return nil
}

// CheckURL says whether an image may be taken from an address.
func CheckURL(address string, sum image.Checksum) error {
	u, err := url.Parse(address)
	if err != nil {
		// Its text may hold a password.
		return errors.New("the image's address is not a URL")
	}
	public := publicurl.Of(address)
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("%s: images require https, or http with a checksum", public)
	case u.Host == "":
		return fmt.Errorf("%s has no host", public)
	case u.Scheme == "http" && sum.IsZero():
		return fmt.Errorf("%s: http requires a checksum, because it does not protect the image; set sha256, or use https", public)
	}
	return nil
}

// Version is what a server says of the file it has. It tells one version of a file from
// the next.
type Version struct {
	// URL is the address in its public form.
	URL string `json:"url"`
	// ETag is the strong entity tag; weak ones are left out.
	ETag string `json:"etag,omitempty"`
	// LastModified is the header of that name.
	LastModified string `json:"lastModified,omitempty"`
	// Size in bytes; -1: the server does not say.
	Size int64 `json:"size"`
}

// Known tells whether the server says enough to know its file again.
func (v Version) Known() bool { return v.ETag != "" || v.LastModified != "" && v.Size >= 0 }

// Look asks a server for the version that it has, without downloading it.
func (f *Fetcher) Look(ctx context.Context, address string) (Version, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, f.options.ConnectTimeout*2, errors.New("the server does not respond"))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, address, nil)
	if err != nil {
		return Version{}, errors.New("the image's address is not a URL")
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return Version{}, describe(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return Version{}, &StatusError{URL: publicurl.Of(req.URL.String()), Code: resp.StatusCode}
	}
	return versionOf(req.URL, resp, resp.ContentLength), nil
}

func versionOf(u *url.URL, resp *http.Response, size int64) Version {
	v := Version{URL: publicurl.Of(u.String()), LastModified: resp.Header.Get("Last-Modified"), Size: size}
	if tag := resp.Header.Get("ETag"); len(tag) > 2 && tag[0] == '"' {
		v.ETag = tag
	}
	return v
}

// StatusError is an answer that is no file.
type StatusError struct {
	URL  string
	Code int
}

// Error says what the server said, and what that asks for.
func (e *StatusError) Error() string {
	s := fmt.Sprintf("%s: the server responds with %d %s", e.URL, e.Code, http.StatusText(e.Code))
	switch e.Code {
	case http.StatusNotFound, http.StatusGone:
		s += "; correct the address"
	case http.StatusUnauthorized, http.StatusForbidden:
		s += "; make the image readable for this node"
	case http.StatusProxyAuthRequired:
		s += "; correct the proxy's address, with its user and password"
	}
	return s
}

// describe takes the address out of an error of the client's, which has it with what
// may be secret in it, and says why it was stopped, if it was.
func describe(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	var u *url.Error
	if !errors.As(err, &u) {
		return publicurl.Error(err)
	}
	if strings.HasPrefix(u.Err.Error(), "failed to parse Location header") {
		// It repeats the header, whatever is in it.
		u.Err = fmt.Errorf("%w: the server's redirect address is not a URL", errRedirect)
	}
	return fmt.Errorf("%s: %w", publicurl.Of(u.URL), publicurl.Error(u.Err))
}
