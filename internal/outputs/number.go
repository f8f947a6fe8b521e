package outputs

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
)

// cutWhole cuts a whole number, as JSON writes one, from the front of b. It leaves very long ones to others.
func cutWhole(b []byte) (n int64, rest []byte, ok bool) {
	neg := len(b) > 0 && b[0] == '-'
	if neg {
		b = b[1:]
	}
	man, digits := cutDigits(b)
	if digits == 0 || digits > 18 || digits > 1 && b[0] == '0' {
		return 0, nil, false
	}
	n = int64(man)
	if neg {
		n = -n
	}
	return n, b[digits:], true
}

// cutDigits returns the value of the digits at the front of b, and how many there are. It is right up to 19 of them.
func cutDigits(b []byte) (n uint64, digits int) {
	for len(b) >= digits+8 {
		eight, ok := eightDigits(binary.LittleEndian.Uint64(b[digits:]))
		if !ok {
			break
		}
		n = n*1e8 + eight
		digits += 8
	}
	for digits < len(b) && b[digits]-'0' <= 9 {
		n = n*10 + uint64(b[digits]-'0')
		digits++
	}
	return n, digits
}

// eightDigits is the value of eight characters, the first in the lowest byte, if all are digits.
func eightDigits(v uint64) (n uint64, ok bool) {
	const high, zeros = 0xf0f0f0f0f0f0f0f0, 0x3030303030303030
	if v&high != zeros || (v+0x0606060606060606)&high != zeros {
		return 0, false
	}
	return eight(v), true
}

// eight is eightDigits for characters that are.
func eight(v uint64) uint64 {
	v = (v & 0x0f0f0f0f0f0f0f0f) * (10<<8 + 1) >> 8 // pairs
	v = (v & 0x00ff00ff00ff00ff) * (100<<16 + 1) >> 16
	return (v & 0x0000ffff0000ffff) * (10000<<32 + 1) >> 32
}

// cutFloat cuts a number, as JSON writes one, from the front of b. It is the float64 that is nearest to it, as that of
// strconv.ParseFloat is, in a third of the time.
func cutFloat(b []byte) (v float64, rest []byte, ok bool) {
	all := b
	neg := len(b) > 0 && b[0] == '-'
	if neg {
		b = b[1:]
	}
	man, digits := cutDigits(b)
	if digits == 0 || digits > 1 && b[0] == '0' {
		return 0, nil, false
	}
	b = b[digits:]
	scale := 0 // the number is man / 10^scale
	if len(b) > 0 && b[0] == '.' {
		var fraction uint64
		if fraction, scale = cutDigits(b[1:]); scale == 0 {
			return 0, nil, false
		}
		b = b[1+scale:]
		if digits += scale; digits <= 19 {
			man = man*tens[scale] + fraction
		}
	}
	if len(b) > 0 && (b[0] == 'e' || b[0] == 'E') {
		b = b[1:]
		down := len(b) > 0 && b[0] == '-'
		if down || len(b) > 0 && b[0] == '+' {
			b = b[1:]
		}
		exp, n := cutDigits(b)
		if n == 0 {
			return 0, nil, false
		}
		b = b[n:]
		switch {
		case n > 4:
			digits = math.MaxInt
		case down:
			scale += int(exp)
		default:
			scale -= int(exp)
		}
	}
	if digits > 19 || scale < 0 || scale >= len(tens) {
		v, err := strconv.ParseFloat(string(all[:len(all)-len(b)]), 64)
		return v, b, err == nil
	}
	v = quotient(man, scale)
	if neg {
		v = -v
	}
	return v, b, true
}

// tens are the powers of ten that a uint64 holds.
var tens = func() (t [20]uint64) {
	t[0] = 1
	for i := 1; i < len(t); i++ {
		t[i] = t[i-1] * 10
	}
	return t
}()

// A divisor is a power of ten that is divided by.
type divisor struct {
	y      uint64 // it, with its highest bit moved up to the 64th,
	up     int    // by so much
	hi, lo uint64 // 2^190 / y, rounded down
}

var divisors = func() (d [len(tens)]divisor) {
	for i, y := range tens {
		up := bits.LeadingZeros64(y)
		y <<= up
		hi, rest := bits.Div64(1<<62, 0, y)
		lo, _ := bits.Div64(rest, 0, y)
		d[i] = divisor{y, up, hi, lo}
	}
	return d
}()

// quotient is the float64 nearest to man / 10^scale.
func quotient(man uint64, scale int) float64 {
	if man == 0 || scale == 0 {
		return float64(man)
	}
	d := &divisors[scale]
	up := bits.LeadingZeros64(man)
	man <<= up
	// The first 128 bits of man times 2^190 / y: less than what is exact, as y is no power of two, but not by 4. The upper half
	// are 62 bits of the quotient, or 63. Its last bit is set so that what looks like half is more than half.
	q, rest := bits.Mul64(man, d.hi)
	more, _ := bits.Mul64(man, d.lo)
	rest, carry := bits.Add64(rest, more, 0)
	q = (q + carry) | 1
	if rest > math.MaxUint64-4 { // it may be what is exact
		if q, rest = bits.Div64(man>>2, man<<62, d.y); rest != 0 {
			q |= 1
		}
	}
	return float64(int64(q)) * math.Float64frombits(uint64(1023+d.up-up-62)<<52)
}

// cutValue is cutFloat for the value of a metric, which may stand for none.
func cutValue(b []byte) (v float64, rest []byte, ok bool) {
	if len(b) > 0 && b[0] == '"' {
		for _, odd := range []struct {
			text  string
			value float64
		}{{`"NaN"`, math.NaN()}, {`"Infinity"`, math.Inf(1)}, {`"-Infinity"`, math.Inf(-1)}} {
			if rest, ok := bytes.CutPrefix(b, []byte(odd.text)); ok {
				return odd.value, rest, true
			}
		}
	}
	return cutFloat(b)
}
