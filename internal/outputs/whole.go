package outputs

import "encoding/binary"

// ahead is how many bytes scanWhole looks at behind the name of a point: more than a plain line has.
const ahead = 96

// scanWhole is scan for the line at the front of b, if it is one as training loops write them by the million: of a name that
// came before, a step, a number without an exponent, a time. It finds the end of the line by itself, and returns the length
// of the line with its newline. 0 leaves it to scan.
func (s *pointScanner) scanWhole(b []byte) int {
	begin := s.recentName(b)
	if begin == 0 || len(b)-begin < ahead {
		return 0
	}
	l := b[begin : begin+ahead]
	step, i := wholeDigits(l, 0)
	if i == 0 || i > 18 || l[0] == '0' && i > 1 || string(l[i:i+len(valueKey)]) != valueKey {
		return 0
	}
	i += len(valueKey)
	negative := l[i] == '-'
	if negative {
		i++
	}
	start := i
	man, i := wholeDigits(l, i)
	digits := i - start
	if digits == 0 || digits > 19 || l[start] == '0' && digits > 1 {
		return 0
	}
	scale := 0
	if l[i] == '.' {
		point := i + 1
		var fraction uint64
		fraction, i = wholeDigits(l, point)
		scale = i - point
		if scale == 0 || scale > 19 || digits+scale > 19 && man != 0 {
			return 0
		}
		man = man*tens[scale] + fraction
	}
	if i > ahead-len(timeKey)-24 || string(l[i:i+len(timeKey)]) != timeKey {
		return 0
	}
	i += len(timeKey)
	start = i
	when, i := wholeDigits(l, i)
	if i == start || i > start+18 || l[start] == '0' && i > start+1 || l[i] != '}' || l[i+1] != '\n' {
		return 0
	}
	switch {
	case man < 1<<53: // both sides are exact, so that their quotient is the nearest
		s.Value = float64(man) / float64(tens[scale])
	default:
		s.Value = quotient(man, scale)
	}
	if negative {
		s.Value = -s.Value
	}
	s.Step, s.Time = int64(step), int64(when)
	return begin + i + 2
}

// wholeDigits returns the value of the digits in l from i on, and where they end: at 40 at the latest of them, far from the end
// of l. The value is right up to 19 digits.
func wholeDigits(l []byte, i int) (n uint64, end int) {
	for i+8 <= len(l) {
		v := binary.LittleEndian.Uint64(l[i:])
		eight, ok := eightDigits(v)
		if !ok {
			break
		}
		n = n*1e8 + eight
		i += 8
	}
	for ; i < len(l) && l[i]-'0' <= 9; i++ {
		n = n*10 + uint64(l[i]-'0')
	}
	return n, i
}
