package dashboard

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"time"
)

//go:embed static
var staticFiles embed.FS

// assets are the style, the script and the icon, by name.
var assets = readAssets("style.css", "live.js", "icon.svg")

type asset struct {
	data []byte
	// version changes with the content, so that browsers may keep an asset for ever.
	version string
}

func readAssets(names ...string) map[string]asset {
	all := map[string]asset{}
	for _, name := range names {
		// A file that is missing is found by the tests: all that is embedded is there.
		data, _ := staticFiles.ReadFile("static/" + name)
		sum := sha256.Sum256(data)
		all[name] = asset{data, hex.EncodeToString(sum[:6])}
	}
	return all
}

func assetURL(name string) string { return "/assets/" + name + "?v=" + assets[name].version }

func serveAsset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	a, found := assets[name]
	if !found {
		http.NotFound(w, r)
		return
	}
	if r.URL.Query().Get("v") == a.version {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		w.Header().Set("Cache-Control", "no-cache")
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(a.data))
}
