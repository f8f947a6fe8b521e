package report

import (
	"encoding/xml"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzMarkup: no text becomes an element or leaves its attribute, and all of it is there.
func FuzzMarkup(f *testing.F) {
	for _, s := range []string{"plain", `</p><script>alert(1)</script>`, `" onload="x`, "'`&amp;&#0;", "<!--", "]]>", "\xff\x00", "\u2028"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var m markup
		m.put("p", text, "title", text)
		page := m.out.String()
		if strings.Count(page, "<") != 2 || strings.Count(page, ">") != 2 || !utf8.ValidString(page) || text != "" && strings.Count(page, `"`) != 2 {
			t.Fatalf("%q is written as %q", text, page)
		}
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == utf8.RuneError || r == '\ufffe' || r == '\uffff' }) {
			return // XML has no such characters
		}
		var read struct {
			Title string `xml:"title,attr"`
			Text  string `xml:",chardata"`
		}
		if err := xml.Unmarshal([]byte(page), &read); err != nil || read.Title != text || read.Text != text {
			t.Fatalf("%q is written as %q, and read as %q: %v", text, page, read, err)
		}
	})
}
