//go:build linux

package main

import (
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"os"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// picture checks that a file is a PNG with something on it, or SVG that is well formed.
func picture(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1, "picture FILE")
	file, err := os.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	defer file.Close()
	if strings.HasSuffix(args[0], ".png") {
		image, err := png.Decode(file)
		ts.Check(err)
		colours := map[any]bool{}
		for y := range image.Bounds().Dy() {
			for x := range image.Bounds().Dx() {
				colours[image.At(x, y)] = true
			}
		}
		if len(colours) < 10 || image.Bounds().Dx() < 600 {
			ts.Fatalf("%s has %d colours on %v", args[0], len(colours), image.Bounds())
		}
		return
	}
	elements := map[string]int{}
	for d := xml.NewDecoder(file); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		ts.Check(err)
		if e, ok := token.(xml.StartElement); ok {
			elements[e.Name.Local]++
		}
	}
	if elements["svg"] != 1 || elements["polyline"] == 0 || elements["text"] == 0 || elements["script"] > 0 || elements["img"] > 0 {
		ts.Fatalf("%s has the elements %v", args[0], elements)
	}
}
