package image

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func shell(script string, args ...string) command {
	return command{name: "sh", args: append([]string{"-c", script}, args...)}
}

func TestACommandGivesItsOutput(t *testing.T) {
	c := shell(`cat; echo "$WORD in $(pwd)"; echo aside >&2`)
	c.dir, c.env, c.stdin = "/", []string{"WORD=env"}, strings.NewReader("in\n")
	out, err := c.run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "in\nenv in /\n", string(out))
}

func TestACommandThatFailsShowsTheEndOfWhatItSaid(t *testing.T) {
	_, err := shell("for i in $(seq 30); do echo line $i; done; echo the reason >&2; exit 4").run(t.Context())
	require.ErrorContains(t, err, "exit status 4")
	require.ErrorContains(t, err, "the reason")
	assert.ErrorContains(t, err, "line 30")
	assert.NotContains(t, err.Error(), "line 15\n", "the beginning is dropped")
}

func TestAProgramThatIsNotThereIsNamed(t *testing.T) {
	_, err := command{name: "absent-program"}.run(t.Context())
	assert.ErrorContains(t, err, "absent-program")
}

func TestAnInterruptEndsACommandAndItsChildren(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := shell("sleep 60 & sleep 60; wait").run(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorContains(t, err, "sh was interrupted")
	assert.Less(t, time.Since(start), 4*time.Second, "nobody holds its output open")
}

func TestTail(t *testing.T) {
	assert.Equal(t, "    b\n    c", tail("a\nb\nc\n", 2))
	assert.Equal(t, "    a", tail("a", 2))
	assert.Equal(t, "    ", tail("", 2))
}
