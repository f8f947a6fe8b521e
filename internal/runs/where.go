package runs

import (
	"fmt"
	"strconv"
	"strings"
)

// A Condition is what the metric or the parameter of a Name must be. Runs that do not have it do not meet it.
type Condition struct {
	Name  string // of a metric, a parameter, or seconds
	op    string
	value string

	number  float64
	numeric bool // value is one
}

// ParseCondition takes "test.accuracy>0.9". There are = (or ==), !=, <, <=, > and >=.
func ParseCondition(text string) (Condition, error) {
	i := strings.IndexAny(text, "<>=!")
	if i < 0 || strings.HasPrefix(text[i:], "!") && !strings.HasPrefix(text[i:], "!=") {
		return Condition{}, fmt.Errorf("%q is no condition", text)
	}
	op := text[i : i+1]
	if len(text) > i+1 && text[i+1] == '=' {
		op = text[i : i+2]
	}
	c := Condition{Name: strings.TrimSpace(text[:i]), op: op, value: strings.TrimSpace(text[i+len(op):])}
	if c.Name == "" {
		return Condition{}, fmt.Errorf("%q is no condition", text)
	}
	number, err := strconv.ParseFloat(c.value, 64)
	c.number, c.numeric = number, err == nil
	return c, nil
}

func (c *Condition) met(r *Run) bool {
	if number, ok := r.Metric(c.Name); ok {
		return c.numeric && c.holds(number)
	}
	if value, ok := r.Param(c.Name); ok {
		if number, ok := value.Number(); ok && c.numeric {
			return c.holds(number)
		}
		switch c.op {
		case "=", "==":
			return value.String() == c.value
		case "!=":
			return value.String() != c.value
		}
		return false // a text is neither more nor less than another one
	}
	return c.Name == "seconds" && c.numeric && !r.Ended.IsZero() && c.holds(r.Seconds)
}

// holds reports whether v is to the value as op says. NaN is NaN here, and neither more nor less than a number.
func (c *Condition) holds(v float64) bool {
	same := v == c.number || v != v && c.number != c.number
	switch c.op {
	case "=", "==":
		return same
	case "!=":
		return !same
	case "<":
		return v < c.number
	case "<=":
		return v < c.number || same
	case ">":
		return v > c.number
	}
	return v > c.number || same
}
