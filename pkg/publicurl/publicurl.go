// Package publicurl reduces a URL to what everybody may see: scheme, host, port and path. User and
// password, the query, which holds the permission of signed URLs, and the fragment are left out.
//
// Every mention of a URL, in a plan, a status, a log or an error, passes through [Of], and errors of others
// that may repeat one through [Error].
package publicurl

import (
	"net/url"
	"regexp"
	"strings"
)

// hidden replaces a URL that cannot be parsed, and so may hold anything.
const hidden = "<hidden>"

// Of returns the public form of a URL. What is no URL is left out altogether: nobody can tell
// what in it is secret.
func Of(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Opaque != "" {
		if scheme := begin.FindString(address); scheme != "" {
			return scheme + hidden
		}
		return hidden
	}
	public := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	return public.String()
}

var (
	begin = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://`)
	// inText ends where people and programs end a URL in a sentence.
	inText = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s"'<>` + "`" + `]+`)
	// toEnd takes all that comes after the beginning of a URL for a part of it.
	toEnd = regexp.MustCompile(`(?s)[A-Za-z][A-Za-z0-9+.-]*://.+`)
)

// InText returns a text with the public form of each URL in it.
func InText(text string) string {
	return inText.ReplaceAllStringFunc(text, func(found string) string {
		address := strings.TrimRight(found, ".,:;)]}")
		return Of(address) + found[len(address):]
	})
}

// InValue returns a text that is, or ends with, one URL, with its public form. Unlike [InText] it leaves
// out what follows a character that no URL has.
func InValue(text string) string { return toEnd.ReplaceAllStringFunc(text, Of) }

// Error returns an error that says the same, with the public form of each URL.
func Error(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if public := InText(text); public != text {
		return publicError{public, err}
	}
	return err
}

// publicError is an error that says something else.
type publicError struct {
	text string
	err  error
}

func (e publicError) Error() string { return e.text }

func (e publicError) Unwrap() error { return e.err }
