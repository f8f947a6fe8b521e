package outputs

import (
	"bytes"
	"encoding/binary"
)

// scanWhole is scan for the line at the front of b, if it is one as training loops write them by the million: of a name that
// came before, a step, a number, a time. It returns the length of the line with its newline. 0 leaves it to scan.
//
// No field has to be read to find where the next one begins, so that the CPU can look at all of them at once: step and time are
// tried as long as those of the point before were, and the value is what stands between.
func (s *pointScanner) scanWhole(b []byte) int {
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		return 0
	}
	line := b[:end]
	begin := s.recentName(line)
	if begin == 0 || line[end-1] != '}' {
		return 0
	}
	stepEnd := begin + s.stepDigits
	if !hasAt(line, stepEnd, valueKey) {
		for stepEnd = begin; stepEnd < end && line[stepEnd]-'0' <= 9; stepEnd++ {
		}
		if s.stepDigits = stepEnd - begin; !hasAt(line, stepEnd, valueKey) {
			return 0
		}
	}
	timeEnd := end - 1
	timeBegin := timeEnd - s.timeDigits
	if !hasAt(line, timeBegin-len(timeKey), timeKey) {
		for timeBegin = timeEnd; line[timeBegin-1]-'0' <= 9; timeBegin-- {
		}
		if s.timeDigits = timeEnd - timeBegin; !hasAt(line, timeBegin-len(timeKey), timeKey) {
			return 0
		}
	}
	value, ok := plainFloat(line, stepEnd+len(valueKey), timeBegin-len(timeKey))
	if !ok || s.stepDigits > 18 || s.timeDigits > 18 {
		return 0
	}
	var step, when uint64
	if n := s.stepDigits; 1 < n && n <= 8 && line[begin] != '0' { // not in a call: it would take as long again
		var odd uint64
		step, odd = lastDigits(binary.LittleEndian.Uint64(line[stepEnd-8:]), n)
		ok = odd == 0
	} else {
		step, ok = wholeNumber(line, begin, stepEnd)
	}
	if n := s.timeDigits; ok && 8 < n && n <= 16 && line[timeBegin] != '0' {
		high, odd := lastDigits(binary.LittleEndian.Uint64(line[timeEnd-16:]), n-8)
		low, oddLow := lastDigits(binary.LittleEndian.Uint64(line[timeEnd-8:]), 8)
		when, ok = high*1e8+low, odd|oddLow == 0
	} else if ok {
		when, ok = wholeNumber(line, timeBegin, timeEnd)
	}
	if !ok {
		return 0
	}
	s.Step, s.Value, s.Time = int64(step), value, int64(when)
	return end + 1
}

func hasAt(line []byte, i int, key string) bool {
	return i >= 0 && i+len(key) <= len(line) && string(line[i:i+len(key)]) == key
}

// wholeNumber is the number that stands in line from one place to another, as JSON writes it. It is right up to 19 digits.
func wholeNumber(line []byte, from, to int) (n uint64, ok bool) {
	if to <= from || line[from] == '0' && to > from+1 {
		return 0, false
	}
	return digits(line, from, to)
}

// plainFloat is cutFloat for what stands in line from one place to another.
func plainFloat(line []byte, from, to int) (v float64, ok bool) {
	if from >= to {
		return 0, false
	}
	negative := line[from] == '-'
	first := from
	if negative {
		first++
	}
	if scale := to - first - 2; scale >= 1 && scale <= 19 && line[first+1] == '.' && line[first]-'0' <= 9 && (scale < 19 || line[first] == '0') {
		if fraction, ok := digits(line, first+2, to); ok {
			v = quotient(uint64(line[first]-'0')*tens[scale]+fraction, scale)
			if negative {
				v = -v
			}
			return v, true
		}
	}
	v, rest, ok := cutFloat(line[from:to])
	return v, ok && len(rest) == 0
}

// digits is the value of the digits in line from one place to another, right up to 19 of them, if there are no others. What a
// line with a point begins with is longer than what is looked at before them.
func digits(line []byte, from, to int) (n uint64, ok bool) {
	count := to - from
	n, odd := lastDigits(binary.LittleEndian.Uint64(line[to-8:]), count)
	if count > 8 {
		more, oddMore := lastDigits(binary.LittleEndian.Uint64(line[to-16:]), count-8)
		n, odd = n+more*1e8, odd|oddMore
	}
	if count > 16 {
		more, oddMore := lastDigits(binary.LittleEndian.Uint64(line[to-24:]), count-16)
		n, odd = n+more*1e16, odd|oddMore
	}
	return n, odd == 0 && count <= 24
}

// lastDigits is the value of the last so many of eight characters, the first in the lowest byte. odd is not zero when they are
// not all digits.
func lastDigits(v uint64, count int) (n, odd uint64) {
	mask := masks[min(count, 8)&15]
	const high, zeros = 0xf0f0f0f0f0f0f0f0, 0x3030303030303030
	odd = ((v&high ^ zeros) | ((v+0x0606060606060606)&high ^ zeros)) & mask
	return eight(v & mask), odd
}

var masks = func() (m [16]uint64) {
	for i := range m {
		m[i] = ^uint64(0) << max(0, 64-8*i)
	}
	return m
}()
