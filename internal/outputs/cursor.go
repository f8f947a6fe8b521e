package outputs

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math/bits"
	"strconv"
	"unicode/utf8"
)

// A cursor goes through compact JSON. Its methods report false, with the cursor anywhere, where it is not what they take.
type cursor struct {
	s []byte
	i int
}

func (c *cursor) take(b byte) bool {
	if c.i < len(c.s) && c.s[c.i] == b {
		c.i++
		return true
	}
	return false
}

// key takes the key of a field with its colon, unless it needs escapes.
func (c *cursor) key() ([]byte, bool) {
	if !c.take('"') {
		return nil, false
	}
	start := c.i
	c.i += plainText(c.s[start:])
	key := c.s[start:c.i]
	return key, c.take('"') && c.take(':')
}

// plainText returns how many characters at the front of b stand for themselves in a JSON string, and are ASCII.
func plainText(b []byte) (n int) {
	const (
		each   = 0x0101010101010101
		high   = 0x80 * each
		quotes = '"' * each
		slants = '\\' * each
		spaces = ' ' * each
	)
	for ; len(b)-n >= 8; n += 8 {
		v := binary.LittleEndian.Uint64(b[n:])
		// The high bit is set in bytes that are over 0x7f, a quote, a backslash or below a space. The lowest of them is right.
		if odd := (v | (v ^ quotes - each) | (v ^ slants - each) | (v - spaces)) & high; odd != 0 {
			return n + bits.TrailingZeros64(odd)/8
		}
	}
	for n < len(b) && ' ' <= b[n] && b[n] < utf8.RuneSelf && b[n] != '"' && b[n] != '\\' {
		n++
	}
	return n
}

// text takes a string.
func (c *cursor) text() (text []byte, ok bool) {
	if !c.take('"') {
		return nil, false
	}
	start := c.i
	for plain := true; ; plain = false {
		c.i += plainText(c.s[min(c.i, len(c.s)):])
		switch {
		case c.i >= len(c.s) || c.s[c.i] < ' ':
			return nil, false
		case c.s[c.i] == '\\':
			c.i += 2
		case c.s[c.i] == '"':
			text = c.s[start:c.i]
			c.i++
			if !plain && (bytes.IndexByte(text, '\\') >= 0 || !utf8.Valid(text)) {
				return unquote(c.s[start-1 : c.i])
			}
			return text, true
		default:
			c.i++
		}
	}
}

func unquote(quoted []byte) ([]byte, bool) {
	var text string
	err := json.Unmarshal(quoted, &text)
	return []byte(text), err == nil
}

// object takes an object as it stands there.
func (c *cursor) object(to *[]byte) bool {
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
	if n, rest, ok := cutWhole(c.s[start:]); ok && (len(rest) == 0 || rest[0] == ',' || rest[0] == '}') {
		*to, c.i = n, len(c.s)-len(rest)
		return true
	}
	if !c.number() {
		return false
	}
	var err error
	*to, err = strconv.ParseInt(string(c.s[start:c.i]), 10, 64)
	return err == nil
}

// float takes a number.
func (c *cursor) float(to *float64) bool {
	v, rest, ok := cutFloat(c.s[c.i:])
	*to, c.i = v, len(c.s)-len(rest)
	return ok
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
	if len(c.s)-c.i < len(w) || string(c.s[c.i:c.i+len(w)]) != w {
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
	for {
		c.i += plainText(c.s[c.i:])
		switch {
		case c.i == len(c.s) || c.s[c.i] < ' ':
			return false
		case c.s[c.i] == '"':
			c.i++
			return true
		case c.s[c.i] == '\\':
			if c.i++; c.i == len(c.s) {
				return false
			}
			if c.s[c.i] == 'u' {
				for range 4 {
					if c.i++; c.i == len(c.s) || !isHex(c.s[c.i]) {
						return false
					}
				}
			} else if bytes.IndexByte([]byte(`"\/bfnrt`), c.s[c.i]) < 0 {
				return false
			}
		}
		c.i++
	}
}

func isHex(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'f' || 'A' <= b && b <= 'F'
}
