package wire

import (
	"bytes"
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
	o.version("version", e.Version)
	o.bool("allow_delete_model_dir", e.AllowDeleteModelDir)
	o.bool("reset_steps", e.ResetSteps)
	o.bool("forks", e.Forks)
	appendMap(&o, "files", e.Files, func(in *object, path, sum string) { in.string(path, sum, false) })
	o.string("phase", e.Phase, true)
	o.int("step", e.Step)
	o.int("total", e.Total)
	o.string("name", e.Name, true)
	if e.Value != nil {
		o.float("value", *e.Value)
	}
	o.int("time", e.Time)
	o.string("level", e.Level, true)
	o.string("message", e.Message, true)
	o.string("source", e.Source, true)
	o.string("set", e.Set, true)
	appendMap(&o, "metrics", e.Metrics, (*object).float)
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

func (o *object) float(key string, value Float) {
	o.key(key)
	o.b = AppendFloat(o.b, float64(value))
}

// appendMap appends an object with the values by their names, in order, unless there are none.
func appendMap[V any](o *object, key string, values map[string]V, value func(in *object, name string, v V)) {
	if len(values) == 0 {
		return
	}
	o.key(key)
	in := object{b: o.b}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value(&in, name, values[name])
	}
	o.b = append(in.b, '}')
}

func (o *object) version(key string, v *Version) {
	if v == nil {
		return
	}
	o.key(key)
	in := object{b: o.b}
	in.string("name", v.Name, false)
	for _, n := range []struct {
		key   string
		value int
	}{{"order", v.Order}, {"batch_size", v.BatchSize}, {"epochs", v.Epochs}} {
		in.key(n.key)
		in.b = strconv.AppendInt(in.b, int64(n.value), 10)
	}
	in.float("learning_rate", v.LearningRate)
	in.string("model_dir_suffix", v.ModelDirSuffix, true)
	in.string("dataloader", v.DataLoader, false)
	if len(v.Params) > 0 {
		in.key("params")
		var line bytes.Buffer
		o.err = json.Compact(&line, v.Params)
		in.b = append(in.b, line.Bytes()...)
	}
	o.b = append(in.b, '}')
}
