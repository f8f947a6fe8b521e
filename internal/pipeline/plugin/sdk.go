package plugin

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"go/build/constraint"
	"io/fs"
	"strings"
)

// sdkSource is what the program carries for models: the SDK as Go models are built against it, by path in its module, go.mod
// included; or the Python package.
type sdkSource struct {
	files map[string]string
	hash  string
}

// readSDK takes the Go files of pkg/mlp, without its tests, from a file system that has them below mlp/.
//
// The go.mod says nothing of the language that a module of before Go 1.21 would have to follow, and nothing that would ask
// a user's older go.mod for an update. The language of each file is raised by a build constraint instead.
func readSDK(source fs.FS) (sdkSource, error) {
	s := sdkSource{files: map[string]string{
		"go.mod": "module " + sdkModule + "\n\ngo 1.20\n",
	}}
	err := fs.WalkDir(source, "mlp", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !isGoSource(d.Name()) || strings.HasSuffix(name, "_test.go") {
			return err
		}
		text, err := fs.ReadFile(source, name)
		if err != nil {
			return err
		}
		if !hasConstraint(text) {
			text = append([]byte("//go:build "+oldestGo+"\n"), text...)
		}
		s.files["pkg/"+name] = string(text)
		return nil
	})
	if err != nil {
		return s, fmt.Errorf("read the SDK: %w", err)
	}
	s.hash = hashSource("sdk", s.files)
	return s, nil
}

// hashSource names what files hold, text by name.
func hashSource(what string, files map[string]string) string {
	sums := make(map[string]string, len(files))
	for name, text := range files {
		sum := sha256.Sum256([]byte(text))
		sums[name] = string(sum[:])
	}
	h := sha256.New()
	writeMap(h, what, sums)
	return sum16(h)
}

func hasConstraint(text []byte) bool {
	for line := range bytes.Lines(text) {
		if constraint.IsGoBuild(string(line)) {
			return true
		}
		if bytes.HasPrefix(line, []byte("package ")) {
			break
		}
	}
	return false
}
