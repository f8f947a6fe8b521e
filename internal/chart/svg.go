package chart

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"image/color"
	"io"
	"strings"
)

// SVG writes a picture of curves of metric.
func SVG(w io.Writer, metric string, curves []Curve) error {
	face, err := newTypeface()
	if err != nil {
		return err
	}
	var s svg
	// The fonts of who looks at it are others, and some are wider.
	width := func(text string, size float64) float64 { return 1.2 * face.width(text, size) }
	tall := height(curves, width)
	fmt.Fprintf(&s.out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d" role="img" font-family="system-ui, 'Segoe UI', Helvetica, Arial, sans-serif">`+"\n", pictureWidth, tall)
	fmt.Fprintf(&s.out, "<title>%s by step</title>\n<rect width=\"%d\" height=\"%d\" fill=\"%s\"/>\n", escape(metric), pictureWidth, tall, hex(paper))
	picture(&s, metric, curves, width)
	s.out.WriteString("</svg>\n")
	_, err = w.Write(s.out.Bytes())
	return err
}

// An svg is a canvas.
type svg struct{ out bytes.Buffer }

func (s *svg) line(spots []spot, width float64, c color.RGBA) {
	var at strings.Builder
	for i, p := range spots {
		if i > 0 {
			at.WriteByte(' ')
		}
		fmt.Fprintf(&at, "%.2f,%.2f", p.x, p.y)
	}
	fmt.Fprintf(&s.out, "<polyline points=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"%g\" stroke-linejoin=\"round\"/>\n", at.String(), hex(c), width)
}

func (s *svg) dot(at spot, radius float64, c color.RGBA) {
	fmt.Fprintf(&s.out, "<circle cx=\"%.2f\" cy=\"%.2f\" r=\"%g\" fill=\"%s\"/>\n", at.x, at.y, radius, hex(c))
}

func (s *svg) text(text string, at spot, anchor, size float64, c color.RGBA) {
	where := map[float64]string{0: "start", 0.5: "middle", 1: "end"}[anchor]
	fmt.Fprintf(&s.out, "<text x=\"%.2f\" y=\"%.2f\" text-anchor=\"%s\" font-size=\"%g\" fill=\"%s\">%s</text>\n", at.x, at.y, where, size, hex(c), escape(text))
}

func hex(c color.RGBA) string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }

func escape(text string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(text)) // what XML does not allow becomes U+FFFD
	return b.String()
}
