package host

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// FuzzReadAnswer feeds the reader of the shell's answers with anything: it must
// not panic, must return JSON or an error, and must not swallow what follows.
func FuzzReadAnswer(f *testing.F) {
	recorded, err := filepath.Glob("testdata/*.json")
	if err != nil || len(recorded) == 0 {
		f.Fatal(recorded, err)
	}
	for _, name := range recorded {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("lvm> noise {\n { \"log\": [] } "))
	f.Add([]byte("{\"log\":[{\"log_message\":\"\\\"}\"}]}\n{"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bufio.NewReader(bytes.NewReader(data))
		object, err := readObject(r)
		if err != nil {
			return
		}
		if !bytes.Contains(data, object) {
			t.Fatalf("%q is not in the input", object)
		}
		a, err := parseAnswer(object)
		if err != nil {
			return
		}
		if !json.Valid(a.raw) || a.ret == 0 {
			t.Fatalf("accepted %q", object)
		}
	})
}
