package outputs

import "strings"

// A resultScanner takes results from lines. Those of lines that follow each other have the same names, mostly: they are
// recognised by all that stands between the values.
type resultScanner struct {
	values []float64               // of all entries that were scanned
	shapes map[string]*resultShape // by their parts
	kept   int                     // names in them
	recent []*resultShape
	next   int // the one in recent to try first
}

// A resultShape is results without their values.
type resultShape struct {
	names []string
	parts []string // what stands in front of each value, and behind the last
}

// scan takes results in the notation that Journal writes.
func (s *resultScanner) scan(c *cursor, e *Entry) bool {
	start, from := c.i, len(s.values)
	for i := range s.recent {
		if i += s.next; i >= len(s.recent) {
			i -= len(s.recent)
		}
		shape := s.recent[i]
		if s.fits(c, shape) {
			if s.next = i + 1; s.next == len(s.recent) {
				s.next = 0
			}
			e.Names, e.Values = shape.names, s.values[from:]
			return true
		}
		c.i, s.values = start, s.values[:from]
	}
	shape, ok := s.learn(c)
	if ok {
		e.Names, e.Values = shape.names, s.values[from:]
	}
	return ok
}

func (s *resultScanner) fits(c *cursor, shape *resultShape) bool {
	last := len(shape.parts) - 1
	for _, part := range shape.parts[:last] {
		if !c.word(part) || !s.value(c) {
			return false
		}
	}
	return c.word(shape.parts[last])
}

func (s *resultScanner) value(c *cursor) bool {
	v, rest, ok := cutValue(c.s[c.i:])
	c.i = len(c.s) - len(rest)
	s.values = append(s.values, v)
	return ok
}

// learn is scan for any names.
func (s *resultScanner) learn(c *cursor) (*resultShape, bool) {
	shape := &resultShape{}
	part := c.i // where what stands in front of the next value begins
	if !c.take('{') {
		return nil, false
	}
	for empty := c.take('}'); !empty; {
		set, ok := c.text()
		if !ok || !c.take(':') || !c.take('{') {
			return nil, false
		}
		for empty := c.take('}'); !empty; {
			name, ok := c.text()
			if !ok || !c.take(':') {
				return nil, false
			}
			shape.names = append(shape.names, string(set)+"."+string(name))
			shape.parts = append(shape.parts, string(c.s[part:c.i]))
			if !s.value(c) {
				return nil, false
			}
			part = c.i
			if !c.take(',') {
				if !c.take('}') {
					return nil, false
				}
				break
			}
		}
		if !c.take(',') {
			if !c.take('}') {
				return nil, false
			}
			break
		}
	}
	shape.parts = append(shape.parts, string(c.s[part:c.i]))
	all := strings.Join(shape.parts, "\n") // which is in none of them
	if have := s.shapes[all]; have != nil {
		shape = have
	} else {
		s.kept += len(shape.names)
		if s.shapes == nil || s.kept > maxNames {
			s.shapes, s.recent, s.next, s.kept = map[string]*resultShape{}, nil, 0, len(shape.names)
		}
		s.shapes[all] = shape
	}
	if len(s.recent) == maxRecent {
		s.recent, s.next = s.recent[:0], 0
	}
	s.recent = append(s.recent, shape)
	return shape, true
}
