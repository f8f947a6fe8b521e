package report

import "strings"

// night writes the body of a report.
func (m *markup) night(n *night) {
	m.start("header")
	m.put("h1", n.project)
	for _, line := range n.when {
		m.put("p", line, "class", "when")
	}
	if len(n.tiles) > 0 {
		m.start("ul", "class", "tiles")
		for _, t := range n.tiles {
			m.start("li", "class", t.kind)
			m.put("b", t.value)
			m.text(" " + t.label)
			m.end()
		}
		m.end()
	}
	for _, note := range n.notes {
		m.put("p", note, "class", "note")
	}
	m.parts(n)
	m.end()
	m.start("main")
	if len(n.table.rows) == 0 {
		m.put("p", n.empty, "class", "empty")
	}
	m.troubles("failed", "What failed", n.failed, n.moreFailed)
	m.troubles("open", n.openTitle, n.open, n.moreOpen)
	m.best(n.best)
	m.curves(n)
	m.table(n.table)
	m.end()
	m.start("footer")
	m.put("p", "Made by "+n.made+". This page is complete in itself: it loads nothing from anywhere.")
	m.end()
}

// parts lead to the parts of the page that there are.
func (m *markup) parts(n *night) {
	m.start("nav", "aria-label", "Parts of this page")
	for _, part := range []struct {
		there bool
		link  string
	}{
		{len(n.failed) > 0, `<a href="#failed">What failed</a>`},
		{len(n.open) > 0, `<a href="#open">` + escape(n.openTitle) + `</a>`},
		{len(n.best) > 0, `<a href="#best">Best versions</a>`},
		{len(n.groups) > 0, `<a href="#curves">Curves</a>`},
		{len(n.table.rows) > 0, `<a href="#runs">All runs</a>`},
	} {
		if part.there {
			m.raw(part.link + "\n")
		}
	}
	m.end()
}

// section begins a part of the page that has a heading.
func (m *markup) section(id, title string) {
	m.start("section", "aria-labelledby", id)
	m.put("h2", title, "id", id)
}

func (m *markup) troubles(id, title string, all []trouble, more string) {
	if len(all) == 0 {
		return
	}
	m.section(id, title)
	for _, t := range all {
		m.start("article", "class", "trouble")
		if t.folded {
			m.start("details")
			m.start("summary")
		}
		m.start("h3")
		m.put("span", t.status, "class", "status "+t.status)
		m.text(" " + t.name)
		m.end()
		if t.folded {
			m.some("span", t.cause, "class", "cause")
			m.end()
		} else {
			m.some("p", t.cause, "class", "cause")
		}
		m.put("p", t.facts, "class", "facts")
		for _, d := range t.details {
			m.start("details")
			m.put("summary", d.title)
			m.put("pre", d.text, "tabindex", "0")
			m.end()
		}
		if len(t.more) > 0 {
			m.start("p", "class", "more")
			for _, w := range t.more {
				m.start("span")
				m.text(w.what + " ")
				m.put("code", w.where)
				m.end()
			}
			m.end()
		}
		if t.folded {
			m.end()
		}
		m.end()
	}
	m.some("p", more, "class", "note")
	m.end()
}

func (m *markup) best(all []bestRow) {
	if len(all) == 0 {
		return
	}
	m.section("best", "Best version of each model")
	m.wide("best")
	m.start("table", "class", "stack")
	m.caption("By the metric that each model is judged by, against the best that had ended before.")
	m.start("thead")
	m.start("tr")
	for _, title := range []string{"Model", "Best version", "Metric"} {
		m.put("th", title, "scope", "col")
	}
	m.put("th", "Value", "scope", "col", "class", "n")
	m.put("th", "Against before", "scope", "col")
	m.end()
	m.end()
	m.start("tbody")
	for _, b := range all {
		m.start("tr")
		m.put("th", b.model, "scope", "row")
		m.put("td", b.version)
		m.put("td", b.metric)
		m.put("td", b.value, "class", "n value")
		m.put("td", b.change, "class", b.kind)
		m.end()
	}
	m.end()
	m.end()
	m.end()
	m.end()
}

// wide begins a box that a table may be wider than; it is scrolled by itself, with the keyboard too.
func (m *markup) wide(label string) {
	m.start("div", "class", "wide", "tabindex", "0", "role", "region", "aria-labelledby", label)
}

// caption is the caption of a table that may be wider than the screen.
func (m *markup) caption(text string) {
	m.start("caption")
	m.put("span", text)
	m.end()
}

func (m *markup) curves(n *night) {
	if len(n.groups) == 0 {
		return
	}
	m.section("curves", "Curves")
	m.raw(`<noscript><p class="note">The charts need JavaScript, which some mail programs leave out: save this page and open it in a browser.</p></noscript>` + "\n")
	m.put("p", "Drag across a chart to look closer; a double click shows all of it again. A click on a name takes its curve off.", "class", "facts")
	for _, g := range n.groups {
		m.put("h3", g.model)
		m.some("p", strings.TrimSpace(g.note), "class", "note")
		m.start("div", "class", "charts")
		for _, c := range g.charts {
			m.chart(c)
		}
		m.end()
	}
	m.some("p", n.moreCharts, "class", "note")
	m.end()
}

// longCell is how many bytes a cell may hold that is one line.
const longCell = 32

func (m *markup) table(t table) {
	if len(t.rows) == 0 {
		return
	}
	m.section("runs", "All runs")
	if t.same != "" {
		m.put("p", "The same in all of them: "+t.same, "class", "facts")
	}
	m.wide("runs")
	m.start("table", "class", "sortable")
	m.caption("Newest first. A click on a title sorts by that column.")
	numeric := func(number bool) string {
		if number {
			return "n"
		}
		return ""
	}
	m.start("thead")
	m.start("tr")
	for _, c := range t.columns {
		m.start("th", "scope", "col", "class", numeric(c.number))
		m.put("button", c.title, "type", "button")
		m.end()
	}
	m.end()
	m.end()
	m.start("tbody")
	for _, row := range t.rows {
		m.start("tr")
		for i, c := range row {
			switch {
			case i == 0:
				m.put("th", c.text, "scope", "row")
			case c.status != "":
				m.start("td")
				m.put("span", c.text, "class", "status "+c.status)
				m.end()
			default:
				class := numeric(c.number)
				if len(c.text) > longCell {
					class = "long"
				}
				m.put("td", c.text, "class", class, "data-v", c.sort, "title", c.title)
			}
		}
		m.end()
	}
	m.end()
	m.end()
	m.end()
	for _, note := range t.notes {
		m.put("p", note, "class", "note")
	}
	m.end()
}
