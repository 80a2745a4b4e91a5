package dashboard_test

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/chromedp/chromedp"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/test/dashboard/sample"
)

// views are all of them, each with what it shows of the sample.
var views = []struct {
	name, path string
	shows      []string
}{
	{"overview", "/", []string{
		"9 of 22 objects need you", "Volume/media", "cannot extend vg1/media", "6 objects", "and 3 more", "apps.yaml:14:9", "scan_lvs", "web-3", "45%",
		"create thin volume vg0/web-3", "disruptive", "hits iqn.1993-08", "Filling up", "88.1%", "scratch", "Live",
	}},
	{"objects", "/objects?sort=worst", []string{"1 to 22 of 22 objects", "Volume/db-data", "changed by lvchange", "nvme-tcp", "Foreign"}},
	{"filtered", "/objects?kind=Volume&phase=Blocked&q=vm-", []string{"1 to 6 of 6 objects; 22 without the filter", "NotOwned"}},
	{"none", "/objects?q=nothing-is-called-so", []string{"None of 22 objects matches"}},
	{"volume", "/objects/Volume/db-data", []string{
		"Volume/db-data", "Ready", "iqn.1993-08.org.debian:01:db-host", "192.0.2.66", "naa.6001405", "db-monday", "lvchange (/usr/sbin/lvm, pid 4711", "alice",
		"2 corrections", "Drift corrected",
	}},
	{"export", "/objects/Export/web", []string{"SessionsActive", "cannot remove LUN 3", "192.0.2.21 tcp", "Volume/web-1", "team=shop", "was Ready"}},
	{"pool", "/objects/Pool/fast", []string{"Filling up", "Provisioned after the plan", "Snapshots", "unknown, 1 object", "1 inactive thin volume", "vg0"}},
	{"schedule", "/objects/SnapshotSchedule/nightly", []string{"BackupTooOld", "2 Volumes", "Drilled", "Volume/db-log", "Too old", "Last snapshot", "Next run"}},
	{"moving", "/objects/Volume/web-3", []string{"copy Snapshot/golden", "45%", "300MiB/s", "create thin volume", "provisioned at 117%"}},
	{"pools", "/pools", []string{"Pool/archive", "Pool/fast", "451Gi (88.1%)", "563Gi (110.0%)", "212Gi in 5 volumes", "41.2% of its own area"}},
	{"events", "/events", []string{"15 of 15 events", "Drift corrected", "activate vg0/db-data", "was Ready", "Changed by: lvchange"}},
	{"gone", "/objects/Volume/never", []string{"There is no such object"}},
}

var _ = Describe("The dashboard", func() {
	keep := os.Getenv("SCREENSHOTS")

	for _, v := range views {
		It("shows the view "+v.name+" on a screen and a phone, light and dark", func(SpecContext) {
			url := serve(sample.Board(time.Now()))
			dir := keep
			if dir == "" {
				dir = GinkgoT().TempDir()
			}
			page := open(1280, 900)
			page.scheme("light")
			page.do(chromedp.Navigate(url + v.path))
			Eventually(page.text).Should(ContainSubstring("Live"))
			for _, text := range v.shows {
				Expect(page.text()).To(ContainSubstring(text))
			}
			Expect(ask[string](page, "document.title")).NotTo(ContainSubstring("hacked"))
			Expect(ask[int](page, "document.querySelectorAll('main script, main img').length")).To(BeZero())
			for _, width := range []int64{1280, 390} {
				for _, colours := range []string{"light", "dark"} {
					page.scheme(colours)
					page.do(chromedp.EmulateViewport(width, 900))
					picture := run(page, chromedp.FullScreenshot(100))
					Expect(len(picture)).To(BeNumerically(">", 5000))
					file := filepath.Join(dir, strings.Join([]string{v.name, colours, map[int64]string{1280: "wide", 390: "phone"}[width]}, "-")+".png")
					Expect(os.WriteFile(file, picture, 0o600)).To(Succeed())
				}
			}
			if strings.HasPrefix(v.path, "/objects/Volume/never") {
				page.excuse() // the browser reports that the status is 404
			}
		})
	}
})
