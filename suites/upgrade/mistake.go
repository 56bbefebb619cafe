package upgrade

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/disrupt"
)

// mistake is something that an upgrade can be made wrong by on purpose, to see that the
// gate says no: it must name the step and the cause, and after the way back all must be
// well again.
//
// Proxies too old for their control plane are none of them: 1.31 serves those of 1.30,
// and no older ones can be built here. That such are not upgraded is shown on recorded
// pods, see skew.go.
type mistake struct {
	// make changes the subject before its moves are planned.
	make func(s *subject, check string)
	// anyway says that it makes sense also where it is not the mesh that is upgraded.
	anyway bool
}

var mistakes = map[string]mistake{
	"permissive": {anyway: true, make: func(s *subject, _ string) {
		d := disrupt.PermissiveMesh(s.client)
		s.mistake = &d
	}},
	"no-injection": {make: func(s *subject, check string) {
		d := disrupt.WithoutWebhooks(s.client, injector(check))
		s.mistake = &d
	}},
	"webhook-down": {make: func(s *subject, check string) {
		d := disrupt.WebhooksAstray(s.client, injector(check))
		s.mistake = &d
	}},
	"other-root":   {make: otherRoot},
	"trust-domain": {make: func(s *subject, _ string) { s.to.TrustDomain = "another.example" }},
}

// injector is the configuration of webhooks by which the pods of the namespace get
// their sidecars once the new control plane stands.
func injector(check string) string {
	if check == upgradeCanary.ID {
		return "istio-revision-tag-" + tag
	}
	return "istio-sidecar-injector"
}

// parseMistake gives the mistake that a user means in some ways to upgrade; none for an
// empty name.
func parseMistake(name string, ways []Check) (func(s *subject, check string), error) {
	if name == "" {
		return func(*subject, string) {}, nil
	}
	m, ok := mistakes[name]
	if !ok {
		return nil, fmt.Errorf("there is no mistake %q to make: use %s", name, strings.Join(slices.Sorted(maps.Keys(mistakes)), ", "))
	}
	if i := slices.IndexFunc(ways, func(c Check) bool { return !c.ofMesh() && !m.anyway }); i >= 0 {
		return nil, fmt.Errorf("the mistake %q is one of upgrades of the mesh: leave it out for -upgrade=%s, or use permissive", name, ways[i].Way)
	}
	return m.make, nil
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
