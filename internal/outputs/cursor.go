package outputs

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A cursor goes through compact JSON. Its methods report false, with the cursor anywhere, where it is not what they take.
type cursor struct {
	s string
	i int
}

func (c *cursor) take(b byte) bool {
	if c.i < len(c.s) && c.s[c.i] == b {
		c.i++
		return true
	}
	return false
}

// key takes the key of a field of Event with its colon, or of one that cannot be taken for it: encoding/json folds case.
func (c *cursor) key() (string, bool) {
	if !c.take('"') {
		return "", false
	}
	start := c.i
	for ; c.i < len(c.s); c.i++ {
		if b := c.s[c.i]; (b < 'a' || b > 'z') && b != '_' && (b < '0' || b > '9') {
			break
		}
	}
	key := c.s[start:c.i]
	return key, c.take('"') && c.take(':')
}

// text takes a string.
func (c *cursor) text() (text string, ok bool) {
	if !c.take('"') {
		return "", false
	}
	start := c.i
	plain := true
	for ; c.i < len(c.s); c.i++ {
		switch b := c.s[c.i]; {
		case b == '"':
			text = c.s[start:c.i]
			c.i++
			if !plain && (strings.IndexByte(text, '\\') >= 0 || !utf8.ValidString(text)) {
				return unquote(c.s[start-1 : c.i])
			}
			return text, true
		case b < ' ':
			return "", false
		case b == '\\':
			plain = false
			c.i++
		case b >= utf8.RuneSelf:
			plain = false
		}
	}
	return "", false
}

func unquote(quoted string) (text string, ok bool) {
	err := json.Unmarshal([]byte(quoted), &text)
	return text, err == nil
}

// object takes an object as it stands there.
func (c *cursor) object(to *string) bool {
	start := c.i
	if c.i == len(c.s) || c.s[c.i] != '{' || !c.skip(0) {
		return false
	}
	*to = c.s[start:c.i]
	return true
}

// whole takes a whole number.
func (c *cursor) whole(to *int64) bool {
	start := c.i
	if !c.number() {
		return false
	}
	var err error
	*to, err = strconv.ParseInt(c.s[start:c.i], 10, 64)
	return err == nil
}

// float takes a number.
func (c *cursor) float(to *float64) bool {
	start := c.i
	if !c.number() {
		return false
	}
	var err error
	*to, err = strconv.ParseFloat(c.s[start:c.i], 64)
	return err == nil
}

// results takes Results in the notation that Journal writes.
func (c *cursor) results(to *string) bool {
	start := c.i
	if !c.eachResult(nil) {
		return false
	}
	*to = c.s[start:c.i]
	return true
}

// eachResult is results or, when each is not nil, goes through what results has taken.
func (c *cursor) eachResult(each func(set, name, value string) bool) bool {
	if !c.take('{') {
		return false
	}
	for empty := c.take('}'); !empty; {
		set, ok := c.text()
		if !ok || !c.take(':') || !c.take('{') {
			return false
		}
		for empty := c.take('}'); !empty; {
			name, ok := c.text()
			if !ok || !c.take(':') {
				return false
			}
			start := c.i
			if each == nil {
				ok = c.value()
			} else { // it has been looked at
				for c.i < len(c.s) && c.s[c.i] != ',' && c.s[c.i] != '}' {
					c.i++
				}
				if !each(set, name, c.s[start:c.i]) {
					return true
				}
			}
			if !ok {
				return false
			}
			if !c.take(',') {
				if !c.take('}') {
					return false
				}
				break
			}
		}
		if !c.take(',') {
			return c.take('}')
		}
	}
	return true
}

// value passes over the value of a metric.
func (c *cursor) value() bool {
	if c.i < len(c.s) && c.s[c.i] == '"' {
		return c.word(`"NaN"`) || c.word(`"Infinity"`) || c.word(`"-Infinity"`)
	}
	start := c.i
	if !c.number() {
		return false
	}
	// Is it in the range of a float64?
	text := c.s[start:c.i]
	if n := len(text); n <= 300 && strings.IndexByte(text, 'e') < 0 && strings.IndexByte(text, 'E') < 0 {
		return true
	}
	_, err := strconv.ParseFloat(text, 64)
	return err == nil
}

// number passes over a number.
func (c *cursor) number() bool {
	c.take('-')
	if !c.take('0') && !c.digits() {
		return false
	}
	if c.take('.') && !c.digits() {
		return false
	}
	if c.take('e') || c.take('E') {
		if !c.take('+') {
			c.take('-')
		}
		return c.digits()
	}
	return true
}

func (c *cursor) digits() bool {
	start := c.i
	for c.i < len(c.s) && '0' <= c.s[c.i] && c.s[c.i] <= '9' {
		c.i++
	}
	return c.i > start
}

// maxDepth is how deep values may lie in each other.
const maxDepth = 1000

// skip passes over any value.
func (c *cursor) skip(depth int) bool {
	if c.i == len(c.s) || depth > maxDepth {
		return false
	}
	switch c.s[c.i] {
	case '"':
		return c.skipText()
	case '{':
		c.i++
		if c.take('}') {
			return true
		}
		for {
			if !c.skipText() || !c.take(':') || !c.skip(depth+1) {
				return false
			}
			if !c.take(',') {
				return c.take('}')
			}
		}
	case '[':
		c.i++
		if c.take(']') {
			return true
		}
		for {
			if !c.skip(depth + 1) {
				return false
			}
			if !c.take(',') {
				return c.take(']')
			}
		}
	case 't':
		return c.word("true")
	case 'f':
		return c.word("false")
	case 'n':
		return c.word("null")
	}
	return c.number()
}

func (c *cursor) word(w string) bool {
	if !strings.HasPrefix(c.s[c.i:], w) {
		return false
	}
	c.i += len(w)
	return true
}

// skipText passes over a string.
func (c *cursor) skipText() bool {
	if !c.take('"') {
		return false
	}
	for ; c.i < len(c.s); c.i++ {
		switch b := c.s[c.i]; {
		case b == '"':
			c.i++
			return true
		case b < ' ':
			return false
		case b == '\\':
			if c.i++; c.i == len(c.s) {
				return false
			}
			if c.s[c.i] != 'u' {
				if strings.IndexByte(`"\/bfnrt`, c.s[c.i]) < 0 {
					return false
				}
				continue
			}
			for range 4 {
				if c.i++; c.i == len(c.s) || !isHex(c.s[c.i]) {
					return false
				}
			}
		}
	}
	return false
}

func isHex(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'f' || 'A' <= b && b <= 'F'
}
