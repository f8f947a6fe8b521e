package report

import (
	"bytes"
	"html"
	"strings"
)

// A markup is HTML that is being written. Every text and every value of an attribute is escaped on its way in, so that
// nothing that a user or a model wrote can become an element or leave its attribute. Names of elements and of attributes
// are written in this package alone, and no attribute among them holds a script, or an address but of a part of the page.
//
// It stands where html/template could: that and what comes with it would make the program a third larger.
type markup struct {
	out  bytes.Buffer
	open []string
}

// start begins an element. Attributes are names, each followed by its value.
func (m *markup) start(element string, attributes ...string) {
	m.tag(element, attributes)
	m.open = append(m.open, element)
}

// end ends the element that was begun last.
func (m *markup) end() {
	last := len(m.open) - 1
	m.out.WriteString("</" + m.open[last] + ">\n")
	m.open = m.open[:last]
}

// tag writes an element that has no end.
func (m *markup) tag(element string, attributes []string) {
	m.out.WriteString("<" + element)
	for i := 0; i < len(attributes); i += 2 {
		if attributes[i+1] != "" {
			m.out.WriteString(" " + attributes[i] + `="` + escape(attributes[i+1]) + `"`)
		}
	}
	m.out.WriteString(">")
}

// text writes text.
func (m *markup) text(text string) { m.out.WriteString(escape(text)) }

// put writes an element that holds text.
func (m *markup) put(element, text string, attributes ...string) {
	m.start(element, attributes...)
	m.text(text)
	m.end()
}

// some is put, unless text is empty.
func (m *markup) some(element, text string, attributes ...string) {
	if text != "" {
		m.put(element, text, attributes...)
	}
}

// raw writes HTML of this package's own.
func (m *markup) raw(html string) { m.out.WriteString(html) }

func escape(text string) string { return html.EscapeString(strings.ToValidUTF8(text, "\ufffd")) }
