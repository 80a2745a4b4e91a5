package fetch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/volreconciler/volreconciler/pkg/image"
	"github.com/volreconciler/volreconciler/pkg/publicurl"
)

// Request is a file to download.
type Request struct {
	URL string
	// Checksum is of the file as the server has it: of the compressed one, if it is
	// compressed. Optional for https.
	Checksum image.Checksum
	// Part is where the file is put. What an earlier attempt has left there is gone on
	// with. The version it is of lies beside it, in a file with .json behind its name.
	// The caller sees to it that nobody else writes there.
	Part string
	// Limit is the bandwidth in bytes per second; 0: none.
	Limit int64
	// Progress, if given, is called with the bytes that are there, and how many there will be
	// (-1: the server does not say).
	Progress func(done, total int64)
}

// PartVersion is the name of the file beside a part.
func PartVersion(part string) string { return part + ".json" }

// Fetch downloads a file, and returns what the server said of it when it is complete, on
// disk, and has the right checksum. A file with another checksum is thrown away and
// refused: [image.ErrChecksum]; if a part of it came from an earlier attempt, it is
// downloaded anew once before that. After any other error what has arrived is kept for the next
// attempt.
func (f *Fetcher) Fetch(ctx context.Context, r Request) (Version, error) {
	if err := CheckURL(r.URL, r.Checksum); err != nil {
		return Version{}, err
	}
	d := &download{fetcher: f, request: r}
	v, err := d.run(ctx)
	if errors.Is(err, image.ErrChecksum) && d.inherited {
		d = &download{fetcher: f, request: r}
		v, err = d.run(ctx)
	}
	return v, err
}

// download is one file on its way.
type download struct {
	fetcher *Fetcher
	request Request
	file    *os.File
	// sum has seen the first done bytes, and these are in the file.
	sum     hash.Hash
	done    int64
	version Version
	// inherited: some of the bytes were there before.
	inherited bool
}

func (d *download) run(ctx context.Context) (v Version, err error) {
	d.file, err = os.OpenFile(d.request.Part, os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return Version{}, err
	}
	defer func() { err = errors.Join(err, d.file.Close()) }()
	if err := d.resumePart(ctx); err != nil {
		return Version{}, err
	}
	if err := d.downloadAll(ctx); err != nil {
		if errors.Is(err, image.ErrRefused) {
			err = errors.Join(err, d.discardPart())
		}
		return Version{}, err
	}
	if err := d.request.Checksum.Check(d.sum); err != nil {
		return Version{}, errors.Join(fmt.Errorf("%s: %w", d.version.URL, err), d.discardPart())
	}
	return d.version, d.file.Sync()
}

// resumePart continues the part of an earlier attempt, if its version is known.
func (d *download) resumePart(ctx context.Context) error {
	d.sum = d.request.Checksum.New()
	var v Version
	b, err := os.ReadFile(PartVersion(d.request.Part))
	if err != nil || json.Unmarshal(b, &v) != nil || !v.Known() {
		return d.restart()
	}
	n, err := io.Copy(d.sum, contextReader{ctx, d.file})
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", d.request.Part, err)
	}
	d.done, d.version, d.inherited = n, v, n > 0
	return nil
}

// restart discards all bytes that were downloaded.
func (d *download) restart() error {
	d.sum.Reset()
	d.done, d.version, d.inherited = 0, Version{}, false
	if err := os.Remove(PartVersion(d.request.Part)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return d.file.Truncate(0)
}

func (d *download) discardPart() error {
	err := os.Remove(PartVersion(d.request.Part))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, os.Remove(d.request.Part))
}

// downloadAll downloads until the file is complete, or further attempts are useless.
func (d *download) downloadAll(ctx context.Context) error {
	for fruitless := 0; ; {
		before := d.done
		err := d.attempt(ctx)
		if err == nil {
			return nil
		}
		if isFinal(err) || context.Cause(ctx) != nil {
			return err
		}
		if d.done > before && !errors.Is(err, errTooSlow) {
			fruitless = 0
		} else if fruitless++; fruitless >= d.fetcher.options.Attempts {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(d.fetcher.options.RetryWait * time.Duration(1+fruitless)):
		}
	}
}

// isFinal reports whether asking again at once is useless.
func isFinal(err error) bool {
	var status *StatusError
	if errors.As(err, &status) {
		return status.Code < 500 && status.Code != http.StatusTooManyRequests && status.Code != http.StatusRequestTimeout
	}
	var file *fs.PathError
	return errors.Is(err, image.ErrRefused) || errors.Is(err, errRedirect) || errors.As(err, &file)
}

// errAgain asks for another attempt at once, from the beginning.
var errAgain = errors.New("the file on the server has changed")

