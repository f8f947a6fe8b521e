package wire

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
)

// append appends e as encoding/json writes it, but for what that escapes without need. It does without reflection: what that
// has to find out first takes a process that lives for a moment more time than all else it tells.
func (e *Event) append(b []byte) ([]byte, error) {
	o := object{b: b}
	o.string("type", e.Type, false)
	o.int("protocol", int64(e.Protocol))
	o.string("sdk", e.SDK, true)
	if e.Version != nil {
		o.json("version", e.Version)
	}
	o.bool("allow_delete_model_dir", e.AllowDeleteModelDir)
	o.bool("reset_steps", e.ResetSteps)
	if len(e.Files) > 0 {
		o.json("files", e.Files)
	}
	o.string("phase", e.Phase, true)
	o.int("step", e.Step)
	o.int("total", e.Total)
	o.string("name", e.Name, true)
	if e.Value != nil {
		o.key("value")
		o.b = AppendFloat(o.b, float64(*e.Value))
	}
	o.int("time", e.Time)
	o.string("level", e.Level, true)
	o.string("message", e.Message, true)
	o.string("source", e.Source, true)
	o.string("set", e.Set, true)
	o.metrics("metrics", e.Metrics)
	o.int("train_samples", e.TrainSamples)
	o.int("test_samples", e.TestSamples)
	o.string("status", e.Status, true)
	o.string("error", e.Error, true)
	o.string("trace", e.Trace, true)
	return append(o.b, '}'), o.err
}

// An object is a JSON object that is being appended to b.
type object struct {
	b   []byte
	any bool // it has a key
	err error
}

func (o *object) key(key string) {
	if o.any {
		o.b = append(o.b, ',')
	} else {
		o.b, o.any = append(o.b, '{'), true
	}
	o.b = append(appendString(o.b, key), ':')
}

func (o *object) string(key, value string, omitEmpty bool) {
	if value != "" || !omitEmpty {
		o.key(key)
		o.b = appendString(o.b, value)
	}
}

func (o *object) int(key string, value int64) {
	if value != 0 {
		o.key(key)
		o.b = strconv.AppendInt(o.b, value, 10)
	}
}

func (o *object) bool(key string, value bool) {
	if value {
		o.key(key)
		o.b = append(o.b, "true"...)
	}
}

func (o *object) metrics(key string, values map[string]Float) {
	if len(values) == 0 {
		return
	}
	o.key(key)
	in := object{b: o.b}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		in.key(name)
		in.b = AppendFloat(in.b, float64(values[name]))
	}
	o.b = append(in.b, '}')
}

func (o *object) json(key string, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		o.err = err
		return
	}
	o.key(key)
	o.b = append(o.b, text...)
}
