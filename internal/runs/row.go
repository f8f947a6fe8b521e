package runs

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strconv"
	"time"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// AppendJSON appends r as the JSON object that commands print: id, model, version, status, host, started, ended, seconds,
// params, metrics, model_dir, error, git. What is not known is null. No control character is in it, and no newline.
func (r *Run) AppendJSON(b []byte) []byte {
	text := func(key, value string, null bool) {
		b = append(append(append(b, ',', '"'), key...), '"', ':')
		if null {
			b = append(b, "null"...)
		} else {
			b = appendQuoted(b, value)
		}
	}
	when := func(key string, t time.Time) {
		b = append(append(append(b, ',', '"'), key...), '"', ':')
		if t.IsZero() {
			b = append(b, "null"...)
		} else {
			b = t.UTC().AppendFormat(b, `"2006-01-02T15:04:05.000Z"`)
		}
	}
	b = appendQuoted(append(b, `{"id":`...), r.ID)
	text("model", r.Model, false)
	text("version", r.Version, false)
	text("status", r.Status, false)
	text("host", r.Host, false)
	when("started", r.Started)
	when("ended", r.Ended)
	b = append(b, `,"seconds":`...)
	if r.Ended.IsZero() {
		b = append(b, "null"...)
	} else {
		b = wire.AppendFloat(b, r.Seconds)
	}
	b = r.appendParams(append(b, `,"params":`...))
	b = r.appendMetrics(append(b, `,"metrics":`...))
	text("model_dir", r.ModelDir(), r.Dir == "")
	text("error", r.Error, r.Error == "")
	b = append(b, `,"git":`...)
	git := r.git
	if len(git) == 0 {
		git, _ = json.Marshal(r.Git()) // null for none
	}
	b = outputs.AppendJSON(b, git)
	return append(b, '}')
}

// ModelDir is the absolute path of the model directory.
func (r *Run) ModelDir() string { return filepath.Join(r.folder.Dir, filepath.FromSlash(r.Dir)) }

func (r *Run) appendParams(b []byte) []byte {
	raw := r.rawParams()
	switch {
	case len(raw) == 0:
		return append(b, "{}"...)
	case !r.ordered:
	case string(raw) == "{}" || bytes.Contains(raw, []byte(`"order"`)): // which may be the version's own
		raw, _ = json.Marshal(r.Params())
	default:
		b = outputs.AppendJSON(b, raw[:len(raw)-1])
		return append(strconv.AppendInt(append(b, `,"order":`...), r.order, 10), '}')
	}
	return outputs.AppendJSON(b, raw)
}

func (r *Run) appendMetrics(b []byte) []byte {
	b = append(b, '{')
	for i, name := range r.metrics {
		if i > 0 {
			b = append(b, ',')
		}
		b = wire.AppendFloat(append(appendQuoted(b, name), ':'), r.values[i])
	}
	return append(b, '}')
}

func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// appendQuoted appends s as a JSON string.
func appendQuoted(b []byte, s string) []byte {
	if plain(s) {
		return append(append(append(b, '"'), s...), '"')
	}
	quoted, _ := json.Marshal(s)
	return outputs.AppendJSON(b, quoted)
}
