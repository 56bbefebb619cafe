package engine

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// fakeRunner answers commands from a table, by their text or, failing that, by
// the program's name, and keeps what was run.
type fakeRunner struct {
	programs []string // what look finds
	answers  map[string]string
	errors   map[string]string

	mu  sync.Mutex
	ran []string
	// then is called with each command before it is answered.
	then func(c command)
}

func (f *fakeRunner) run(_ context.Context, c command) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ran = append(f.ran, c.String())
	if f.then != nil {
		f.then(c)
	}
	for _, key := range []string{c.String(), c.name} {
		if text, found := f.errors[key]; found {
			return "", errors.New(text)
		}
		if text, found := f.answers[key]; found {
			return text, nil
		}
	}
	return "", nil
}

func (f *fakeRunner) look(name string) (string, error) {
	for _, p := range f.programs {
		if p == name || strings.HasSuffix(p, "/"+name) {
			return p, nil
		}
	}
	return "", errors.New(name + " is not on the PATH")
}

func TestOutputErrorNamesCommandAndReason(t *testing.T) {
	e := &Engine{Binary: "sh"}
	out, err := e.Output(t.Context(), "-c", "echo ' out '; echo why >&2; exit 3")
	assert.Equal(t, "out", out)
	assert.EqualError(t, err, "sh -c echo ' out '; echo why >&2; exit 3: exit status 3: why")
	out, err = e.Output(t.Context(), "-c", "echo fine")
	assert.NoError(t, err)
	assert.Equal(t, "fine", out)
}

func TestRunNamesTheTimeout(t *testing.T) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("no answer within 50ms"))
	defer cancel()
	_, err := execRunner{}.run(ctx, command{name: "sleep", args: []string{"60"}})
	assert.EqualError(t, err, "sleep 60: no answer within 50ms")
}

func TestLook(t *testing.T) {
	_, err := execRunner{}.look("no-such-program-anywhere")
	assert.EqualError(t, err, "no-such-program-anywhere is not on the PATH")
	path, err := execRunner{}.look("sh")
	assert.NoError(t, err)
	assert.NotEmpty(t, path)
}

func TestKindOption(t *testing.T) {
	for _, provider := range []string{docker, podman, nerdctl} {
		assert.NotNil(t, (&Engine{Provider: provider, Binary: provider}).KindOption(), provider)
	}
}
