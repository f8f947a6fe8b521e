package outputs

import "testing"

// A status is read at any moment while it is being replaced.
func TestReadStatusesWhileWritten(t *testing.T) {
	f := NewFolder(t.TempDir(), "h")
	if err := f.WriteStatus(Status{Host: "h"}); err != nil {
		t.Fatal(err)
	}
	written := make(chan error)
	go func() {
		var err error
		for i := 0; i < 500 && err == nil; i++ {
			err = f.WriteStatus(Status{Host: "h", PID: i})
		}
		written <- err
	}()
	for {
		all, err := f.ReadStatuses()
		if err != nil || len(all) != 1 {
			t.Errorf("read %v, %v", all, err)
			<-written
			return
		}
		select {
		case err := <-written:
			if err != nil {
				t.Error(err)
			}
			return
		default:
		}
	}
}
