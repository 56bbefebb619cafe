package image

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Refusal is a registry that did not give an image.
type Refusal struct {
	Image    string // as it was asked for
	Registry string // that was asked: upstream's, or the mirror in its place
	What     string // what came of it, as in "has no such image (404)"
	Next     string // what to do about it
	Err      error  // as the client had it
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("asking for %s: %s %s (%s)", r.Image, r.Registry, r.What, r.Next)
}

func (r *Refusal) Unwrap() error { return r.Err }

// status is what the registry answered with, or 0 if it did not.
func (r *Refusal) status() int {
	var answer *transport.Error
	if errors.As(r.Err, &answer) {
		return answer.StatusCode
	}
	return 0
}

// refused says what a client's error means, which of itself names neither the
// image nor a mirror, and seldom a next step.
func refused(ref name.Reference, through http.RoundTripper, err error) error {
	r := &Refusal{Image: ref.String(), Registry: ref.Context().RegistryStr(), Err: err}
	away := "use IMAGES=packages where no registry is in reach, or MIRROR for one that is"
	if t, ok := through.(throughMirror); ok {
		r.Registry = "the mirror " + t.mirror.Host
		away = "see that it runs there, or correct MIRROR; `images mirror` serves one"
	}
	switch status := r.status(); {
	case status == http.StatusUnauthorized:
		r.What, r.Next = "wants a login (401)", "the nodes pull without one: let it be read without a login, or use another with MIRROR"
	case status == http.StatusForbidden:
		r.What, r.Next = "does not let it be read (403)", "let it be read without a login, or use IMAGES=packages or another with MIRROR"
	case status == http.StatusNotFound:
		r.What, r.Next = "has no such image (404)", "copy it there under this name, or give the digest that it has with LOCK"
	case status == http.StatusTooManyRequests:
		r.What, r.Next = "was asked too often from here (429)", "wait, or use IMAGES=packages or another with MIRROR"
	case status != 0:
		r.What, r.Next = fmt.Sprintf("answered with an error (%d)", status), "see its log; "+away
	case strings.Contains(err.Error(), "does not match requested digest"): // the client has no type for it
		r.What, r.Next = "answered with something else than what has this digest", "copy the very image there; what it gives is not to be trusted"
	case errors.Is(err, context.DeadlineExceeded):
		r.What, r.Next = "did not answer in time", away
	default:
		r.What, r.Next = "did not answer: "+cause(err), away
	}
	return r
}

// cause is the end of a chain of errors, without the request that its beginning
// repeats.
func cause(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil || !strings.HasSuffix(err.Error(), inner.Error()) {
			return err.Error()
		}
		err = inner
	}
}
