package upgrade

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/disrupt"
)

// mistakes are what an upgrade can be made wrong by on purpose, to see that the gate
// says no: it must name the step and the cause, and after the way back all must be well
// again. Each changes the subject before its moves are planned.
var mistakes = map[string]func(s *subject, check string){
	"permissive": func(s *subject, _ string) {
		d := disrupt.PermissiveMesh(s.client)
		s.mistake = &d
	},
	"no-injection": func(s *subject, check string) {
		configuration := "istio-sidecar-injector"
		if check == upgradeCanary.ID {
			configuration = "istio-revision-tag-" + tag
		}
		d := disrupt.WithoutWebhooks(s.client, configuration)
		s.mistake = &d
	},
	"trust-domain": func(s *subject, _ string) { s.to.TrustDomain = "another.example" },
}

// parseMistake gives the mistake that a user means; none for an empty name.
func parseMistake(name string) (func(s *subject, check string), error) {
	if name == "" {
		return func(*subject, string) {}, nil
	}
	m, ok := mistakes[name]
	if !ok {
		return nil, fmt.Errorf("there is no mistake %q to make: use %s", name, strings.Join(slices.Sorted(maps.Keys(mistakes)), ", "))
	}
	return m, nil
}

// spoilt is a move with the mistake in it, if there is one to be made.
func (s subject) spoilt(m move) move {
	if s.mistake == nil {
		return m
	}
	apply := m.change.Apply
	m.change.Title += ", and " + s.mistake.Title
	m.change.Apply = func(ctx context.Context) error {
		if err := apply(ctx); err != nil {
			return err
		}
		return s.mistake.Apply(ctx)
	}
	return m
}

// mended is a move before which the mistake is taken back.
func (s subject) mended(m move) move {
	if s.mistake == nil {
		return m
	}
	apply := m.change.Apply
	m.change.Apply = func(ctx context.Context) error {
		if err := s.mistake.Undo(ctx); err != nil {
			return err
		}
		return apply(ctx)
	}
	return m
}
