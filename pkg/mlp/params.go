package mlp

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// maxDepth ends a parameter that contains itself.
const maxDepth = 16

// encodeParams returns p as a JSON object which is the same at each start: sorted, without addresses. It reports false,
// and returns nothing, when that has more than limit bytes.
func encodeParams(p Params, limit int) (wire.RawJSON, bool) {
	if len(p) == 0 {
		return nil, true
	}
	e := encoder{limit: limit}
	e.value(reflect.ValueOf(p), 0)
	if len(e.b) > limit {
		return nil, false
	}
	return e.b, true
}

// An encoder writes JSON. Once it is over its limit it writes little more, and that is no JSON.
type encoder struct {
	b     []byte
	limit int
}

func (e *encoder) full() bool { return len(e.b) > e.limit }

func (e *encoder) value(v reflect.Value, depth int) {
	switch {
	case e.full():
		return
	case !v.IsValid() || isNil(v):
		e.b = append(e.b, "null"...)
		return
	case depth > maxDepth:
		e.string(v.Type().String())
		return
	case e.marshaler(v):
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		e.b = strconv.AppendBool(e.b, v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		e.b = strconv.AppendInt(e.b, v.Int(), 10)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		e.b = strconv.AppendUint(e.b, v.Uint(), 10)
	case reflect.Float32:
		// By its own digits, so that 0.1 stays 0.1.
		f, _ := strconv.ParseFloat(strconv.FormatFloat(v.Float(), 'g', -1, 32), 64)
		e.b = wire.AppendFloat(e.b, f)
	case reflect.Float64:
		e.b = wire.AppendFloat(e.b, v.Float())
	case reflect.String:
		e.string(v.String())
	case reflect.Interface:
		e.value(v.Elem(), depth)
	case reflect.Pointer:
		e.value(v.Elem(), depth+1)
	case reflect.Slice, reflect.Array:
		e.b = append(e.b, '[')
		for i := 0; i < v.Len() && !e.full(); i++ {
			e.comma(i > 0)
			e.value(v.Index(i), depth+1)
		}
		e.b = append(e.b, ']')
	case reflect.Map:
		e.object(v, depth)
	case reflect.Struct:
		e.b = append(e.b, '{')
		n := 0
		for _, field := range reflect.VisibleFields(v.Type()) {
			if len(field.Index) > 1 || !field.IsExported() {
				continue
			}
			e.comma(n > 0)
			n++
			e.string(field.Name)
			e.b = append(e.b, ':')
			e.value(v.FieldByIndex(field.Index), depth+1)
		}
		e.b = append(e.b, '}')
	default:
		e.string(v.Type().String())
	}
}

func isNil(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer, reflect.Map, reflect.Slice:
		return v.IsNil()
	}
	return false
}

// marshaler writes a value that says itself what it is as JSON or as text, such as a time.
func (e *encoder) marshaler(v reflect.Value) (ok bool) {
	if !v.CanInterface() || v.Kind() == reflect.Interface {
		return false
	}
	switch v.Interface().(type) {
	case json.Marshaler, encoding.TextMarshaler:
	default:
		return false
	}
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	text, err := json.Marshal(v.Interface())
	if err == nil {
		e.b = append(e.b, text...)
	}
	return err == nil
}

// object writes a map. Members are sorted as they are written, so that keys of one text come in one order too.
func (e *encoder) object(v reflect.Value, depth int) {
	start := len(e.b)
	ends := []int{start}
	for it := v.MapRange(); it.Next() && !e.full(); {
		key := it.Key()
		if key.Kind() == reflect.Interface && !key.IsNil() {
			key = key.Elem()
		}
		if key.Kind() == reflect.String {
			e.string(key.String())
		} else {
			text := encoder{limit: e.limit}
			text.value(key, depth+1)
			e.string(string(text.b))
		}
		e.b = append(e.b, ':')
		e.value(it.Value(), depth+1)
		ends = append(ends, len(e.b))
	}
	if e.full() {
		return
	}
	members := make([]string, len(ends)-1)
	for i := range members {
		members[i] = string(e.b[ends[i]:ends[i+1]])
	}
	slices.Sort(members)
	e.b = append(e.b[:start], '{')
	for i, m := range members {
		e.comma(i > 0)
		e.b = append(e.b, m...)
	}
	e.b = append(e.b, '}')
}

func (e *encoder) comma(needed bool) {
	if needed {
		e.b = append(e.b, ',')
	}
}

func (e *encoder) string(s string) {
	text, _ := json.Marshal(s)
	e.b = append(e.b, text...)
}
