package version

import (
	"testing"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

func TestDecide(t *testing.T) {
	const own, code = 7, 11
	fine := Version{Version: wire.Version{Name: "v"}, Hash: own}
	refused := Version{Version: wire.Version{Name: "v"}, Hash: own, Refused: "BATCH_SIZE is 0"}
	type row struct {
		same, newCode, newParameters, newBoth Why // under what has changed since
	}
	for status, want := range map[Status]row{
		Never:       {New, New, New, New},
		Finished:    {Done, NewCode, NewParameters, NewParameters},
		Failed:      {FailedBefore, FailedBefore, NewParameters, NewParameters},
		Interrupted: {Resumes, Resumes, NewParameters, NewParameters},
		Running:     {Elsewhere, Elsewhere, Elsewhere, Elsewhere},
	} {
		for _, c := range []struct {
			name             string
			parameters, code uint64
			want             Why
		}{
			{"nothing", own, code, want.same},
			{"the code", own, code + 1, want.newCode},
			{"the parameters", own + 1, code, want.newParameters},
			{"both", own + 1, code + 1, want.newBoth},
		} {
			past := Past{Status: status, Parameters: c.parameters, Code: c.code}
			if got := Decide(fine, past, code, false); got != c.want {
				t.Errorf("status %d, %s changed: %d, want %d", status, c.name, got, c.want)
			}
			kept := c.want
			if kept == NewCode {
				kept = Kept
			}
			if got := Decide(fine, past, code, true); got != kept {
				t.Errorf("status %d, %s changed, keep: %d, want %d", status, c.name, got, kept)
			}
			for _, keep := range []bool{false, true} {
				if got := Decide(refused, past, code, keep); got != Refused {
					t.Errorf("status %d, %s changed, refused: %d", status, c.name, got)
				}
			}
		}
	}
}

func TestDue(t *testing.T) {
	for why, want := range map[Why]bool{
		Asked: true, New: true, NewParameters: true, NewCode: true, FailedBefore: true, Resumes: true,
		Done: false, Kept: false, Elsewhere: false, Refused: false,
	} {
		if why.Due() != want {
			t.Errorf("%d: due %t", why, why.Due())
		}
	}
}
