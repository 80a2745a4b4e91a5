// Package dashboard has specs that look at the dashboard with a real browser, Debian's chromium. Without
// it they are skipped, unless BROWSER=required.
//
// With SCREENSHOTS=DIR the screenshots of all views are kept there.
package dashboard