func (d *download) attempt(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.request.URL, nil)
	if err != nil {
		return errors.New("the image's address is not a URL")
	}
	req.Header.Set("Accept-Encoding", "identity")
	if d.done > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", d.done))
		// Without a match the server sends all of what it has now.
		if d.version.ETag != "" {
			req.Header.Set("If-Range", d.version.ETag)
		} else {
			req.Header.Set("If-Range", d.version.LastModified)
		}
	}
	resp, err := d.fetcher.client.Do(req)
	if err != nil {
		return describe(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if err := d.accept(req, resp); err != nil {
		return err
	}
	return d.body(ctx, cancel, resp.Body)
}

// accept reads the headers of an answer, and seeks the file to where the body continues.
func (d *download) accept(req *http.Request, resp *http.Response) error {
	switch resp.StatusCode {
	case http.StatusOK:
		if err := d.restart(); err != nil {
			return err
		}
		d.version = versionOf(req.URL, resp, resp.ContentLength)
	case http.StatusPartialContent:
		var first, last, total int64
		n, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-%d/%d", &first, &last, &total)
		now := versionOf(req.URL, resp, total)
		if n != 3 || err != nil || first != d.done || d.version.Size >= 0 && total != d.version.Size ||
			d.version.ETag != "" && now.ETag != "" && now.ETag != d.version.ETag {
			// What it sends does not go with what is there.
			return errors.Join(errAgain, d.restart())
		}
		d.version.Size = total
	case http.StatusRequestedRangeNotSatisfiable:
		if d.version.Size >= 0 && d.done == d.version.Size && strings.HasSuffix(resp.Header.Get("Content-Range"), fmt.Sprintf("/%d", d.done)) {
			return nil
		}
		return errors.Join(errAgain, d.restart())
	default:
		return &StatusError{URL: publicurl.Of(req.URL.String()), Code: resp.StatusCode}
	}
	if d.version.Size > d.fetcher.options.MaxSize {
		return d.tooLarge()
	}
	if d.version.Size < 0 && resp.ProtoMajor == 1 && len(resp.TransferEncoding) == 0 && d.request.Checksum.IsZero() {
		// The body ends where the connection does, for whatever reason that does.
		return &image.Refusal{Reason: image.ErrMalformed, Detail: d.version.URL + " is sent without its size, so a truncated download would not be noticed",
			Advice: "set its checksum"}
	}
	return d.writeVersion()
}

func (d *download) tooLarge() error {
	return &image.Refusal{Reason: image.ErrTooLarge, Detail: fmt.Sprintf("%s has more than %d bytes", d.version.URL, d.fetcher.options.MaxSize),
		Advice: "raise the limit if the image is right"}
}

// writeVersion records the version of the part before its first byte. A part without a known
// version is downloaded again from the start.
func (d *download) writeVersion() error {
	b, err := json.Marshal(d.version)
	if err != nil {
		return err
	}
	tmp := PartVersion(d.request.Part) + ".new"
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, PartVersion(d.request.Part))
}

// body writes what comes, until it ends. cancel ends a connection that has gone silent.
func (d *download) body(ctx context.Context, cancel context.CancelCauseFunc, body io.Reader) error {
	stall := d.fetcher.options.StallTimeout
	watchdog := time.AfterFunc(stall, func() { cancel(fmt.Errorf("%s: no data received for %v", d.version.URL, stall)) })
	defer watchdog.Stop()
	buf := make([]byte, 256<<10)
	start, before := time.Now(), d.done
	pace := pace{since: start, from: d.done, every: d.fetcher.options.SlowTimeout, least: d.fetcher.options.MinRate}
	if limit := d.request.Limit; limit > 0 {
		pace.least = min(pace.least, limit/2)
	}
	for d.version.Size < 0 || d.done < d.version.Size {
		n, err := body.Read(buf)
		watchdog.Reset(stall)
		if werr := d.write(buf[:n]); werr != nil {
			return werr
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return describe(ctx, err)
		}
		if err := pace.check(time.Now(), d.done); err != nil {
			return fmt.Errorf("%s: %w", d.version.URL, err)
		}
		if err := d.throttle(ctx, start, d.done-before); err != nil {
			return err
		}
		watchdog.Reset(stall)
	}
	if d.version.Size >= 0 && d.done != d.version.Size {
		return fmt.Errorf("%s: %w: received %d of %d bytes", d.version.URL, io.ErrUnexpectedEOF, d.done, d.version.Size)
	}
	d.version.Size = d.done
	return nil
}

// errTooSlow ends a download that would take for ever.
var errTooSlow = errors.New("the server is too slow")

// pace sees to it that enough bytes come.
type pace struct {
	since time.Time
	from  int64
	// least is how many bytes per second have to come on the average of every.
	every time.Duration
	least int64
}

func (p *pace) check(now time.Time, done int64) error {
	took := now.Sub(p.since)
	if took < p.every {
		return nil
	}
	came := done - p.from
	if float64(came) < float64(p.least)*took.Seconds() {
		return fmt.Errorf("%w: received %d bytes in %v; at least %d per second are required", errTooSlow, came, took.Round(time.Millisecond), p.least)
	}
	p.since, p.from = now, done
	return nil
}

// throttle waits until the bytes that came since start are no more than the limit allows.
func (d *download) throttle(ctx context.Context, start time.Time, n int64) error {
	if d.request.Limit <= 0 {
		return nil
	}
	wait := time.Duration(float64(n)/float64(d.request.Limit)*float64(time.Second)) - time.Since(start)
	if wait <= 0 {
		return nil
	}
	// No longer than the watchdog lets a connection be silent.
	timer := time.NewTimer(min(wait, d.fetcher.options.StallTimeout/2))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

func (d *download) write(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if d.version.Size >= 0 && int64(len(b)) > d.version.Size-d.done || int64(len(b)) > d.fetcher.options.MaxSize-d.done {
		return d.tooLarge()
	}
	if _, err := d.file.WriteAt(b, d.done); err != nil {
		return err
	}
	d.sum.Write(b)
	d.done += int64(len(b))
	if d.request.Progress != nil {
		d.request.Progress(d.done, d.version.Size)
	}
	return nil
}

// contextReader ends when its context does.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r contextReader) Read(b []byte) (int, error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	return r.r.Read(b)
}
